package durable

import (
	"os"
	"path/filepath"
)

// Replace writes a small file in one step, readable by its owner alone: after a crash the old or the new
// content is there. Errors are those of the system.
func Replace(path string, b []byte) error { return replace(path, b, 0o600) }

// ReplaceReadable is Replace for a file that everybody may read, whatever the umask of this process.
func ReplaceReadable(path string, b []byte) error { return replace(path, b, 0o644) }

func replace(path string, b []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && mode != 0o600 { // the umask may have taken the right of others to read
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = Folder(filepath.Dir(path))
	}
	return err
}
