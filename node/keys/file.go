package keys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"patchmesh/content/durable"
)

// maxFileBytes bounds a key file; a protected one has about 500 bytes.
const maxFileBytes = 16 << 10

// prepareFolder makes the folder, or checks that it is ours alone.
func prepareFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make key folder: %w", err)
	}
	return checkFolder(dir)
}

// checkFolder refuses a folder where others could put their own key in place of ours.
func checkFolder(dir string) error {
	fi, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("key folder %s: %w", dir, ErrNotFound)
	case err != nil:
		return fmt.Errorf("key folder: %w", err)
	case !fi.IsDir():
		return fmt.Errorf("key folder %s is not a folder: %w", dir, ErrFormat)
	}
	return checkMode(dir, fi)
}

// checkMode refuses what group or others may touch in any way.
func checkMode(path string, fi fs.FileInfo) error {
	if runtime.GOOS == "windows" {
		return nil // the data folder's access list guards it there, see disk.Guard
	}
	if perm := fi.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("%s has mode %04o, want %04o: %w (if nobody read it, repair with: chmod go= %q)",
			path, perm, perm&0o700, ErrExposed, path)
	}
	return nil
}

// readSecret reads a private file; ErrNotFound, ErrExposed, ErrFormat.
func readSecret(path string) ([]byte, error) {
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: %w", path, ErrFormat)
	}
	if err := checkMode(path, fi); err != nil {
		return nil, err
	}
	return readLimited(path, f)
}

func readLimited(path string, r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	if len(b) > maxFileBytes {
		return nil, fmt.Errorf("%s has more than %d bytes: %w", path, maxFileBytes, ErrFormat)
	}
	return b, nil
}

// writeNew makes a file that is complete and durable when it appears. ErrExists if the name is taken.
func writeNew(path string, body []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*") // 0600 from the start
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(body)
	if err == nil && runtime.GOOS != "windows" {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = publish(f.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", path, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("write key %s: %w", path, err)
	}
	return durable.Folder(dir)
}

// publish gives a finished file its name without ever replacing one: a link fails where a rename
// would overwrite. Where there are no links, the look before the rename has to do.
func publish(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fs.ErrExist
	}
	return os.Rename(temp, path)
}
