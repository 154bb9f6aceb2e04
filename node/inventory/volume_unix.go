//go:build !windows

package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Volume names the file system that holds path: two paths have the same name when they share their free space. A path
// that does not exist yet counts as its nearest folder that does. readOnly: nothing can be written there.
func Volume(path string) (name string, readOnly bool, err error) {
	var st unix.Stat_t
	for {
		err := unix.Stat(path, &st)
		if err == nil {
			return strconv.FormatUint(uint64(st.Dev), 16), errors.Is(unix.Access(path, unix.W_OK), unix.EROFS), nil
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return "", false, fmt.Errorf("file system of %s: %w", path, err)
		}
		path = parent
	}
}
