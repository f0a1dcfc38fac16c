package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// field binds one key of a table to the place of its value.
type field struct {
	key  string
	want string // what to write, for messages: `a duration such as "90s"`
	def  string // the default as a TOML value; "" without one

	// read stores the value. It returns false when the value does not even
	// have the type; what else is wrong it reports itself.
	read func(r *reader, v value) bool

	sub   []field // of a table, for Schema and for "belongs in"
	named bool    // a table of tables that the user names
}

// value is one TOML value with its place.
type value struct {
	raw  any
	path place
}

// place is the way to a value: keys (string) and indexes (int).
type place []any

// at leads on from it.
func (p place) at(steps ...any) place { return append(slices.Clip(p), steps...) }

// at is a value in it, below a key or an index.
func (v value) at(step, raw any) value { return value{raw: raw, path: v.path.at(step)} }

// reader takes one document through the schema and the checks.
type reader struct {
	Options
	file     string // as printed
	folder   string // relative paths start here
	c        *Config
	problems []Problem
	warnings []Problem
	names    map[string]string // of rules and watches so far, by kind and the name in lower case

	environment map[string]string // of the file; nil before it is read
	unreadable  bool              // there is such a file, which cannot be read
}

// bad reports a problem at the line of path.
func (r *reader) bad(path place, what, instead string) {
	r.problems = append(r.problems, r.c.Problem(what, instead, path...))
}

func (r *reader) warn(path place, what, instead string) {
	r.warnings = append(r.warnings, r.c.Problem(what, instead, path...))
}

// cannot reports a value of the right type.
func (r *reader) cannot(v value, instead string) {
	r.bad(v.path, fmt.Sprintf("%s cannot be %#v", dotted(v.path), v.raw), instead)
}

// badErr reports the refusal of a handed-in check, and each that is joined in it.
func (r *reader) badErr(path place, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			r.badErr(path, err)
		}
		return
	}
	what, instead := split(err)
	r.bad(path, fmt.Sprintf("%s: %s", dotted(path), what), instead)
}

// Load reads and checks the file. The error is an *Error with every problem.
// When the file is at least TOML, the Config is returned beside the error,
// for nothing but finding more problems.
func Load(path string, o Options) (*Config, error) {
	text, err := o.withDefaults().ReadFile(path)
	if err != nil {
		instead := "name the file with " + cmp.Or(o.Flag, "--config")
		if errors.Is(err, fs.ErrPermission) {
			instead = "run this as root, or let this user read it"
		}
		return nil, &Error{Problems: []Problem{{
			File: path, What: fmt.Sprintf("reading the configuration: %v", cause(err)), Instead: instead,
		}}}
	}
	return Parse(path, string(text), o)
}

// Parse is Load for a text at hand; path is where it stands.
func Parse(path, text string, o Options) (*Config, error) {
	raw, root, twice, err := decode(path, text)
	if err != nil {
		return nil, err
	}
	d := newDefaults()
	c := &d.Config
	c.Path, c.root = path, root
	r := &reader{Options: o.withDefaults(), file: path, folder: folderOf(path), c: c, problems: twice, names: map[string]string{}}
	r.table(value{raw: raw}, schema(&d))
	r.check()
	c.Warnings = Sorted(r.warnings)
	return c, Join(r.problems)
}

// folderOf is the absolute folder of the file.
func folderOf(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return filepath.Dir(path)
}

// syntaxProblem words an error of the TOML library, which stops at the first.
// It says whether what stands there is only written twice.
func syntaxProblem(path, text string, err error) (p Problem, twice bool) {
	p = Problem{File: path, Line: 1, What: strings.TrimPrefix(err.Error(), "toml: "),
		Instead: `write key = value, with text in double quotes, below a [table]`}
	var pe toml.ParseError
	if errors.As(err, &pe) {
		p.Line = min(max(pe.Position.Line, 1), strings.Count(text, "\n")+1)
		if strings.Contains(pe.Message, "table") && strings.HasSuffix(pe.Message, `got '\n' instead`) {
			p.Line-- // of a header it counts the newline that it names already
		}
		p.What = "not TOML: " + strings.TrimSuffix(lowerFirst(pe.Message), ".")
	}
	switch has := func(s string) bool { return strings.Contains(p.What, s) }; {
	case has("already been defined"), has("already created"):
		twice = true
		p.What, p.Instead = strings.TrimPrefix(p.What, "not TOML: "), "write it once"
	case has("expected value but found"): // and the text of it, which may be a key
		p.What, p.Instead = "not TOML: there is no value", `write text in double quotes, such as mode = "off"`
	case has("UTF-8"):
		p.Instead = "save the file as UTF-8"
	case has("invalid escape"):
		p.Instead = "write the text in single quotes, which leave a backslash as it is"
	}
	return p, twice
}

