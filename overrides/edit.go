package overrides

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/google/renameio/v2"
)

// AddItems appends items to a rule file, which it creates if need be, and
// returns how many it added. Everything that stands there stays as it is. An
// item that an entry of the file covers already is refused with the line that
// does, and then nothing is written; with skip it is left out instead.
//
// The file is replaced atomically, and calls of other processes wait, so that
// a reader sees the old or the new file and no edit is lost.
func AddItems(path string, items []Item, skip bool) (added int, err error) {
	return edit(path, func(old []byte, present []Entry) ([]byte, int, error) {
		have, added := coverOf(present), 0
		out := slices.Clone(old)
		eol := lineEnd(old)
		if len(out) > 0 && !bytes.HasSuffix(out, []byte{'\n'}) {
			out = append(out, eol...)
		}
		var refused []error
		for _, it := range items {
			if by, ok := have.covers(it.Entry); ok {
				if !skip {
					refused = append(refused, refusal(path, it.Entry, by))
				}
				continue
			}
			have.add(it.Entry)
			out = append(append(out, lineOf(it)...), eol...)
			added++
		}
		return out, added, errors.Join(refused...)
	})
}

func refusal(path string, e, by Entry) error {
	switch {
	case by.Line == 0:
		return &Problem{Msg: fmt.Sprintf("%s is given twice; name it once", e)}
	case by.sameAs(e):
		return &Problem{File: path, Line: by.Line, Msg: fmt.Sprintf("%s is there already (%s); remove it first to change it", e, by)}
	}
	return &Problem{File: path, Line: by.Line, Msg: fmt.Sprintf("%s is covered already by %s; nothing to add", e, by)}
}

// RemoveItems takes the lines with these entries out of a rule file, in any
// spelling, leaves everything else as it is, and returns how many lines went. An
// entry that no line holds is refused, and then nothing is written.
func RemoveItems(path string, entries []Entry) (removed int, err error) {
	return edit(path, func(old []byte, present []Entry) ([]byte, int, error) {
		drop := make(map[int]bool)
		var refused []error
		for _, e := range entries {
			found := false
			for _, p := range present {
				if p.sameAs(e) {
					drop[p.Line], found = true, true
				}
			}
			if !found {
				refused = append(refused, notThere(path, present, e))
			}
		}
		var out []byte
		for i, line := range bytes.SplitAfter(old, []byte{'\n'}) {
			if !drop[i+1] {
				out = append(out, line...)
			}
		}
		return out, len(drop), errors.Join(refused...)
	})
}

func notThere(path string, present []Entry, e Entry) error {
	for _, by := range present {
		if by.Domain == e.Domain && by.Range.holds(e.Range) {
			return &Problem{File: path, Line: by.Line, Msg: fmt.Sprintf("%s does not stand there by itself but is within %s; write except = [%q] in the rule", e, by, e.Range)}
		}
	}
	return &Problem{File: path, Msg: fmt.Sprintf("%s is not in the file; allow list shows what is", e)}
}

// edit replaces the file by what f makes of it and its entries, and returns by how
// many lines f says that they differ. The folder is locked meanwhile; a symbolic
// link stays one, and one that leads nowhere, perhaps to what is not mounted, is no
// empty file.
func edit(path string, f func(old []byte, present []Entry) ([]byte, int, error)) (int, error) {
	name := path
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	} else if to, link := os.Readlink(path); link == nil {
		return 0, &Problem{File: path, Msg: fmt.Sprintf("this is a link to %s, which cannot be read; create that, or remove the link", to)}
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return 0, fmt.Errorf("editing the rule file: %w", err)
	}
	defer dir.Close() // releases the lock
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return 0, fmt.Errorf("locking %s: %w", dir.Name(), err)
	}
	old, err := readBounded(path, maxRuleFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, &Problem{File: path, Msg: fileFault(err)}
	}
	present, problems := ParseRuleFile(name, old)
	if len(problems) > 0 {
		return 0, errors.Join(problems...)
	}
	next, lines, err := f(old, present)
	if err == nil && len(next) > maxRuleFile {
		err = &Problem{File: path, Msg: fmt.Sprintf("the file would be larger than %d MiB", maxRuleFile>>20)}
	}
	if err == nil && lines > 0 {
		err = replaceFile(path, next)
	}
	if err != nil {
		return 0, err
	}
	return lines, nil
}

// replaceFile writes atomically, with the owner and the mode of before. A new
// file is for everybody to read whatever the umask: the server is another user
// than the administrator who adds to a rule.
func replaceFile(path string, data []byte) error {
	p, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(0o644), renameio.WithExistingPermissions())
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { _ = p.Cleanup() }() // does nothing once replaced
	if info, err := os.Stat(path); err == nil {
		if sys, ok := info.Sys().(*syscall.Stat_t); ok && p.Chown(int(sys.Uid), int(sys.Gid)) != nil {
			// Only root may give a file away. The group is what the server may
			// read it by.
			const forAll = 0o004
			if err := p.Chown(-1, int(sys.Gid)); err != nil && info.Mode()&forAll == 0 {
				return &Problem{File: path, Msg: fmt.Sprintf("its group (%d) cannot be kept, by which the server may read it; run this as root, or as a member of the group", sys.Gid)}
			}
		}
	}
	if _, err := p.Write(data); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := p.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// lineEnd returns the line ending that the file has.
func lineEnd(data []byte) string {
	if i := bytes.IndexByte(data, '\n'); i > 0 && data[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// sameAs compares what entries open, whatever their dates and lines.
func (e Entry) sameAs(o Entry) bool { return e.Range == o.Range && e.Domain == o.Domain }
