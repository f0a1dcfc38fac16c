package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"dnsblproxy/overrides"
)

// ruleFile is a rule file in the course of being edited: its lines as they
// are, with what overrides reads in them.
type ruleFile struct {
	lines   []string
	entries map[overrides.Entry]int // without Until and Line: index into lines
	newline string
	changed bool
}

// parseRuleFile refuses a file with problems: an edit would hide them.
func parseRuleFile(name string, data []byte) (*ruleFile, error) {
	entries, problems := overrides.ParseRuleFile(name, data)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	f := &ruleFile{entries: make(map[overrides.Entry]int, len(entries)), newline: "\n"}
	if len(data) > 0 {
		if bytes.Contains(data, []byte("\r\n")) {
			f.newline = "\r\n"
		}
		f.lines = strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	}
	for _, e := range entries {
		f.entries[bare(e)] = e.Line - 1
	}
	return f, nil
}

// bare is what an entry exempts, without its day and place.
func bare(e overrides.Entry) overrides.Entry {
	return overrides.Entry{Range: e.Range, Domain: e.Domain}
}

func (f *ruleFile) has(e overrides.Entry) bool {
	_, ok := f.entries[bare(e)]
	return ok
}

// add puts the entry behind all others.
func (f *ruleFile) add(e overrides.Entry, comment string) {
	f.entries[bare(e)] = len(f.lines)
	f.lines = append(f.lines, line(e, comment)+f.newline[:len(f.newline)-1])
	f.changed = true
}

func line(e overrides.Entry, comment string) string {
	s := e.String()
	if comment != "" {
		s += "  # " + comment
	}
	return s
}

// addAll adds entries or, where they are there, gives them the new day and
// comment in their place. It says what it did.
func (f *ruleFile) addAll(entries []overrides.Entry, comment string) string {
	added, renewed, present := 0, 0, 0
	for _, e := range entries {
		i, ok := f.entries[bare(e)]
		if !ok {
			f.add(e, comment)
			added++
			continue
		}
		old := strings.TrimRight(f.lines[i], "\r")
		c := comment
		if c == "" {
			c = commentOf(old)
		}
		if line(e, c) == line(parsedLine(old), commentOf(old)) {
			present++
			continue
		}
		f.lines[i] = line(e, c) + f.newline[:len(f.newline)-1]
		f.changed = true
		renewed++
	}
	return fmt.Sprintf("%d added, %d changed, %d already there", added, renewed, present)
}

func commentOf(line string) string {
	_, comment, _ := strings.Cut(line, "#")
	return strings.TrimSpace(comment)
}

// parsedLine reads a line that ParseRuleFile has accepted.
func parsedLine(line string) overrides.Entry {
	text, _, _ := strings.Cut(strings.TrimPrefix(line, "\ufeff"), "#")
	e, err := overrides.ParseEntry(text)
	if err != nil {
		return overrides.Entry{}
	}
	return e
}

// remove takes an entry out, and says which one holds it if it does not stand
// there by itself.
func (f *ruleFile) remove(e overrides.Entry) error {
	if !f.has(e) {
		for other, i := range f.entries {
			if contains(other, e) {
				return fmt.Errorf("%s does not stand there by itself: %s of line %d holds it; remove that, or except the address in the rule", bare(e), other, i+1)
			}
		}
		return fmt.Errorf("%s does not stand there", bare(e))
	}
	// Every line that says the same: the file may repeat itself.
	kept := f.lines[:0:0]
	for _, l := range f.lines {
		if got := parsedLine(strings.TrimRight(l, "\r")); got == (overrides.Entry{}) || bare(got) != bare(e) {
			kept = append(kept, l)
		}
	}
	f.lines, f.changed = kept, true
	fresh, err := parseRuleFile("", f.bytes())
	if err != nil {
		return err
	}
	f.entries = fresh.entries
	return nil
}

// contains says whether outer holds all of inner.
func contains(outer, inner overrides.Entry) bool {
	if inner.Domain.Name != "" {
		return outer.Domain.Below && (inner.Domain.Name == outer.Domain.Name || strings.HasSuffix(inner.Domain.Name, "."+outer.Domain.Name))
	}
	o, i := outer.Range, inner.Range
	return o.First.IsValid() && o.First.BitLen() == i.First.BitLen() && o.First.Compare(i.First) <= 0 && i.Last.Compare(o.Last) <= 0
}

func (f *ruleFile) bytes() []byte {
	if len(f.lines) == 0 {
		return nil
	}
	return []byte(strings.Join(f.lines, "\n") + "\n")
}

// edit changes a rule file as a whole: two commands at a time wait for each
// other, and the server reads the old file or the new one.
func (a *app) edit(path string, change func(*ruleFile) (said string, err error)) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // the link stays
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	lock, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", folder, err)
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := parseRuleFile(shownPath(path), data)
	if err != nil {
		return err
	}
	said, err := change(f)
	if err != nil {
		return err
	}
	if f.changed {
		if err := replace(path, f.bytes()); err != nil {
			return fmt.Errorf("writing %s: %w", shownPath(path), err)
		}
	}
	if a.json {
		return a.printJSON(map[string]any{"file": path, "changed": f.changed, "said": said})
	}
	_, err = fmt.Fprintln(a.out, said)
	return err
}

// replace writes the file beside the old one and renames it. Owner and
// permissions stay: root may edit what the server's user has to read.
func replace(path string, data []byte) error {
	file, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644), renameio.WithExistingPermissions())
	if err != nil {
		return err
	}
	defer file.Cleanup() //nolint:errcheck // after success there is nothing to clean up
	if info, err := os.Stat(path); err == nil {
		if old, ok := info.Sys().(*syscall.Stat_t); ok && (int(old.Uid) != os.Getuid() || int(old.Gid) != os.Getgid()) {
			if err := file.Chown(int(old.Uid), int(old.Gid)); err != nil {
				return err
			}
		}
	}
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.CloseAtomicallyReplace()
}
