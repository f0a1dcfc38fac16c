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

// text is any string.
func text(key string, p *string) field {
	return field{key: key, want: "a string", def: strconv.Quote(*p), read: func(_ *reader, v value) bool {
		s, ok := v.raw.(string)
		if ok {
			*p = s
		}
		return ok
	}}
}

// oneOf is one of a few words.
func oneOf(key string, p *string, words ...string) field {
	want := `one of "` + strings.Join(words, `", "`) + `"`
	return field{key: key, want: want, def: strconv.Quote(*p), read: func(r *reader, v value) bool {
		s, ok := v.raw.(string)
		if !ok {
			return false
		}
		if !slices.Contains(words, s) {
			instead := "write " + want
			if n := nearest(s, words); n != "" {
				instead = fmt.Sprintf("did you mean %q?", n)
			}
			r.bad(v.path, fmt.Sprintf("%s cannot be %q", dotted(v.path), s), instead)
			return true
		}
		*p = s
		return true
	}}
}

// boolean is true or false.
func boolean(key string, p *bool) field {
	return field{key: key, want: "true or false, without quotes", def: strconv.FormatBool(*p),
		read: func(_ *reader, v value) bool {
			b, ok := v.raw.(bool)
			if ok {
				*p = b
			}
			return ok
		}}
}

// count is a whole number from least on.
func count(key string, p *int, least int) field {
	return field{key: key, want: "a whole number, without quotes", def: strconv.Itoa(*p),
		read: func(r *reader, v value) bool {
			n, ok := v.raw.(int64)
			if !ok {
				return false
			}
			if n < int64(least) || n > math.MaxInt32 {
				r.bad(v.path, fmt.Sprintf("%s cannot be %d", dotted(v.path), n),
					fmt.Sprintf("write a number from %d to %d", least, math.MaxInt32))
				return true
			}
			*p = int(n)
			return true
		}}
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
			r.bad(v.path, fmt.Sprintf("%s cannot be %q", dotted(v.path), s),
				fmt.Sprintf("write %q or more", shortDuration(least)))
		case d > most:
			r.bad(v.path, fmt.Sprintf("%s cannot be %q", dotted(v.path), s),
				fmt.Sprintf("write %q or less", shortDuration(most)))
		default:
			*p = d
		}
		return true
	}}
}

