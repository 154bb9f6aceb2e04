package disk

import (
	"errors"
	"fmt"

	"patchmesh/content"
	"patchmesh/content/durable"
)

// publish hashes everything, unless a copy was hashed just now, syncs, renames. Chunks are served all the while.
func (p *payload) publish() error {
	p.step.Lock()
	defer p.step.Unlock()
	if done, err := p.publishable(); done || err != nil {
		return err
	}
	if !p.foundRight() {
		bad, err := content.Verify(p.m, p.readUnlessClosed)
		if err != nil {
			return err
		}
		if len(bad) > 0 {
			return p.disown(bad)
		}
	}
	if err := p.syncData(); err != nil {
		return err
	}
	if err := p.finish(p.path(partSuffix)); err != nil {
		return err
	}
	return p.store.removeFiles(p.id, haveSuffix, hintSuffix)
}

func (p *payload) publishable() (done bool, err error) {
	p.io.RLock()
	defer p.io.RUnlock()
	if err := p.check(); err != nil {
		return false, err
	}
	if p.phase == published {
		return true, nil
	}
	if have := p.bits(); !have.Full() {
		return false, fmt.Errorf("payload %s: %d of %d chunks: %w", p.id.Short(), have.Count(), have.Len(), content.ErrIncomplete)
	}
	return false, nil
}

// readUnlessClosed lets Close end the hashing of a large payload.
func (p *payload) readUnlessClosed(i int, buf []byte) (int, error) {
	if p.store.isClosed() {
		return 0, content.ErrClosed
	}
	return p.read(i, buf)
}

// finish makes the complete, synced file at path the published one. The caller holds step.
func (p *payload) finish(path string) error {
	p.io.Lock()
	defer p.io.Unlock()
	if err := p.store.files.retire(p); err != nil { // some systems cannot rename an open file
		return fmt.Errorf("publish payload: %w", err)
	}
	if err := p.store.sys.rename(path, p.path(finalSuffix)); err != nil {
		return mapSpace(fmt.Errorf("publish payload: %w", err))
	}
	p.phase = published
	p.mu.Lock()
	p.have = content.FullBits(p.m.Len())
	p.dirty, p.pending = false, 0
	p.mu.Unlock()
	p.wakeAll() // an import brings all chunks at once
	return durable.Folder(p.store.dir)
}

// disown takes chunks that no longer match out of the have-bits, durably: they are fetched again.
func (p *payload) disown(bad []int) error {
	err := fmt.Errorf("payload %s: %d chunks: %w", p.id.Short(), len(bad), content.ErrDamaged)
	p.mu.Lock()
	for _, i := range bad {
		p.have.Clear(i)
		p.saved.Clear(i)
	}
	p.losses++
	p.dirty = true
	p.mu.Unlock()
	p.wakeAll()
	p.lost(bad)
	p.io.Lock()
	hintErr := p.rewriteHints()
	p.io.Unlock()
	return errors.Join(err, hintErr, p.save())
}

// demote is told that chunk i of a published payload does not match. If a second look agrees, the
// payload goes back to being partial, so that just this chunk can be fetched again.
func (p *payload) demote(i int) error {
	p.step.Lock()
	defer p.step.Unlock()
	if err := p.recheck(i); !errors.Is(err, content.ErrDamaged) {
		return err // read back well this time: the disk is fine, that read was not
	}
	if !p.isPublished() {
		return p.disown([]int{i}) // another reader was first to find damage
	}
	left := content.FullBits(p.m.Len())
	left.Clear(i)
	p.io.Lock()
	defer p.io.Unlock()
	if err := p.store.files.retire(p); err != nil {
		return fmt.Errorf("take back payload: %w", err)
	}
	// The bits come first: a crash in between leaves a published file, whose damage is found again.
	if err := p.store.replaceFile(p.path(haveSuffix), encodeHave(p.id, left)); err != nil {
		return err
	}
	if err := p.store.sys.rename(p.path(finalSuffix), p.path(partSuffix)); err != nil {
		return fmt.Errorf("take back payload: %w", err)
	}
	p.phase = partial
	p.mu.Lock()
	p.have, p.saved, p.dirty, p.pending = left, left.Clone(), false, 0
	p.losses++
	p.mu.Unlock()
	p.lost([]int{i})
	return errors.Join(p.rewriteHints(), durable.Folder(p.store.dir))
}

// recheck reads chunk i once more; ErrDamaged if it does not match.
func (p *payload) recheck(i int) error {
	buf := make([]byte, p.m.Chunks[i].StoredBytes)
	if _, err := p.read(i, buf); err != nil {
		return err
	}
	if err := p.m.CheckChunk(i, buf); err != nil {
		return fmt.Errorf("%w: %w", content.ErrDamaged, err)
	}
	return nil
}
