package disk

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"patchmesh/content"
)

// Unmapped is a payload of which the map on disk is damaged: its bytes lie there, and nothing of them can be
// verified. It is neither listed nor served. Begin with the map, from wherever it comes, takes it up again; Import
// of the same bytes replaces it; Drop removes it. Opening the folder leaves it exactly as it is.
type Unmapped struct {
	ID        content.ID
	HeldBytes int64 // size of its data file
}

// Unmapped names them, ordered by ID.
func (s *Store) Unmapped() []Unmapped {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Unmapped
	for id, bytes := range s.unmapped {
		all = append(all, Unmapped{id, bytes})
	}
	slices.SortFunc(all, func(a, b Unmapped) int { return a.ID.Compare(b.ID) })
	return all
}

// unmappedBytes is what an unmapped payload holds; there is false if there is none of that name.
func (s *Store) unmappedBytes(id content.ID) (bytes int64, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes, there = s.unmapped[id]
	return bytes, there
}

// dropUnmapped removes one, its map first as Drop does. Unknown is no error. The caller holds steps.
func (s *Store) dropUnmapped(id content.ID) error {
	if _, there := s.unmappedBytes(id); !there {
		return nil
	}
	s.mu.Lock()
	delete(s.unmapped, id)
	s.mu.Unlock()
	return s.removeFiles(id, mapSuffix, haveSuffix, hintSuffix, partSuffix, finalSuffix)
}

// setAside notes a payload with a damaged map and touches nothing: one flipped bit in the map must not cost the
// payload, which on a seed may be the only copy.
func (s *Store) setAside(id content.ID, has []string) error {
	var bytes int64
	for _, suffix := range []string{finalSuffix, partSuffix} {
		if !slices.Contains(has, suffix) {
			continue
		}
		fi, err := os.Lstat(s.path(id, suffix))
		if err != nil {
			return fmt.Errorf("look at payload: %w", err)
		}
		bytes = max(bytes, fi.Size())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unmapped[id] = bytes
	return nil
}

// takeUp makes an unmapped payload one that has begun, with none of its chunks yet. The caller holds steps; it
// gets p with its step held, and calls p.settle. A kill on the way costs nothing: until the map is there it is unmapped as before, and from then on
// it has hints, of which each is hashed at the next opening.
func (s *Store) takeUp(m *content.PayloadMap) (*payload, error) {
	p := s.newPayload(m, partial)
	claims, err := p.claims()
	if err != nil {
		return nil, err
	}
	if err := s.replaceFile(p.path(hintSuffix), claims.Bytes()); err != nil {
		return nil, err
	}
	if err := s.removeFiles(p.id, haveSuffix); err != nil { // would be believed without hashing
		return nil, err
	}
	if err := s.replaceFile(p.path(mapSuffix), m.Encode()); err != nil {
		return nil, err
	}
	p.hinted, p.claimed, p.settled = claims.Bytes(), claims, make(chan struct{})
	p.step.Lock() // nobody else has it yet
	s.add(p)
	return p, nil
}

// claims are the chunks that may be in the data file, which is <id>.part afterwards.
func (p *payload) claims() (*content.Bits, error) {
	all := content.FullBits(p.m.Len())
	switch fi, err := os.Lstat(p.path(finalSuffix)); {
	case err == nil && !fi.Mode().IsRegular():
		return nil, fmt.Errorf("payload %s: %w", p.id.Short(), ErrUnsafe)
	case err == nil:
		if err := p.store.sys.rename(p.path(finalSuffix), p.path(partSuffix)); err != nil {
			return nil, fmt.Errorf("take up payload: %w", err)
		}
		return all, nil
	case !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("look at payload: %w", err)
	}
	claims, err := p.loadSaved()
	if err != nil {
		return nil, err
	}
	if f, err := openRegular(p.path(hintSuffix), os.O_RDONLY); err == nil {
		hints := readHints(f, p.m.Len())
		_ = f.Close()
		for i := range hints.Len() {
			if hints.Has(i) {
				claims.Set(i)
			}
		}
	}
	if claims.Count() == 0 { // or they are damaged as well
		return all, nil
	}
	return claims, nil
}

// settle hashes what is claimed to be in the data file of a payload that was taken up, and keeps what matches. Chunks
// that are found are served meanwhile, and others may come. The caller holds step and not Store.steps: it may take long.
func (p *payload) settle() error {
	defer close(p.settled)
	buf := make([]byte, p.m.ChunkBytes)
	for i := range p.m.Len() {
		if now, err := p.store.find(p.id); err != nil || now != p { // closed or dropped: what was found is hinted
			return cmp.Or(err, error(content.ErrNotFound))
		}
		if p.store.ending.Load() {
			return content.ErrClosed
		}
		if p.claimed.Has(i) {
			if err := p.lookFor(i, buf); err != nil {
				return err
			}
		}
	}
	p.io.Lock()
	err := p.rewriteHints()
	p.io.Unlock()
	return errors.Join(err, p.save())
}

// Interrupt ends the hashing of payloads that are being taken up, from now on: Close would, but whoever closes waits for
// those who use the store first. What was found is kept, and the rest is looked for after the next opening.
func (s *Store) Interrupt() { s.ending.Store(true) }

// lookFor counts chunk i as there if it is.
func (p *payload) lookFor(i int, buf []byte) error {
	p.io.RLock()
	defer p.io.RUnlock()
	if err := p.check(); err != nil {
		return err
	}
	slot := &p.slots[i%writeSlots]
	slot.Lock()
	defer slot.Unlock()
	if p.has(i) {
		return nil
	}
	h, err := p.store.files.acquire(p)
	if err != nil {
		return err
	}
	defer p.store.files.release(h)
	if !p.matches(h.data, i, buf) {
		return nil // missing: it comes again
	}
	p.sums.note(i, p.m.Len(), buf[:p.m.Chunks[i].StoredBytes])
	p.gained(i)
	return nil
}
