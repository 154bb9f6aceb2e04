package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"patchmesh/content"
)

// phase is where a payload is in its life.
type phase int

const (
	partial   phase = iota // data in <id>.part
	published              // data in <id>
	gone                   // dropped, or the store was closed
)

// writeSlots bounds how many chunks of one payload are written at once.
const writeSlots = 16

// payload is one payload of the store.
type payload struct {
	store *Store
	m     *content.PayloadMap
	id    content.ID

	// step serialises what takes long and needs the payload to itself: saving, publishing, demoting,
	// ending. Chunks come and go meanwhile.
	step sync.Mutex

	// io is held shared while files are read and written, and exclusively while files move: no file is
	// renamed or closed under a reader. phase changes with step and io held; either suffices to read it.
	io    sync.RWMutex
	phase phase

	// A slot is held while a chunk of its number (modulo) is written. Two peers may deliver one chunk as
	// two different frames of equal length; written at once they would leave a mixture.
	slots [writeSlots]sync.Mutex

	sums sums // of chunks that were verified since the store was opened

	// Of a payload that was taken up with a new map, see unmapped.go; written before others see it.
	claimed *content.Bits // chunks to look for in the data file
	settled chan struct{} // closed when they were looked for; nil: nothing to wait for

	unsent atomic.Int64 // bytes written since the disk was last asked to begin

	hintMu sync.Mutex // owns hinted and writes of the hint file
	hinted []byte

	mu      sync.Mutex // owns the fields below; never held while files are touched
	have    *content.Bits
	saved   *content.Bits // have-bits in <id>.have: their data was synced
	dirty   bool          // have is more than saved
	pending int64         // bytes written since saving was last tried
	triedAt time.Time     // when that was
	losses  uint64        // grows whenever chunks that were there count as missing
	matched uint64        // losses+1 when a copy of the whole was found right, see copy.go; 0: never
	awaited []*awaited    // see follow.go
}

func (s *Store) newPayload(m *content.PayloadMap, ph phase) *payload {
	n := m.Len()
	p := &payload{store: s, m: m, id: m.ID(), phase: ph, triedAt: s.opt.Now()}
	if ph == published {
		p.have = content.FullBits(n)
	} else {
		p.have = content.NewBits(n)
	}
	p.saved = p.have.Clone()
	return p
}

// openFiles is called by handles with io held.
func (p *payload) openFiles(h *handle) (err error) {
	if p.phase == published {
		h.data, err = openRegular(p.path(finalSuffix), os.O_RDONLY)
		return err
	}
	if h.data, err = openRegular(p.path(partSuffix), os.O_RDWR); err != nil {
		return err
	}
	if h.hint, err = openRegular(p.path(hintSuffix), os.O_RDWR|os.O_CREATE); err != nil {
		return errors.Join(err, h.data.Close())
	}
	return nil
}

func (p *payload) path(suffix string) string { return p.store.path(p.id, suffix) }

// check is called with io held.
func (p *payload) check() error {
	if p.phase != gone {
		return nil
	}
	if p.store.isClosed() {
		return content.ErrClosed
	}
	return fmt.Errorf("payload %s: %w", p.id.Short(), content.ErrNotFound)
}

func (p *payload) bits() *content.Bits {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.have.Clone()
}

func (p *payload) has(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.have.Has(i)
}

func (p *payload) isPublished() bool {
	p.io.RLock()
	defer p.io.RUnlock()
	return p.phase == published
}

// put verifies before it writes, and writes before it counts.
func (p *payload) put(i int, stored []byte) (bool, error) {
	if err := p.m.CheckChunk(i, stored); err != nil {
		return false, err
	}
	fresh, err := p.write(i, stored)
	if err != nil || !fresh {
		return false, err
	}
	if !p.due() || !p.step.TryLock() { // whoever holds step saves, or will not need to
		return true, nil
	}
	defer p.step.Unlock()
	if err := p.save(); errors.Is(err, content.ErrDamaged) {
		return false, err // this chunk is among those that were given up
	}
	return true, nil // have-bits that could not be written cost nothing yet: saving is tried again
}

// write stores a verified chunk and says whether it was new.
func (p *payload) write(i int, stored []byte) (bool, error) {
	p.io.RLock()
	defer p.io.RUnlock()
	if err := p.check(); err != nil {
		return false, err
	}
	slot := &p.slots[i%writeSlots]
	slot.Lock()
	defer slot.Unlock()
	if p.has(i) {
		return false, nil
	}
	h, err := p.store.files.acquire(p)
	if err != nil {
		return false, err
	}
	defer p.store.files.release(h)
	if _, err := p.store.sys.writeAt(h.data, stored, p.m.Offset(i)); err != nil {
		return false, mapSpace(fmt.Errorf("write chunk %d: %w", i, err))
	}
	p.sums.note(i, p.m.Len(), stored)
	p.startStoring(h, len(stored))
	if err := p.writeHint(h.hint, i); err != nil {
		return false, err
	}
	p.gained(i)
	return true, nil
}

// gained counts chunk i as there.
func (p *payload) gained(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.have.Set(i)
	p.dirty = true
	p.pending += int64(p.m.Chunks[i].StoredBytes)
	p.wake(i)
}

// storeAheadBytes are written before the disk is asked to begin with them: asked for each chunk it gets many
// small pieces, since chunks come in any order.
const storeAheadBytes = 8 << 20

// startStoring has the disk begin with all that was written, once there is much: the sync at the end is then short.
func (p *payload) startStoring(h *handle, bytes int) {
	if n := p.unsent.Add(int64(bytes)); n >= storeAheadBytes && p.unsent.CompareAndSwap(n, 0) {
		StartStoring(h.data, 0, 0)
	}
}

// read reads the stored form of a chunk. Bytes that the disk does not give back are ErrDamaged.
func (p *payload) read(i int, buf []byte) (int, error) {
	p.io.RLock()
	defer p.io.RUnlock()
	if err := p.check(); err != nil {
		return 0, err
	}
	if !p.has(i) {
		return 0, fmt.Errorf("payload %s chunk %d: %w", p.id.Short(), i, content.ErrNotFound)
	}
	size := int(p.m.Chunks[i].StoredBytes)
	if len(buf) < size {
		return 0, fmt.Errorf("chunk %d of %d bytes: %w", i, size, io.ErrShortBuffer)
	}
	h, err := p.store.files.acquire(p)
	if err != nil {
		return 0, err
	}
	defer p.store.files.release(h)
	n, err := h.data.ReadAt(buf[:size], p.m.Offset(i))
	switch {
	case n == size:
		return n, nil
	case errors.Is(err, io.EOF) || isBadSector(err):
		return 0, fmt.Errorf("read chunk %d: %w: %w", i, content.ErrDamaged, err)
	}
	return 0, fmt.Errorf("read chunk %d: %w", i, err)
}

// end saves what there is and lets go of the files. Nothing is written after it.
func (p *payload) end() error {
	p.step.Lock()
	defer p.step.Unlock()
	err := p.save()
	p.io.Lock()
	defer p.io.Unlock()
	p.phase = gone
	p.wakeAll()
	return errors.Join(err, p.store.files.retire(p))
}
