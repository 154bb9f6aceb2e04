//go:build !windows

package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Free is what an unprivileged writer may still take of the file system that holds path, and its
// size, in bytes. A path that does not exist yet counts as its nearest folder that does.
func Free(path string) (freeBytes, totalBytes int64, err error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(path, &st)
		if err == nil {
			return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return 0, 0, fmt.Errorf("free space of %s: %w", path, err)
		}
		path = parent
	}
}
