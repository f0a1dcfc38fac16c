package config

import (
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scalar is a value of the type that TOML has for it.
func scalar[T any](key, want, def string, read func(r *reader, v value, x T)) field {
	return field{key: key, want: want, def: def, read: func(r *reader, v value) bool {
		x, ok := v.raw.(T)
		if ok {
			read(r, v, x)
		}
		return ok
	}}
}

func text(key string, p *string) field {
	return scalar(key, "a string", strconv.Quote(*p), func(_ *reader, _ value, s string) { *p = s })
}

func oneOf(key string, p *string, words ...string) field {
	want := `one of "` + strings.Join(words, `", "`) + `"`
	return scalar(key, want, strconv.Quote(*p), func(r *reader, v value, s string) {
		if !slices.Contains(words, s) {
			r.cannot(v, hint(s, words, "write "+want))
			return
		}
		*p = s
	})
}

func boolean(key string, p *bool) field {
	return scalar(key, "true or false, without quotes", strconv.FormatBool(*p), func(_ *reader, _ value, b bool) { *p = b })
}

func count(key string, p *int, least int) field {
	return scalar(key, "a whole number, without quotes", strconv.Itoa(*p), func(r *reader, v value, n int64) {
		if n < int64(least) || n > math.MaxInt32 {
			r.cannot(v, fmt.Sprintf("write a number from %d to %d", least, math.MaxInt32))
			return
		}
		*p = int(n)
	})
}

// duration is a Go duration from least on. A bare number is refused: nobody
// can tell seconds from nanoseconds.
func duration(key string, p *time.Duration, least time.Duration) field {
	return durationUpTo(key, p, least, 1000*time.Hour)
}

func durationUpTo(key string, p *time.Duration, least, most time.Duration) field {
	const want = `a duration with its unit, such as "90s"`
	return field{key: key, want: want, def: strconv.Quote(shortDuration(*p)), read: func(r *reader, v value) bool {
		if n, ok := v.raw.(int64); ok {
			r.bad(v.path, fmt.Sprintf("%s is a bare number", dotted(v.path)),
				fmt.Sprintf(`write "%ds" for seconds, or "%dm" for minutes`, n, n))
			return true
		}
		s, ok := v.raw.(string)
		if !ok {
			return false
		}
		d, err := time.ParseDuration(s)
		switch {
		case err != nil:
			r.bad(v.path, fmt.Sprintf("%s: %q is no duration", dotted(v.path), s),
				`write a number and a unit of ms, s, m or h, such as "90s" or "1h30m"`)
		case d < least:
			r.cannot(v, fmt.Sprintf("write %q or more", shortDuration(least)))
		case d > most:
			r.cannot(v, fmt.Sprintf("write %q or less", shortDuration(most)))
		default:
			*p = d
		}
		return true
	}}
}

// ttl is a duration in whole seconds, as the DNS counts them.
func ttl(key string, p *time.Duration) field {
	d := *p
	return then(duration(key, &d, 0), func(r *reader, v value) {
		if d%time.Second != 0 {
			r.cannot(v, "write whole seconds, which the DNS counts in")
			return
		}
		*p = d
	})
}

// then adds to what is done with a value of the right type.
func then(f field, more func(r *reader, v value)) field {
	inner := f.read
	f.read = func(r *reader, v value) bool {
		ok := inner(r, v)
		if ok {
			more(r, v)
		}
		return ok
	}
	return f
}

// shortDuration prints "1h" where Duration.String prints "1h0m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,12}) ?(KiB|MiB|GiB|B)$`)

func size(key string, p *int64, least, most int64) field {
	units := map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
	const want = `a size with its unit, such as "64MiB"`
	return scalar(key, want, strconv.Quote(shortSize(*p)), func(r *reader, v value, s string) {
		m := sizePattern.FindStringSubmatch(s)
		if m == nil {
			r.bad(v.path, fmt.Sprintf("%s: %q is no size", dotted(v.path), s),
				`write a number and a unit of B, KiB, MiB or GiB, such as "64MiB"`)
			return
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		switch unit := units[m[2]]; {
		case err != nil || n > most/unit:
			r.cannot(v, fmt.Sprintf("write %q or less", shortSize(most)))
		case n*unit < least:
			r.cannot(v, fmt.Sprintf("write %q or more", shortSize(least)))
		default:
			*p = n * unit
		}
	})
}

func shortSize(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprint(n/u.size) + u.name
		}
	}
	return fmt.Sprint(n) + "B"
}

// texts is an array of strings, each of which check may refuse. Unless check
// turns it down, an element is stored as check returns it.
func texts(key string, p *[]string, check func(r *reader, v value, s string) (string, bool)) field {
	return list(key, "an array of strings", array(*p), func() { *p = nil }, func(r *reader, v value, s string) {
		if s, ok := check(r, v, s); ok {
			*p = append(*p, s)
		}
	})
}

// list is an array of strings: start is called once, each for each element.
func list(key, want, def string, start func(), each func(r *reader, v value, s string)) field {
	return field{key: key, want: want, def: def, read: func(r *reader, v value) bool {
		raws, ok := v.raw.([]any)
		one, isText := v.raw.(string)
		if !ok && !isText {
			return false
		}
		start()
		if before := len(r.problems); isText {
			each(r, v, one)
			if len(r.problems) > before {
				return false // brackets alone would not help
			}
			r.bad(v.path, fmt.Sprintf("%s is a string", dotted(v.path)), fmt.Sprintf("write [%q]", one))
		}
		for i, raw := range raws {
			e := v.at(i, raw)
			if s, ok := raw.(string); ok {
				each(r, e, s)
			} else {
				r.bad(e.path, fmt.Sprintf("an element of %s is %s", dotted(v.path), typeName(raw)), "write a string in quotes")
			}
		}
		return true
	}}
}

