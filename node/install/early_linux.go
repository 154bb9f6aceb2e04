package install

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// unnamedFile makes a file without a name on the disk of a folder. It gets what any new file of the folder gets: its
// group, its access list, its label.
func unnamedFile(dir *os.File) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "make a file without a name in", Path: dir.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), dir.Name()), nil
}

// nameFile gives such a file a name in a folder of the same disk. There must be no file of that name.
func nameFile(f, dir *os.File, name string) error {
	self := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	return unix.Linkat(unix.AT_FDCWD, self, int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW)
}
