package trustdir

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"patchmesh/content/durable"
)

// system is what the store asks of the operating system: one method per step that can fail or be cut
// short by a power loss, so that tests can do both at every one of them.
type system interface {
	mkdirAll(path string) error
	mkdir(path string) error
	names(path string) ([]string, error) // of what is in a folder; empty if there is none
	open(path string) (io.ReadCloser, error)
	create(path string) (file, error) // a new file; an old one of that name is given up, never rewritten
	rename(from, to string) error
	removeAll(path string) error
	syncDir(path string) error
}

// file is a file being written.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// realSystem is the operating system.
type realSystem struct{}

func (realSystem) mkdirAll(path string) error { return os.MkdirAll(path, 0o700) }
func (realSystem) mkdir(path string) error    { return os.Mkdir(path, 0o700) }

func (realSystem) names(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, err
}

func (realSystem) open(path string) (io.ReadCloser, error) {
	// What is not a plain file is not ours: a pipe would block for ever, a link lead elsewhere.
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", filepath.Base(path))
	}
	return os.Open(path)
}

func (realSystem) create(path string) (file, error) {
	if err := os.RemoveAll(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

func (realSystem) rename(from, to string) error { return os.Rename(from, to) }
func (realSystem) removeAll(path string) error  { return os.RemoveAll(path) }
func (realSystem) syncDir(path string) error    { return durable.Folder(path) }

// readLimited reads a file of at most limit bytes, and never more than one byte beyond.
func (d *Dir) readLimited(path string, limit int64) ([]byte, error) {
	f, err := d.sys.open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: larger than %d bytes", path, limit)
	}
	return b, nil
}

// writeSynced writes a new file and does not return before it is on the disk. After an error nobody
// knows what is there: the file is given up, since a second sync of it might succeed without having
// written what the first one lost.
func (d *Dir) writeSynced(path string, body []byte) error {
	f, err := d.sys.create(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// replace makes a small file durable under a name that may be taken: after a crash there is the old
// one or the new one.
func (d *Dir) replace(name string, body []byte) error {
	tmp := filepath.Join(d.path, name+".tmp")
	if err := d.writeSynced(tmp, body); err != nil {
		return err
	}
	if err := d.sys.rename(tmp, filepath.Join(d.path, name)); err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	return d.sys.syncDir(d.path)
}
