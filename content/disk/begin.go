package disk

import (
	"fmt"
	"os"

	"patchmesh/content"
)

// Begin implements content.Store. Nothing is allocated: a file grows as its chunks come. A payload of which the map
// was damaged is hashed first, which takes as long as reading it.
func (s *Store) Begin(m *content.PayloadMap) (*content.Bits, error) {
	have, err := s.tryBegin(m)
	if s.again(err) {
		return s.tryBegin(m)
	}
	return have, err
}

func (s *Store) tryBegin(m *content.PayloadMap) (*content.Bits, error) {
	p, fresh, err := s.begin(m)
	switch {
	case err != nil:
		return nil, err
	case fresh && p.settled != nil:
		err = p.settle()
		p.step.Unlock()
	case p.settled != nil:
		<-p.settled // else chunks would be fetched that are about to be found
	}
	if err != nil {
		return nil, err
	}
	have := p.bits()
	if fresh && p.settled == nil {
		return have, nil // room was looked for
	}
	if err := s.room(missingBytes(m, have)); err != nil {
		return nil, err
	}
	return have, nil
}

// begin finds the payload or makes it, which fresh says. One that has to be settled comes with its step held.
func (s *Store) begin(m *content.PayloadMap) (p *payload, fresh bool, err error) {
	s.steps.Lock()
	defer s.steps.Unlock()
	if s.isClosed() {
		return nil, false, content.ErrClosed
	}
	if p, err := s.find(m.ID()); err == nil {
		return p, false, nil
	}
	if _, there := s.unmappedBytes(m.ID()); there {
		p, err := s.takeUp(m)
		return p, true, err
	}
	if err := s.underQuota(m.StoredBytes()); err != nil {
		return nil, false, err
	}
	if err := s.room(m.StoredBytes()); err != nil {
		return nil, false, err
	}
	p = s.newPayload(m, partial)
	if err := p.create(); err != nil {
		return nil, false, err
	}
	s.add(p)
	return p, true, nil
}

func (s *Store) add(p *payload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payloads[p.id] = p
	delete(s.unmapped, p.id)
}

// create makes the files of a new payload; the map last, since it is what makes the others count.
// What a removal that went wrong left here is removed first: stale have-bits would be believed.
func (p *payload) create() error {
	if err := p.store.removeFiles(p.id, haveSuffix, hintSuffix, partSuffix, finalSuffix); err != nil {
		return err
	}
	f, err := openRegular(p.path(partSuffix), os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	makeSparse(f)
	if err := f.Close(); err != nil {
		return fmt.Errorf("begin payload: %w", err)
	}
	p.io.Lock()
	defer p.io.Unlock()
	if err = p.rewriteHints(); err == nil {
		err = p.store.replaceFile(p.path(mapSuffix), p.m.Encode())
	}
	if err != nil {
		_ = p.store.files.retire(p)
		_ = p.store.removeFiles(p.id, mapSuffix, hintSuffix, partSuffix) // else the next opening does
	}
	return err
}

// missingBytes is what is still to be written.
func missingBytes(m *content.PayloadMap, have *content.Bits) int64 {
	var sum int64
	for i := have.NextMissing(0); i >= 0; i = have.NextMissing(i + 1) {
		sum += int64(m.Chunks[i].StoredBytes)
	}
	return sum
}

// room refuses if needBytes more would eat into the reserve. What needs nothing always fits.
func (s *Store) room(needBytes int64) error {
	if needBytes == 0 {
		return nil
	}
	free, total, err := s.sys.space(s.dir)
	if err != nil {
		return fmt.Errorf("free space of payload folder: %w", err)
	}
	if need := needBytes + s.limits.Load().reserve(total); free < need {
		return &content.NoSpaceError{NeedBytes: need, FreeBytes: free}
	}
	return nil
}

// Drop implements content.Store. The map goes first: without it the rest is a leftover that the next
// opening removes, whatever happens to this process meanwhile.
func (s *Store) Drop(id content.ID) error {
	s.steps.Lock()
	defer s.steps.Unlock()
	if s.isClosed() {
		return content.ErrClosed
	}
	p, err := s.find(id)
	if err != nil {
		return s.dropUnmapped(id)
	}
	s.mu.Lock()
	delete(s.payloads, id)
	s.mu.Unlock()
	p.step.Lock()
	defer p.step.Unlock()
	p.io.Lock()
	defer p.io.Unlock()
	p.phase = gone
	p.wakeAll()
	_ = s.files.retire(p) // the files go away, so does what could not be written
	return s.removeFiles(id, mapSuffix, haveSuffix, hintSuffix, partSuffix, finalSuffix)
}
