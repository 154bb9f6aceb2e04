package tufdir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/gofrs/flock"

	"patchmesh/content/durable"
)

// Mirror is the folder of a static web host. It is used by one goroutine at a time.
type Mirror struct {
	files files
	lock  *flock.Flock
}

// mirrorFolders are all folders of a mirror, inner ones first: targets, and those of delegated approvers.
var mirrorFolders = []string{"targets/approvals", "targets", "."}

// OpenMirror makes the folder and its subfolders if need be. Others must be able to read all of them.
// ErrLocked if another process is writing: one of the two could show a head that the other has not finished.
func OpenMirror(dir string) (*Mirror, error) {
	if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(mirrorFolders[0])), 0o755); err != nil {
		return nil, fmt.Errorf("make mirror: %w", err)
	}
	for _, sub := range mirrorFolders[1:] {
		if err := durable.Folder(filepath.Join(dir, sub)); err != nil {
			return nil, err
		}
	}
	lock := flock.New(filepath.Join(dir, lockFile))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if !ok {
		return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
	}
	return &Mirror{files: osFiles{dir: dir, mode: 0o644}, lock: lock}, nil
}

// Close gives the folder back.
func (m *Mirror) Close() error { return m.lock.Close() }

// Read gives a file that is there; nil if it is not.
func (m *Mirror) Read(name string) ([]byte, error) {
	b, err := m.files.read(filepath.FromSlash(name), maxMirrorBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// maxMirrorBytes bounds one file; the greatest is a manifest of 32 MiB.
const maxMirrorBytes = 64 << 20

// Put writes a file that others lead to; written is false if it was there already, to the byte.
func (m *Mirror) Put(name string, b []byte) (written bool, err error) {
	have, err := m.Read(name)
	if err != nil {
		return false, err
	}
	if have != nil && bytes.Equal(have, b) {
		return false, nil
	}
	sub, base := path.Split(name)
	return true, replace(m.files, path.Clean("./"+sub), base, b)
}

// PutHead writes the file that leads to all others, once those are durable: also the ones that were
// there already, whose names a crash may have left unsynced.
func (m *Mirror) PutHead(name string, b []byte) (written bool, err error) {
	for _, sub := range mirrorFolders {
		if err := m.files.syncFolder(sub); err != nil {
			return false, err
		}
	}
	return m.Put(name, b)
}
