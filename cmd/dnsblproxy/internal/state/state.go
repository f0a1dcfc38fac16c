// Package state keeps small facts over a restart, one JSON file each: how much
// of a list's budget is spent, why it is in quarantine, what was counted.
//
// A file is written whole or not at all. One that cannot be read is set aside
// and as good as absent: what is kept here helps, and must never keep the
// proxy from starting. Without a folder nothing is kept.
//
// The package does not know what it keeps, and decides neither when nor for how
// long. The sets of rules' sources, which may be large, overrides keeps itself.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
)

// Dir is the folder; empty: nothing is kept.
type Dir string

// ErrTaken is why a folder cannot be claimed.
var ErrTaken = errors.New("it is in use by another server; give each a folder of its own")

// Claim makes the folder, reports whether one can write into it, and keeps it
// from other servers, which would undo what this one keeps, until release is
// called or the process ends.
func (d Dir) Claim() (release func() error, err error) {
	var lock *os.File // a nil one can be closed
	if d == "" {
		return lock.Close, nil
	}
	if err = os.MkdirAll(string(d), 0o750); err == nil {
		lock, err = os.OpenFile(filepath.Join(string(d), "lock"), os.O_CREATE|os.O_RDWR, 0o640)
	}
	if err != nil {
		return lock.Close, fmt.Errorf("keeping state: %w", err)
	}
	// A file system may know no locks.
	if errors.Is(syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK) {
		err = fmt.Errorf("keeping state in %s: %w", d, ErrTaken)
	}
	return lock.Close, err
}

// path makes a file name of any name.
func (d Dir) path(name string) string {
	return filepath.Join(string(d), url.PathEscape(name)+".json")
}

// Load reads what was saved under name into v, a pointer. found is false when
// there is nothing; v is untouched then. A file that is damaged, or not ours to
// read, is renamed to end in ".damaged", so that Save does not replace it, and
// the error says so.
func (d Dir) Load(name string, v any) (found bool, err error) {
	if d == "" {
		return false, nil
	}
	text, err := os.ReadFile(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err == nil {
		return true, nil
	}
	aside := d.path(name) + ".damaged"
	if failed := os.Rename(d.path(name), aside); failed != nil {
		return false, fmt.Errorf("reading kept state: %w; %w", err, failed)
	}
	return false, fmt.Errorf("%s cannot be read and was set aside as %s: %w", d.path(name), aside, err)
}

// Save writes v under name.
func (d Dir) Save(name string, v any) error {
	if d == "" {
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("keeping state: %w", err)
	}
	if err := os.MkdirAll(string(d), 0o750); err != nil {
		return fmt.Errorf("keeping state: %w", err)
	}
	if err := renameio.WriteFile(d.path(name), text, 0o640); err != nil {
		return fmt.Errorf("keeping state: %w", err)
	}
	return nil
}
