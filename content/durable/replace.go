package durable

import (
	"os"
	"path/filepath"
)

// Replace writes a small file in one step, readable by its owner alone: after a crash the old or the new
// content is there. Errors are those of the system.
func Replace(path string, b []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
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
