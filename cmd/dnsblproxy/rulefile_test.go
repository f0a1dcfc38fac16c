package main

import (
	"strings"
	"testing"

	"dnsblproxy/overrides"
)

// FuzzRuleFile adds an entry to an arbitrary rule file and takes it out
// again. Every line that says something else stays byte for byte, in its
// order, and the file always reads as it should.
func FuzzRuleFile(f *testing.F) {
	f.Add("# comment\n192.0.2.1 # one\n\n.example.com\n", "192.0.2.2", "two")
	f.Add("192.0.2.1\r\n192.0.2.2 until 2099-01-01\r\n", "192.0.2.2", "")
	f.Add("\xef\xbb\xbf192.0.2.1\n192.0.2.0/31\n192.0.2.1", "192.0.2.1", "again")
	f.Add("", "2001:db8::/32 until 2099-01-01", "")
	f.Add("\n\n#", "10.0.0.0-10.0.0.9", "# x")

	f.Fuzz(func(t *testing.T, text, entry, comment string) {
		file, err := parseRuleFile("f", []byte(text))
		e, eerr := overrides.ParseEntry(entry)
		if err != nil || eerr != nil || strings.ContainsAny(comment, "\r\n") {
			return
		}
		before := others(text, e)
		file.addAll([]overrides.Entry{e}, comment)
		added := string(file.bytes())
		if got := others(added, e); got != before {
			t.Fatalf("adding %q changes other lines:\n%q\nwere\n%q", entry, got, before)
		}
		fresh, err := parseRuleFile("f", []byte(added))
		if err != nil || !fresh.has(e) {
			t.Fatalf("after adding %q the file reads %v:\n%q", entry, err, added)
		}
		if err := fresh.remove(e); err != nil {
			t.Fatalf("removing %q: %v", entry, err)
		}
		removed := string(fresh.bytes())
		if again, err := parseRuleFile("f", []byte(removed)); err != nil || again.has(e) {
			t.Fatalf("after removing %q the file reads %v:\n%q", entry, err, removed)
		}
		if got := others(removed, e); got != before {
			t.Fatalf("removing %q changes other lines:\n%q\nwere\n%q", entry, got, before)
		}
	})
}

// others returns the lines that do not say e, without the bytes at their ends
// that an edit may add or move: the last line's newline and the byte order
// mark.
func others(text string, e overrides.Entry) string {
	var kept []string
	for _, l := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, "\ufeff"), "\n"), "\n") {
		what, _, _ := strings.Cut(l, "#")
		got, err := overrides.ParseEntry(strings.TrimSpace(what))
		if err != nil || bare(got) != bare(e) {
			kept = append(kept, l)
		}
	}
	return strings.TrimSuffix(strings.Join(kept, "\n"), "\n")
}

func TestRemoveNamesTheWiderEntry(t *testing.T) {
	for _, tt := range []struct{ name, text, entry, want string }{
		{"prefix", "10.0.0.0/8\n", "10.1.2.3", "10.0.0.0/8 of line 1 holds it"},
		{"range", "#\n10.0.0.1-10.0.0.9\n", "10.0.0.4/31", "10.0.0.1-10.0.0.9 of line 2 holds it"},
		{"domain", ".example.com\n", "www.example.com", ".example.com of line 1 holds it"},
		{"another family", "::/0\n", "10.1.2.3", "10.1.2.3 does not stand there"},
		{"a domain that only ends alike", ".example.com\n", "badexample.com", "badexample.com does not stand there"},
	} {
		f, err := parseRuleFile("f", []byte(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		e, err := overrides.ParseEntry(tt.entry)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.remove(e); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: remove = %v, want %q", tt.name, err, tt.want)
		}
		if f.changed {
			t.Errorf("%s: the file is changed", tt.name)
		}
	}
}