func lowerFirst(s string) string {
	if s == "" || strings.HasPrefix(s, "TOML") {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// table reads one table by its fields, in the order of the file.
func (r *reader) table(v value, fields []field) bool {
	m, ok := v.raw.(map[string]any)
	if !ok {
		return false
	}
	for _, key := range r.keys(m, v.path) {
		e := v.at(key, m[key])
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
		if i < 0 {
			r.unknown(e.path, e.raw, fields)
		} else if f := fields[i]; !f.read(r, e) {
			r.bad(e.path, fmt.Sprintf("%s is %s", dotted(e.path), typeName(e.raw)), "write "+f.want)
		}
	}
	return true
}

// keys lists the keys of m in the order of the file.
func (r *reader) keys(m map[string]any, path place) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.c.Line(path.at(a)...), r.c.Line(path.at(b)...)), cmp.Compare(a, b))
	})
}

// unknown reports a key that the table does not have. The commonest slip is a
// key that stands in the wrong table, for everything below a [header] belongs
// to it.
func (r *reader) unknown(path place, raw any, fields []field) {
	key := path[len(path)-1].(string)
	if name := unquoted(path, raw); name != "" {
		r.bad(path, fmt.Sprintf("[%s.%s] is read as tables in tables", path[0], name), fmt.Sprintf("put the name in quotes: [%s.%q]", path[0], name))
		return
	}
	what := fmt.Sprintf("unknown key %q", key)
	if len(path) > 1 {
		what += " in " + header(path[:len(path)-1])
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.key
	}
	instead := "remove it, or write one of " + strings.Join(slices.Sorted(slices.Values(names)), ", ")
	if home := homeOf(key); home != "" {
		instead = "it belongs " + home
	}
	r.bad(path, what, hint(key, names, instead))
}

// unquoted recognizes [zone.zen.spamhaus.org], whose dots make tables of the
// labels, and returns the name that was meant.
func unquoted(path place, raw any) string {
	if len(path) != 3 || !slices.Contains([]any{"zone", "allow", "deny", "watch"}, path[0]) || strings.Contains(path[1].(string), ".") {
		return "" // or it is in quotes already
	}
	name := fmt.Sprintf("%s.%s", path[1], path[2])
	m, ok := raw.(map[string]any)
	if !ok {
		return ""
	}
	for ok && len(m) == 1 {
		for key, inner := range m {
			if m, ok = inner.(map[string]any); ok {
				name += "." + key
			}
		}
	}
	return name
}

// homeOf says where the schema has the key, which is not where it was found.
func homeOf(key string) string {
	for _, k := range Schema() {
		if k.Path[len(k.Path)-1] != key {
			continue
		}
		if len(k.Path) == 1 {
			return "at the top of the file, above the first [table]"
		}
		var home place
		for _, p := range k.Path[:len(k.Path)-1] {
			home = append(home, p)
		}
		return "in " + header(home)
	}
	return ""
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// dotted prints a path as TOML would have it, indexes left out: the line
// tells which element it is.
func dotted(path place) string {
	var parts []string
	for _, p := range path {
		key, ok := p.(string)
		switch {
		case !ok:
		case bareKey.MatchString(key):
			parts = append(parts, key)
		default:
			parts = append(parts, fmt.Sprintf("%q", key))
		}
	}
	return strings.Join(parts, ".")
}

func header(path place) string { return "[" + dotted(path) + "]" }

// typeName says what a TOML value is. The value itself stays out: it may be a
// secret.
func typeName(raw any) string {
	switch raw.(type) {
	case string:
		return "a string"
	case int64, float64:
		return "a bare number"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date"
	case []any:
		return "an array"
	case map[string]any:
		return "a table"
	}
	return "an array of tables"
}
