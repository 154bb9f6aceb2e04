package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// Free is what the caller may still take of the volume that holds path, and its size, in bytes. A
// path that does not exist yet counts as its nearest folder that does.
func Free(path string) (freeBytes, totalBytes int64, err error) {
	for {
		p, err := windows.UTF16PtrFromString(path)
		if err != nil {
			return 0, 0, fmt.Errorf("free space of %s: %w", path, err)
		}
		var free, total, all uint64
		if err = windows.GetDiskFreeSpaceEx(p, &free, &total, &all); err == nil {
			return int64(free), int64(total), nil
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return 0, 0, fmt.Errorf("free space of %s: %w", path, err)
		}
		path = parent
	}
}