// path is a file or folder; relative ones start at the configuration's folder.
func path(key string, p *string) field {
	return then(text(key, p), func(r *reader, _ value) { *p = r.absolute(*p) })
}

func (r *reader) absolute(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(r.folder, p)
}

var envPattern = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// shellPattern is what a shell would take for one, and we for a secret that
// anybody may guess.
var shellPattern = regexp.MustCompile(`^\$[A-Za-z_][A-Za-z0-9_]*$`)

// secret is a string in which ${NAME} stands for an environment variable. An
// unset or empty variable is a problem: a list asked without its key answers
// with errors only. What the variables hold goes to keys, unless that is nil.
func secret(key string, p *Secret, keys *[]Secret) field {
	return scalar(key, "a string", strconv.Quote(p.Reveal()), func(r *reader, v value, raw string) {
		complete := true
		var got []Secret
		s := envPattern.ReplaceAllStringFunc(raw, func(ref string) string {
			name := ref[2 : len(ref)-1]
			text := r.variable(name)
			if text == "" {
				complete = false
				r.bad(v.path, fmt.Sprintf("%s names the environment variable %s, which is not set", dotted(v.path), name), r.elsewhere(name))
			}
			got = append(got, Secret(text))
			return text
		})
		if rest := envPattern.ReplaceAllString(raw, ""); complete && (strings.Contains(rest, "${") || shellPattern.MatchString(rest)) {
			complete = false
			r.bad(v.path, fmt.Sprintf(`%s has a "$" that names no environment variable`, dotted(v.path)),
				"write ${NAME}, of letters, digits and _")
		}
		if complete {
			*p = Secret(s)
			if keys != nil {
				*keys = got
			}
		}
	})
}

// prefixLength is "/12": the length of the widest prefix that may be opened.
func prefixLength(key string, p *int, bits int) field {
	example := fmt.Sprintf(`"/%d"`, *p)
	return scalar(key, "a prefix length such as "+example, example, func(r *reader, v value, s string) {
		digits, slash := strings.CutPrefix(s, "/")
		n, err := strconv.ParseUint(digits, 10, 8)
		if !slash || err != nil || int(n) > bits {
			r.bad(v.path, fmt.Sprintf("%s: %q is no prefix length", dotted(v.path), s),
				fmt.Sprintf(`write "/0" to "/%d", such as %s`, bits, example))
			return
		}
		*p = int(n)
	})
}

// lastDay is a date; p is the beginning of that day, in UTC.
func lastDay(key string, p *time.Time) field {
	const want = "a date without quotes, such as 2027-03-31"
	return scalar(key, want, "", func(r *reader, v value, d time.Time) {
		if d.Location().String() != "date-local" { // as the TOML library marks a date without a time
			r.bad(v.path, dotted(v.path)+" has a time of day", "write "+want)
			return
		}
		if d.Year() < 1970 { // the year 1 would be none at all
			r.bad(v.path, fmt.Sprintf("%s is in the year %d", dotted(v.path), d.Year()), "write "+want)
			return
		}
		*p = time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, time.UTC)
	})
}

func table(key string, fields ...field) field {
	return field{key: key, sub: fields, read: func(r *reader, v value) bool {
		if !r.table(v, fields) {
			r.bad(v.path, fmt.Sprintf("%s is %s", dotted(v.path), typeName(v.raw)), "write a table, "+header(v.path))
		}
		return true
	}}
}

// named is a table of tables whose names the user chooses: add makes room for
// a new one and returns its fields.
func named(key, example string, sub []field, add func(r *reader, path place, name string) []field) field {
	want := fmt.Sprintf("a table with a name, [%s.%s]", key, example)
	f := entries(key, want, func() {}, func(r *reader, e value, name string) {
		if _, ok := e.raw.(map[string]any); !ok {
			r.bad(e.path, fmt.Sprintf("%s is %s", dotted(e.path), typeName(e.raw)), "write "+want)
			return
		}
		r.table(e, add(r, e.path, name))
	})
	f.sub, f.named = sub, true
	return f
}

// entries is a table of any keys: start is called once, each for each of them.
func entries(key, want string, start func(), each func(r *reader, e value, name string)) field {
	return scalar(key, want, "", func(r *reader, v value, m map[string]any) {
		start()
		for _, name := range r.keys(m, v.path) {
			each(r, v.at(name, m[name]), name)
		}
	})
}

// server reads "IP" or "IP:port", with port 53 where none is.
func server(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a.Unmap(), 53), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address of a server; write \"192.0.2.53\" or \"192.0.2.53:53\" (a name would have to be resolved first)", s)
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// server checks one element of an array of name servers.
func (r *reader) server(v value, s string) (netip.AddrPort, bool) {
	ap, err := server(s)
	if err != nil {
		r.badErr(v.path, err)
		return ap, false
	}
	if ap.Addr().IsUnspecified() || ap.Addr().IsMulticast() {
		r.bad(v.path, fmt.Sprintf("%s: %s is no address that can be asked", dotted(v.path), ap.Addr()),
			"write the address of one name server")
		return ap, false
	}
	return ap, true
}

// required takes the default away from a key that has none.
func required(f field) field {
	f.def = ""
	return f
}
