//go:build unix

package dataset

import (
	"os"
	"syscall"
)

// inode tells a file from one that was renamed over it.
func inode(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}
