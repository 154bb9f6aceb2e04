package disk

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"patchmesh/content"
)

// <id>.have: number of chunks (4 bytes, big endian), bits, and the SHA-256 of the payload's ID and all
// that comes before, so that one payload's bits are never another's.
const (
	haveOverhead = 4 + 32
	maxHaveBytes = haveOverhead + content.MaxChunks/8
)

func encodeHave(id content.ID, bits *content.Bits) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(bits.Len()))
	b = append(b, bits.Bytes()...)
	sum := haveSum(id, b)
	return append(b, sum[:]...)
}

// decodeHave reads the bits of a payload of n chunks. Anything odd is content.ErrFormat.
func decodeHave(id content.ID, n int, b []byte) (*content.Bits, error) {
	if len(b) < haveOverhead || len(b) > maxHaveBytes {
		return nil, fmt.Errorf("have-bits in %d bytes: %w", len(b), content.ErrFormat)
	}
	body, sum := b[:len(b)-32], haveSum(id, b[:len(b)-32])
	if subtle.ConstantTimeCompare(sum[:], b[len(b)-32:]) != 1 || int64(binary.BigEndian.Uint32(body)) != int64(n) {
		return nil, fmt.Errorf("have-bits of %s: %w", id.Short(), content.ErrFormat)
	}
	return content.BitsFromBytes(n, body[4:])
}

func haveSum(id content.ID, body []byte) [32]byte {
	name := id.SHA256()
	h := content.NewHash()
	_, _ = h.Write(name[:])
	_, _ = h.Write(body)
	return [32]byte(h.Sum(nil))
}

// due says whether enough data or time has passed to save.
func (p *payload) due() bool {
	opt := &p.store.opt
	now := opt.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dirty && (p.pending >= opt.SaveBytes || now.Sub(p.triedAt) >= opt.SaveEvery)
}

func (p *payload) saveNow() error {
	p.step.Lock()
	defer p.step.Unlock()
	return p.save()
}

// save makes data durable, then the bits that speak of it. The caller holds step. ErrDamaged if the
// data could not be synced: everything since the last save is given up then.
func (p *payload) save() error {
	if p.phase != partial {
		return nil // a late saver must not write bits beside a payload that began anew under this name
	}
	p.mu.Lock()
	if !p.dirty {
		p.mu.Unlock()
		return nil
	}
	bits := p.have.Clone()
	p.dirty, p.pending, p.triedAt = false, 0, p.store.opt.Now()
	p.mu.Unlock()

	if err := p.syncData(); err != nil {
		return err
	}
	err := p.store.replaceFile(p.path(haveSuffix), encodeHave(p.id, bits))
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.dirty = true
		return err
	}
	p.saved = bits
	return nil
}

// syncData makes all chunks written so far durable. The caller holds step.
func (p *payload) syncData() error {
	err := p.trySync()
	if err == nil {
		return nil
	}
	// The kernel reports lost pages once and may call them clean afterwards: a later sync that succeeds
	// says nothing about them. Only what was synced before can be claimed.
	err = mapSpace(fmt.Errorf("sync payload %s: %w: %w", p.id.Short(), content.ErrDamaged, err))
	return errors.Join(err, p.revert())
}

func (p *payload) trySync() error {
	p.io.RLock()
	defer p.io.RUnlock()
	h, err := p.store.files.acquire(p)
	if err != nil {
		return err
	}
	defer p.store.files.release(h)
	return p.store.sys.sync(h.data)
}

// revert goes back to the bits that were saved.
func (p *payload) revert() error {
	p.io.Lock()
	defer p.io.Unlock()
	p.mu.Lock()
	p.have, p.dirty, p.pending = p.saved.Clone(), false, 0
	p.losses++
	p.mu.Unlock()
	p.wakeAll()
	return p.rewriteHints()
}
