//go:build unix

package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"patchmesh/content"
)

// openNoBlock keeps an open from hanging if somebody puts a pipe where a file was.
const openNoBlock = syscall.O_NONBLOCK

// checkPrivate refuses a folder that others own or can write.
func checkPrivate(dir string, fi fs.FileInfo) error {
	if perm := fi.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("folder %s has mode %04o, want 0700", dir, perm)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("folder %s belongs to user %d, not to us (%d)", dir, st.Uid, os.Geteuid())
	}
	return nil
}

// keepOwner gives f the owner of the file that it replaces, as far as we may.
func keepOwner(f *os.File, old fs.FileInfo) {
	if st, ok := old.Sys().(*syscall.Stat_t); ok {
		// Only root may give files away. For anybody else the file is theirs, as it would be with cp.
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
}

func isNoSpace(err error) bool {
	return errors.Is(err, content.ErrNoSpace) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isBusy(err error) bool {
	return errors.Is(err, syscall.ETXTBSY) || errors.Is(err, syscall.EBUSY)
}
