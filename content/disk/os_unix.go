//go:build unix

package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// noFollow makes opening fail where a file was replaced by a symbolic link.
const noFollow = unix.O_NOFOLLOW

func isNoSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// isBadSector says whether the medium could not read these bytes back.
func isBadSector(err error) bool { return errors.Is(err, unix.EIO) }

// makePrivate takes the folder away from everyone but its owner.
func makePrivate(dir string, mode os.FileMode) error {
	if mode.Perm()&0o077 == 0 {
		return nil
	}
	return os.Chmod(dir, 0o700)
}

// makeSparse: files are sparse here.
func makeSparse(*os.File) {}
