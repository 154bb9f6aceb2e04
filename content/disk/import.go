package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"patchmesh/content"
)

// Import implements content.Store: packed straight into a file of the folder, synced, and published by
// renaming it. A payload is never on disk twice, except that a former copy stays until the new one is
// complete.
func (s *Store) Import(r io.Reader, sizeBytes int64) (*content.PayloadMap, error) {
	if s.isClosed() {
		return nil, content.ErrClosed
	}
	if err := s.underQuota(sizeBytes); err != nil {
		return nil, err
	}
	if err := s.room(sizeBytes); err != nil {
		return nil, err
	}
	tmp := s.importPath()
	f, err := openRegular(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	m, err := content.Pack(r, sizeBytes, &fileEnd{s: s, f: f})
	if err == nil {
		err = s.sys.sync(f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.adopt(m, tmp)
	}
	if err != nil {
		_ = s.sys.remove(tmp) // the next opening removes it otherwise
		return nil, mapSpace(fmt.Errorf("import payload: %w", err))
	}
	return m, nil
}

// imports counts the files of this process: with its number they make names that no store has used, so
// that an import that outlives its store never removes the file of another.
var imports atomic.Int64

func (s *Store) importPath() string {
	return filepath.Join(s.dir, fmt.Sprintf("%s%d-%d%s", importPrefix, os.Getpid(), imports.Add(1), newSuffix))
}

// adopt makes a complete, synced file the published one of m.
func (s *Store) adopt(m *content.PayloadMap, tmp string) error {
	s.steps.Lock()
	defer s.steps.Unlock()
	if s.isClosed() {
		return content.ErrClosed
	}
	p, err := s.find(m.ID())
	if err != nil {
		p = s.newPayload(m, partial)
		if err := s.replaceFile(p.path(mapSuffix), m.Encode()); err != nil {
			return err
		}
	}
	p.step.Lock()
	defer p.step.Unlock()
	if err := p.finish(tmp); err != nil {
		return err
	}
	s.add(p)
	return s.removeFiles(p.id, haveSuffix, hintSuffix, partSuffix)
}

// fileEnd writes at the end of a file.
type fileEnd struct {
	s  *Store
	f  *os.File
	at int64
}

// Write implements io.Writer.
func (w *fileEnd) Write(b []byte) (int, error) {
	n, err := w.s.sys.writeAt(w.f, b, w.at)
	w.at += int64(n)
	return n, err
}
