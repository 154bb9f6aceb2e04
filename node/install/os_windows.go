package install

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"

	"patchmesh/content"
)

const openNoBlock = 0

// checkPrivate has nothing to look at: folders below the data folder inherit its access list (disk.Guard).
func checkPrivate(string, fs.FileInfo) error { return nil }

func keepOwner(*os.File, fs.FileInfo) {}

func isNoSpace(err error) bool {
	return errors.Is(err, content.ErrNoSpace) || errors.Is(err, windows.ERROR_DISK_FULL) ||
		errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

func isBusy(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_LOCK_VIOLATION)
}
