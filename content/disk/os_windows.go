package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// noFollow: there is no such flag here; openRegular compares what it opened with what it looked at.
const noFollow = 0

func isNoSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// isBadSector says whether the medium could not read these bytes back.
func isBadSector(err error) bool { return errors.Is(err, windows.ERROR_CRC) }

// makePrivate takes the folder away from everyone but its owner, as Guard does.
func makePrivate(dir string, _ os.FileMode) error { return Guard(dir) }

// makeSparse keeps a chunk near the end from filling all before it with zeros on disk. It is a favour:
// file systems that cannot do it are slower, not wrong.
func makeSparse(f *os.File) {
	var n uint32
	_ = windows.DeviceIoControl(windows.Handle(f.Fd()), windows.FSCTL_SET_SPARSE, nil, 0, nil, 0, &n, nil)
}

// space is what the caller may still take of the volume below path, and the volume's size.
func space(path string) (freeBytes, totalBytes int64, err error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, 0, err
	}
	var free, total, all uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, &total, &all); err != nil {
		return 0, 0, err
	}
	return int64(free), int64(total), nil
}
