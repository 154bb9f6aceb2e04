package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"patchmesh/content"
	"patchmesh/content/durable"
)

// The files of one payload; the final one has no suffix. newSuffix ends the name of a file that is
// still being written and will replace the one without it.
const (
	mapSuffix   = ".map"
	partSuffix  = ".part"
	haveSuffix  = ".have"
	hintSuffix  = ".hint"
	finalSuffix = ""

	newSuffix    = ".new"
	importPrefix = "import-"
	lockName     = ".lock"
)

// path is the one place where names on disk are made, from a content ID alone.
func (s *Store) path(id content.ID, suffix string) string {
	return filepath.Join(s.dir, id.String()+suffix)
}

// openRegular opens a file of the store. ErrUnsafe if it is anything but a regular file: whoever can
// plant a link here must not redirect our writes.
func openRegular(path string, flag int) (*os.File, error) {
	seen, err := os.Lstat(path)
	if err == nil && !seen.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), ErrUnsafe)
	}
	f, err := os.OpenFile(path, flag|noFollow, 0o600)
	if err != nil {
		return nil, mapSpace(fmt.Errorf("open payload file: %w", err))
	}
	fi, err := f.Stat()
	if err == nil && (!fi.Mode().IsRegular() || seen != nil && !os.SameFile(seen, fi)) {
		err = ErrUnsafe
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	return f, nil
}

// readSmall reads a whole file of at most limit bytes; ErrDamaged if there is more.
func readSmall(path string, limit int64) ([]byte, error) {
	f, err := openRegular(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: more than %d bytes: %w", filepath.Base(path), limit, content.ErrDamaged)
	}
	return b, nil
}

// replaceFile replaces a small file durably: after a crash there is the old one or the new one.
func (s *Store) replaceFile(path string, body []byte) error {
	tmp := path + newSuffix
	err := s.writeSynced(tmp, body)
	if err == nil {
		err = s.sys.rename(tmp, path)
	}
	if err != nil {
		_ = s.sys.remove(tmp) // the next opening removes it otherwise
		return mapSpace(fmt.Errorf("write %s: %w", filepath.Base(path), err))
	}
	return durable.Folder(s.dir)
}

func (s *Store) writeSynced(path string, body []byte) error {
	f, err := openRegular(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = s.sys.writeAt(f, body, 0)
	if err == nil {
		err = s.sys.sync(f)
	}
	return errors.Join(err, f.Close())
}

// removeFiles removes files of a payload; missing ones are no error.
func (s *Store) removeFiles(id content.ID, suffixes ...string) error {
	var errs []error
	for _, suffix := range suffixes {
		if err := s.sys.remove(s.path(id, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove payload: %w", err))
		}
	}
	return errors.Join(errs...)
}
