package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestApply_dataKept: a reload that changes nothing of a zone's files keeps what
// was loaded of them, although they are broken now.
func TestApply_dataKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data")
	writeFile(t, file, "192.0.2.1\n")
	d, _ := adminOf(t, dataConfig(file))
	before := d.backends["data.example"]
	writeFile(t, file, "<html>\n")
	for name, text := range map[string]string{
		"another resolver": strings.Replace(dataConfig(file), "127.0.0.1:53\"", "127.0.0.1:54\"", 1),
		"another setting":  dataConfig(file) + "listed = [\"127.0.0.2\"]\n",
	} {
		c, err := parsed(t, text)
		if err == nil {
			err = d.apply(c)
		}
		if err != nil || d.backends["data.example"] != before {
			t.Errorf("%s: %v, and the data was read anew: %t", name, err, d.backends["data.example"] != before)
		}
	}
}

// TestApply_dataLater: data that is not meant yet, by a clock that may not be
// set yet, does not keep the server from starting. A reload keeps what it has.
func TestApply_dataLater(t *testing.T) {
	folder := t.TempDir()
	now, later, past := filepath.Join(folder, "now"), filepath.Join(folder, "later"), filepath.Join(folder, "past")
	writeFile(t, now, "192.0.2.1\n")
	writeFile(t, later, "$TIMESTAMP 2037:01:01\n192.0.2.1\n")
	writeFile(t, past, "$TIMESTAMP 2020:01:01 +1w\n192.0.2.1\n")
	d, _ := adminOf(t, dataConfig(later))
	for _, step := range []struct {
		file, state, refused string
	}{
		{later, "unreachable", ""},
		{past, "unreachable", ""}, // nothing is lost
		{later, "unreachable", ""},
		{now, "healthy", ""},
		{later, "healthy", "timestamp is in the future"},
		{past, "healthy", "the data has expired"},
	} {
		c, err := parsed(t, dataConfig(step.file))
		if err == nil {
			err = d.apply(c)
		}
		if step.refused == "" && err != nil || step.refused != "" && !strings.Contains(fmt.Sprint(err), step.refused) {
			t.Errorf("reload with the data for %s: %v, want %q", filepath.Base(step.file), err, step.refused)
		}
		if got := d.overview().Lists[1]; got.Zone != "data.example" || got.State != step.state {
			t.Errorf("with the data for %s: %+v, want it %s", filepath.Base(step.file), got, step.state)
		}
	}
}
