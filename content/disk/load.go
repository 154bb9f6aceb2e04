package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"patchmesh/content"
)

var suffixes = []string{mapSuffix, partSuffix, haveSuffix, hintSuffix, finalSuffix}

// load reads what is there and clears what a crash left half done. Files with names that the store
// does not use are left alone.
func (s *Store) load() error {
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("read payload folder: %w", err)
	}
	found := map[content.ID][]string{} // suffixes
	for _, n := range names {
		id, suffix, ours := parseName(n.Name())
		switch {
		case isLeftover(n.Name()):
			if err := s.sys.remove(filepath.Join(s.dir, n.Name())); err != nil {
				return fmt.Errorf("remove leftover: %w", err)
			}
		case !ours:
		case n.Type() != 0:
			return fmt.Errorf("payload file %s: %w", n.Name(), ErrUnsafe)
		default:
			found[id] = append(found[id], suffix)
		}
	}
	for id, has := range found {
		p, err := s.loadPayload(id, has)
		if err != nil {
			return err
		}
		if p != nil {
			s.add(p)
		}
	}
	return nil
}

// isLeftover says whether a file was being written when the process ended.
func isLeftover(name string) bool {
	stem, isNew := strings.CutSuffix(name, newSuffix)
	if !isNew {
		return false
	}
	_, _, ours := parseName(stem)
	return ours || strings.HasPrefix(stem, importPrefix)
}

// parseName takes a file name apart; ours is false if the store would never use it.
func parseName(name string) (id content.ID, suffix string, ours bool) {
	for _, suffix := range suffixes {
		if text, ok := strings.CutSuffix(name, suffix); ok {
			if id, err := content.ParseID(text); err == nil {
				return id, suffix, true
			}
		}
	}
	return content.ID{}, "", false
}

// loadPayload makes sense of one payload's files. nil if there is nothing to work with: without a map they are what a
// removal has left and are removed, and with a damaged one they are set aside.
func (s *Store) loadPayload(id content.ID, has []string) (*payload, error) {
	isFinal, isPart := slices.Contains(has, finalSuffix), slices.Contains(has, partSuffix)
	if !slices.Contains(has, mapSuffix) || !isFinal && !isPart {
		return nil, s.removeFiles(id, suffixes...)
	}
	m, err := s.loadMap(id)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, s.setAside(id, has)
	}
	if !isFinal {
		p := s.newPayload(m, partial)
		return p, p.reopen(nil)
	}
	fi, err := os.Lstat(s.path(id, finalSuffix))
	if err != nil {
		return nil, fmt.Errorf("look at payload: %w", err)
	}
	if fi.Size() == m.StoredBytes() {
		return s.newPayload(m, published), s.removeFiles(id, partSuffix, haveSuffix, hintSuffix)
	}
	return s.salvage(m)
}

// loadMap reads a payload's map; nil if it does not hold.
func (s *Store) loadMap(id content.ID) (*content.PayloadMap, error) {
	b, err := readSmall(s.path(id, mapSuffix), content.MaxMapBytes)
	switch {
	case err == nil:
	case isDamage(err):
		return nil, nil
	default:
		return nil, err
	}
	m, err := content.DecodeMap(b)
	if err != nil || m.ID() != id {
		return nil, nil
	}
	return m, nil
}

// salvage takes a published file of the wrong size back: every chunk that still matches is kept.
func (s *Store) salvage(m *content.PayloadMap) (*payload, error) {
	if err := s.removeFiles(m.ID(), haveSuffix, hintSuffix); err != nil {
		return nil, err
	}
	if err := s.sys.rename(s.path(m.ID(), finalSuffix), s.path(m.ID(), partSuffix)); err != nil {
		return nil, fmt.Errorf("take back payload: %w", err)
	}
	p := s.newPayload(m, partial)
	return p, p.reopen(content.FullBits(m.Len()))
}

// reopen finds out what a partial payload has: saved bits are believed as far as the file reaches,
// hints are checked by hashing. hints are read from the hint file if nil.
func (p *payload) reopen(hints *content.Bits) error {
	p.io.Lock()
	defer p.io.Unlock()
	h, err := p.store.files.acquire(p)
	if err != nil {
		return err
	}
	defer p.store.files.release(h)
	fi, err := h.data.Stat()
	if err != nil {
		return fmt.Errorf("look at payload: %w", err)
	}
	if fi.Size() > p.m.StoredBytes() { // published like this it would not be taken for whole
		if err := h.data.Truncate(p.m.StoredBytes()); err != nil {
			return fmt.Errorf("trim payload: %w", err)
		}
	}
	if hints == nil {
		hints = readHints(h.hint, p.m.Len())
	}
	if p.saved, err = p.loadSaved(); err != nil {
		return err
	}
	p.have = content.NewBits(p.m.Len())
	buf := make([]byte, p.m.ChunkBytes)
	for i := range p.m.Len() {
		switch {
		case p.m.Offset(i+1) > fi.Size(): // a file cut short by a repaired file system
			p.saved.Clear(i)
		case p.saved.Has(i):
			p.have.Set(i)
		case hints.Has(i) && p.matches(h.data, i, buf):
			p.have.Set(i)
			p.dirty = true
			p.pending += int64(p.m.Chunks[i].StoredBytes)
		}
	}
	return p.rewriteHints()
}

// matches hashes one chunk where it lies.
func (p *payload) matches(f *os.File, i int, buf []byte) bool {
	b := buf[:p.m.Chunks[i].StoredBytes]
	n, _ := f.ReadAt(b, p.m.Offset(i))
	return n == len(b) && p.m.CheckChunk(i, b) == nil
}

// isDamage says whether a bookkeeping file is missing or unreadable, which costs fetching again, rather
// than out of reach, which should stop the store before it removes anything.
func isDamage(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, content.ErrDamaged) || isBadSector(err)
}

// loadSaved reads <id>.have. Anything odd means that nothing was saved.
func (p *payload) loadSaved() (*content.Bits, error) {
	none := content.NewBits(p.m.Len())
	b, err := readSmall(p.path(haveSuffix), maxHaveBytes)
	switch {
	case err == nil:
	case isDamage(err):
		return none, nil
	default:
		return nil, err
	}
	bits, err := decodeHave(p.id, p.m.Len(), b)
	if err != nil {
		return none, nil
	}
	return bits, nil
}
