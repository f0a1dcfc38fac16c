package admin

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// pageFuncs are what the template calls.
func pageFuncs() template.FuncMap {
	return template.FuncMap{
		"count": countText, "share": shareText, "took": tookText, "span": spanText, "addresses": addressesText,
		"between": func(from, to time.Time) string { return spanText(to.Sub(from)) },
		"millis":  func(ms float64) string { return tookText(seconds(ms / 1e3)) },
		"whole":   func(n uint64) string { return countText(float64(n)) },
		"part":    func(n, of uint64) string { return shareText(float64(n), float64(of)) },
		"join":    func(s []string) string { return strings.Join(s, ", ") },
		"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"clock":   func(t time.Time) string { return t.UTC().Format("15:04") },
		"moment":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"seconds": func(t time.Time) string { return t.UTC().Format("15:04:05") },
	}
}

const none = "–"

// countText groups digits: 12,345; from a million on 1.2 M.
func countText(n float64) string {
	for _, big := range []struct {
		of   float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}} {
		if n >= big.of && n < big.of*1e6 {
			return strconv.FormatFloat(n/big.of, 'f', 1, 64) + "\u00a0" + big.name
		}
	}
	return grouped(math.Round(n))
}

// grouped is a whole number with a comma at every thousand.
func grouped(n float64) string {
	s := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// addressesText is exact for what people count, and a power of two for IPv6.
func addressesText(n float64) string {
	if n < 1e12 {
		return grouped(n)
	}
	return fmt.Sprintf("≈\u202f2^%.0f", math.Log2(n))
}

// shareText is a part of a whole in percent.
func shareText(part, whole float64) string {
	p := 100 * part / whole
	switch {
	case math.IsNaN(p) || math.IsInf(p, 0):
		return none
	case p == 0:
		return "0\u202f%"
	case p < .1:
		return "<\u202f0.1\u202f%"
	case p < 10:
		return strconv.FormatFloat(p, 'f', 1, 64) + "\u202f%"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + "\u202f%"
}

// tookText is a duration in two digits or three.
func tookText(d time.Duration) string {
	if d <= 0 {
		return none
	}
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d >= u.of {
			v := float64(d) / float64(u.of)
			digits := 0
			if v < 10 {
				digits = 1
			}
			return strconv.FormatFloat(v, 'f', digits, 64) + "\u202f" + u.name
		}
	}
	return strconv.FormatFloat(float64(d)/1e3, 'f', 0, 64) + "\u202fµs"
}

// spanText is how long ago or ahead something is, in its largest unit.
func spanText(d time.Duration) string {
	d = d.Abs()
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f\u202fs", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f\u202fmin", math.Floor(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f\u202fh", math.Floor(d.Hours()))
	}
	return fmt.Sprintf("%.0f days", math.Floor(d.Hours()/24))
}

// rateText is a number of things a second.
func rateText(v float64) string {
	switch {
	case v >= 1000:
		return countText(v)
	case v >= 10 || v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}
