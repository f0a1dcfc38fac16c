package overrides

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// TestAddItems_group: what one member of a group has edited is still the
// group's, so that the server and the others can read it.
func TestAddItems_group(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to be somebody else")
	}
	const somebody, group = 65534, 61234
	for name, tt := range map[string]struct {
		owner, group int
		want         string // in the refusal
	}{
		"of root and the group": {0, group, ""},
		"of another group":      {somebody, group + 1, "its group (61235) cannot be kept"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f.txt")
		write(t, path, "192.0.2.1\n")
		err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o775), os.Chown(dir, tt.owner, group),
			os.Chmod(path, 0o640), os.Chown(path, tt.owner, tt.group))
		if err != nil {
			t.Fatal(err)
		}
		err = as(somebody, group, func() error {
			_, err := AddItems(path, items(t, "192.0.2.2"), false)
			return err
		})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: AddItems = %v, want %q", name, err, tt.want)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if sys := info.Sys().(*syscall.Stat_t); int(sys.Gid) != tt.group || info.Mode() != 0o640 {
			t.Errorf("%s: the file is of group %d, mode %v; want %d, 0640", name, sys.Gid, info.Mode(), tt.group)
		}
	}
}

// as calls f as another user. The system knows users by thread, and this one
// ends with f.
func as(uid, group int, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		gid, nobody := uint32(group), uintptr(uid)
		_, _, e1 := syscall.RawSyscall(syscall.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&gid)), 0)
		_, _, e2 := syscall.RawSyscall(syscall.SYS_SETRESGID, nobody, nobody, nobody)
		_, _, e3 := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody)
		if e := max(e1, e2, e3); e != 0 {
			done <- e
			return
		}
		done <- f()
	}()
	return <-done
}