// ttl is a duration in whole seconds, as the DNS counts them.
func ttl(key string, p *time.Duration) field {
	f := duration(key, p, 0)
	inner := f.read
	f.read = func(r *reader, v value) bool {
		before := *p
		ok := inner(r, v)
		if *p%time.Second != 0 {
			*p = before
			r.bad(v.path, fmt.Sprintf("%s cannot be %q", dotted(v.path), v.raw), "write whole seconds, which the DNS counts in")
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

// size is a number of bytes with its unit.
func size(key string, p *int64, least, most int64) field {
	units := map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
	const want = `a size with its unit, such as "64MiB"`
	return field{key: key, want: want, def: strconv.Quote(shortSize(*p)), read: func(r *reader, v value) bool {
		s, ok := v.raw.(string)
		if !ok {
			return false
		}
		m := sizePattern.FindStringSubmatch(s)
		if m == nil {
			r.bad(v.path, fmt.Sprintf("%s: %q is no size", dotted(v.path), s),
				`write a number and a unit of B, KiB, MiB or GiB, such as "64MiB"`)
			return true
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil || n > most/units[m[2]] {
			r.bad(v.path, fmt.Sprintf("%s cannot be %q", dotted(v.path), s),
				fmt.Sprintf("write %q or less", shortSize(most)))
			return true
		}
		if n *= units[m[2]]; n < least {
			r.bad(v.path, fmt.Sprintf("%s cannot be %q", dotted(v.path), s),
				fmt.Sprintf("write %q or more", shortSize(least)))
			return true
		}
		*p = n
		return true
	}}
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
	quoted := make([]string, len(*p))
	for i, s := range *p {
		quoted[i] = strconv.Quote(s)
	}
	return list(key, "an array of strings", "["+strings.Join(quoted, ", ")+"]",
		func() { *p = nil },
		func(r *reader, v value, s string) {
			if s, ok := check(r, v, s); ok {
				*p = append(*p, s)
			}
		})
}

// list is an array of strings: start is called once, each for each element.
func list(key, want, def string, start func(), each func(r *reader, v value, s string)) field {
	return field{key: key, want: want, def: def, read: func(r *reader, v value) bool {
		raws, ok := v.raw.([]any)
		if !ok {
			if one, isText := v.raw.(string); isText {
				r.bad(v.path, fmt.Sprintf("%s is a string", dotted(v.path)), fmt.Sprintf("write [%q]", one))
				return true
			}
			return false
		}
		start()
		for i, raw := range raws {
			e := v.elem(raw, i)
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
	f := text(key, p)
	inner := f.read
	f.read = func(r *reader, v value) bool {
		if !inner(r, v) {
			return false
		}
		*p = r.absolute(*p)
		return true
	}
	return f
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
	return field{key: key, want: "a string", def: strconv.Quote(p.Reveal()), read: func(r *reader, v value) bool {
		s, ok := v.raw.(string)
		if !ok {
			return false
		}
		complete := true
		var got []Secret
		s = envPattern.ReplaceAllStringFunc(s, func(ref string) string {
			name := ref[2 : len(ref)-1]
			text := r.variable(name)
			if text == "" {
				complete = false
				r.bad(v.path, fmt.Sprintf("%s names the environment variable %s, which is not set", dotted(v.path), name), r.elsewhere(name))
			}
			got = append(got, Secret(text))
			return text
		})
		if rest := envPattern.ReplaceAllString(v.raw.(string), ""); complete && (strings.Contains(rest, "${") || shellPattern.MatchString(rest)) {
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
		return true
	}}
}

// prefixLength is "/12": the length of the widest prefix that may be opened.
func prefixLength(key string, p *int, bits int) field {
	example := fmt.Sprintf(`"/%d"`, *p)
	return field{key: key, want: "a prefix length such as " + example, def: example, read: func(r *reader, v value) bool {
		s, ok := v.raw.(string)
		if !ok {
			return false
		}
		digits, slash := strings.CutPrefix(s, "/")
		n, err := strconv.ParseUint(digits, 10, 8)
		if !slash || err != nil || int(n) > bits {
			r.bad(v.path, fmt.Sprintf("%s: %q is no prefix length", dotted(v.path), s),
				fmt.Sprintf(`write "/0" to "/%d", such as %s`, bits, example))
			return true
		}
		*p = int(n)
		return true
	}}
}

// lastDay is a local date; p is the beginning of that day.
func lastDay(key string, p *time.Time) field {
	const want = "a date without quotes, such as 2027-03-31"
	return field{key: key, want: want, read: func(r *reader, v value) bool {
		d, ok := v.raw.(time.Time)
		if !ok {
			return false
		}
		if d.Location().String() != "date-local" { // as the TOML library marks a date without a time
			r.bad(v.path, dotted(v.path)+" has a time of day", "write "+want)
			return true
		}
		if d.Year() < 1970 { // the year 1 would be none at all
			r.bad(v.path, fmt.Sprintf("%s is in the year %d", dotted(v.path), d.Year()), "write "+want)
			return true
		}
		*p = time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, time.UTC)
		return true
	}}
}

// table is a fixed table.
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
func named(key, example string, sub []field, add func(r *reader, path []any, name string) []field) field {
	want := fmt.Sprintf("a table with a name, [%s.%s]", key, example)
	return field{key: key, want: want, sub: sub, named: true, read: func(r *reader, v value) bool {
		m, ok := v.raw.(map[string]any)
		if !ok {
			return false
		}
		for _, name := range r.keys(m, v.path) {
			p := append(slices.Clip(v.path), name)
			if _, ok := m[name].(map[string]any); !ok {
				r.bad(p, fmt.Sprintf("%s is %s", dotted(p), typeName(m[name])), "write "+want)
				continue
			}
			r.table(value{m[name], p}, add(r, p, name))
		}
		return true
	}}
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
