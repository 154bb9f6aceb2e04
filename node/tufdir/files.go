package tufdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"patchmesh/content/durable"
)

// files is a folder as this package uses it. Names have no separators, but for one subfolder.
type files interface {
	// read gives at most limit bytes; fs.ErrNotExist if there is no such file.
	read(name string, limit int64) ([]byte, error)
	// write makes or replaces a file and syncs its content. The name is not durable yet.
	write(name string, b []byte) error
	rename(old, new string) error
	// remove is content with a file that is not there.
	remove(name string) error
	// names lists the plain files of the folder ("." or a subfolder), sorted.
	names(sub string) ([]string, error)
	// syncFolder makes names of the folder ("" or the subfolder) durable.
	syncFolder(sub string) error
}

// replace is the one way in which a file changes. Nothing shows under its name before it is whole.
func replace(f files, sub, name string, b []byte) error {
	name = filepath.Join(sub, name)
	tmp := name + ".tmp"
	if err := f.write(tmp, b); err != nil {
		return err
	}
	if err := f.rename(tmp, name); err != nil {
		return err
	}
	return f.syncFolder(sub)
}

// osFiles is a folder of this machine.
type osFiles struct {
	dir  string
	mode fs.FileMode
}

func (o osFiles) read(name string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.Join(o.dir, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: larger than %d bytes", name, limit)
	}
	return b, nil
}

func (o osFiles) write(name string, b []byte) error {
	f, err := os.OpenFile(filepath.Join(o.dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, o.mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (o osFiles) rename(old, new string) error {
	if err := os.Rename(filepath.Join(o.dir, old), filepath.Join(o.dir, new)); err != nil {
		return fmt.Errorf("replace %s: %w", new, err)
	}
	return nil
}

func (o osFiles) remove(name string) error {
	if err := os.Remove(filepath.Join(o.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

func (o osFiles) names(sub string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(o.dir, sub))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", sub, err)
	}
	var out []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

func (o osFiles) syncFolder(sub string) error { return durable.Folder(filepath.Join(o.dir, sub)) }
