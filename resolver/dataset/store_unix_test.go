//go:build unix

package dataset

import (
	"syscall"
	"testing"
	"time"
)

// TestStore_refused: what keeps a file from being opened for a while, such as
// its rights, shows neither in its time nor in its size.
func TestStore_refused(t *testing.T) {
	watched(t, "192.0.2.1\n", nil, func(t *testing.T, s *Store, path string) {
		var had syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &had); err != nil {
			t.Fatal(err)
		}
		overwrite(t, path, "192.0.2.2\n")
		none := had
		none.Cur = 0 // root may open everything, but not without a descriptor
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
			t.Fatal(err)
		}
		after(9 * time.Second)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &had); err != nil {
			t.Fatal(err)
		}
		if s.Status().Err == nil || !lists(s, "1.2.0.192") {
			t.Error("the file was read without a descriptor")
		}
		after(3 * time.Second)
		if st := s.Status(); st.Err != nil || !lists(s, "2.2.0.192") {
			t.Errorf("a file that can be read again is not in force: %v", st.Err)
		}
	})
}
