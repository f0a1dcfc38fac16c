package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// seed adds every configuration of the tests to the corpus.
func seed(f *testing.F) {
	f.Helper()
	paths, err := filepath.Glob("testdata/broken/*/config.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range append(paths, examplePath) {
		text, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("a.\"b.c\".'d' = { e = [1, [2, {f = 1}]], g.h = 1 }\n[[t]]\nx=1\n[t.u]\ny=2\n[[t]]\nx=2\n")
	f.Add("\"\\u00e9\\t\" = '''a'''''\n x = \"\"\"\\\"\"\"\"\"\"\n y = 1979-05-27 07:32:00 # c\n[ a . 'b' ] # d\nz={}\n")
}

// FuzzScan holds that in every document that the TOML library accepts, the
// scanner finds every key that the library found, at a line that exists.
func FuzzScan(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.TrimPrefix(text, "\ufeff")
		root, _ := survey(text) // must end on anything
		var doc map[string]any
		meta, err := toml.Decode(text, &doc)
		if err != nil {
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, key := range meta.Keys() {
			n := findKey(root, key)
			if n == nil {
				t.Fatalf("key %q is not found in\n%s", key, text)
			}
			if n.line < 1 || n.line > lines {
				t.Fatalf("key %q at line %d of %d", key, n.line, lines)
			}
		}
	})
}

// findKey looks through arrays, for the library's keys have no indexes.
func findKey(n *node, key []string) *node {
	if len(key) == 0 {
		return n
	}
	if k := n.kids[key[0]]; k != nil {
		if found := findKey(k, key[1:]); found != nil {
			return found
		}
	}
	for _, e := range n.elems {
		if found := findKey(e, key); found != nil {
			return found
		}
	}
	return nil
}

// FuzzParse holds that a refusal always has a place, and that what is
// accepted keeps the promises of the schema.
func FuzzParse(f *testing.F) {
	seed(f)
	o := testOptions(f)
	o.Readable = func(string) error { return nil }
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("config.toml", text, o)
		var e *Error
		if err != nil {
			if !errors.As(err, &e) || len(e.Problems) == 0 {
				t.Fatalf("Parse = %v, want an *Error with problems", err)
			}
			lines := strings.Count(text, "\n") + 1
			for _, p := range e.Problems {
				if p.Line < 1 || p.Line > lines || p.What == "" {
					t.Fatalf("%#v of %d lines", p, lines)
				}
			}
			return
		}
		if len(c.Zones) == 0 || len(c.Listen) == 0 && !c.Systemd || c.Resolver.Timeout > c.Resolver.Deadline || c.Cache.MinTTL > c.Cache.MaxTTL {
			t.Fatalf("Parse accepts what it should not: %+v", c)
		}
		for _, u := range c.Deny {
			if len(u.Zones) == 0 {
				t.Fatalf("deny rule %q without zones", u.Name)
			}
		}
	})
}
