//go:build !windows

package apply

import (
	"fmt"
	"os"
	"syscall"
)

// Private makes a folder for this user alone, or checks that it is one. Whoever could put a file or a
// link into it could choose what is trusted or installed.
func Private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at folder: %w", err)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch {
	case !fi.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	case !ok || int(st.Uid) != os.Geteuid():
		return fmt.Errorf("folder %s belongs to another user", dir)
	case fi.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("folder %s has mode %04o, others can reach into it; want 0700", dir, fi.Mode().Perm())
	}
	return nil
}
