package main

import "testing"

// TestAnnotate_noFile: a file that the configuration names no more, and the
// server still has in force, keeps the name that the server has for it.
func TestAnnotate_noFile(t *testing.T) {
	c, err := parsed(t, rereadConfig+"[allow.x]\ncidr = [\"192.0.2.1\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	all := []exemption{{Rule: "x", Entry: "192.0.2.7", Source: "file allow.d/x.txt", Line: 2}}
	annotate(c, all)
	if got := all[0].place(); got != "file allow.d/x.txt:2" {
		t.Errorf("the entry is said to be in %q", got)
	}
}
