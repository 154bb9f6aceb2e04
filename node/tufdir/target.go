package tufdir

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"patchmesh/content/durable"
)

// OpenTarget opens a kept target for reading; fs.ErrNotExist if it is not there. Anything but a
// regular file is refused: a link put in its place would have another file taken for it.
func OpenTarget(dir, target string) (*os.File, error) {
	path := filepath.Join(dir, TargetName(target))
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file: %w", path, fs.ErrInvalid)
	}
	return os.Open(path)
}

// KeepTarget makes what fill writes the target, durably, if fill ends without an error; else it
// leaves what was there.
func KeepTarget(dir, target string, fill func(io.Writer) error) (path string, err error) {
	path = filepath.Join(dir, TargetName(target))
	f, err := os.CreateTemp(dir, ".part-*")
	if err != nil {
		return "", fmt.Errorf("keep target: %w", err)
	}
	tmp := f.Name()
	defer func() {
		if err != nil {
			_ = os.Remove(tmp)
		}
	}()
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Chmod(0o644)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = durable.Folder(dir)
	}
	if err != nil {
		return "", fmt.Errorf("keep target %.200q: %w", target, err)
	}
	return path, nil
}
