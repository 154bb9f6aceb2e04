package disk

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"patchmesh/content"
)

// castagnoli is the polynomial that processors compute by themselves, at many gigabytes a second.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sums are cheap checksums of chunks that were verified since the store was opened. They stand in for
// the hash when a chunk is served again and again: they find every flipped bit, and every run of up to
// 32 wrong ones. They guard against the disk, not against people: whoever can write to the file gains
// nothing, since each receiver hashes what it gets.
type sums struct {
	mu    sync.Mutex
	crc   []uint32
	known *content.Bits
}

// note remembers the checksum of a chunk that was just verified.
func (s *sums) note(i, chunks int, stored []byte) {
	c := crc32.Checksum(stored, castagnoli)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crc == nil {
		s.crc, s.known = make([]uint32, chunks), content.NewBits(chunks)
	}
	s.crc[i] = c
	s.known.Set(i)
}

// matches says whether a chunk is known and still what it was.
func (s *sums) matches(i int, stored []byte) bool {
	c := crc32.Checksum(stored, castagnoli)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.crc != nil && s.known.Has(i) && s.crc[i] == c
}

// serve reads a chunk for somebody else and makes sure that it is still what was verified: a machine
// whose disk rots must not be taken for one that lies. A chunk that does not match is put aside, as if
// it had never come, and the error is ErrDamaged.
func (p *payload) serve(i int, buf []byte) (int, error) {
	n, err := p.read(i, buf)
	if err == nil && p.sums.matches(i, buf[:n]) {
		return n, nil
	}
	if err == nil {
		if err = p.m.CheckChunk(i, buf[:n]); err == nil {
			p.sums.note(i, p.m.Len(), buf[:n])
			return n, nil
		}
		err = fmt.Errorf("%w: %w", content.ErrDamaged, err)
	}
	if !errors.Is(err, content.ErrDamaged) {
		return 0, err
	}
	if again := p.putAside(i, err); again != nil {
		return 0, again
	}
	return p.read(i, buf) // a second look found it well: that read had gone wrong, not the disk
}

// putAside is told that chunk i did not match. It returns that error if a second look agrees: then the
// chunk counts as missing.
func (p *payload) putAside(i int, damage error) error {
	if err := p.demote(i); err != nil {
		return err
	}
	if p.has(i) {
		return nil
	}
	return damage
}

// CheckChunk hashes one chunk where it lies, whatever was believed of it: what a scrub does, step by
// step. ErrDamaged puts it aside; ErrNotFound if it is not there. buf must hold the stored form of any chunk.
func (s *Store) CheckChunk(id content.ID, i int, buf []byte) (int, error) {
	p, err := s.find(id)
	if err != nil {
		return 0, err
	}
	if i < 0 || i >= p.m.Len() {
		return 0, fmt.Errorf("payload %s chunk %d: %w", id.Short(), i, content.ErrNotFound)
	}
	p.uncache(i)
	n, err := p.read(i, buf)
	if err == nil {
		if err = p.m.CheckChunk(i, buf[:n]); err == nil {
			return n, nil
		}
		err = fmt.Errorf("%w: %w", content.ErrDamaged, err)
	}
	if errors.Is(err, content.ErrDamaged) {
		err = p.putAside(i, err)
	}
	return int(p.m.Chunks[i].StoredBytes), err
}

// uncache has the next read come from the medium: what rots there looks well in memory.
func (p *payload) uncache(i int) {
	p.io.RLock()
	defer p.io.RUnlock()
	if p.check() != nil {
		return
	}
	h, err := p.store.files.acquire(p)
	if err != nil {
		return
	}
	defer p.store.files.release(h)
	dropCache(h.data, p.m.Offset(i), int64(p.m.Chunks[i].StoredBytes))
}

// lost tells whoever asked to hear of damage. The caller holds no lock but step.
func (p *payload) lost(indexes []int) {
	if f := p.store.opt.OnDamage; f != nil {
		f(p.id, indexes)
	}
}
