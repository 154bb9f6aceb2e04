package install

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// setDirect switches direct writing of an open file on or off; false if the file system has none.
func setDirect(f *os.File, on bool) bool {
	c, err := f.SyscallConn()
	if err != nil {
		return false
	}
	ok := false
	err = c.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil {
			return
		}
		if flags &^= unix.O_DIRECT; on {
			flags |= unix.O_DIRECT
		}
		_, err = unix.FcntlInt(fd, unix.F_SETFL, flags)
		ok = err == nil
	})
	return ok && err == nil
}

// isUnfit says whether a direct write was refused for its form: larger blocks than usual, or a file
// system that takes the flag and not the writes.
func isUnfit(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}
