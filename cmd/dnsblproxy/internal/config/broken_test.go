package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the messages that testdata/broken expects")

// TestBroken reads each broken configuration and compares the whole message.
// Every folder holds config.toml, want.txt, and what the configuration names.
func TestBroken(t *testing.T) {
	folders, err := filepath.Glob("testdata/broken/*")
	if err != nil || len(folders) < 45 {
		t.Fatalf("%d folders (%v), want at least 45", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Chdir(folder)
			_, err := Load("config.toml", testOptions(t))
			if err == nil {
				t.Fatal("Load accepts it")
			}
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile("want.txt", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile("want.txt")
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("Load says\n%swant\n%s", got, want)
			}
		})
	}
}

// TestBrokenShape holds what every message promises: a line, and what to
// write instead.
func TestBrokenShape(t *testing.T) {
	folders, err := filepath.Glob("testdata/broken/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Chdir(folder)
			_, err := Load("config.toml", testOptions(t))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Load = %v, want an *Error", err)
			}
			for i, p := range e.Problems {
				if p.Line < 1 || p.File != "config.toml" || p.What == "" {
					t.Errorf("%#v has no place", p)
				}
				if p.Instead == "" {
					t.Errorf("%s: does not say what to write instead", p)
				}
				if i > 0 && e.Problems[i-1].Line > p.Line {
					t.Errorf("line %d after line %d", p.Line, e.Problems[i-1].Line)
				}
				for _, key := range []string{"abcd1234", "hush"} {
					if strings.Contains(p.String(), key) {
						t.Errorf("%s: tells a secret", p)
					}
				}
			}
		})
	}
}
