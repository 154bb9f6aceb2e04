package disk

import (
	"fmt"

	"patchmesh/content"
)

// Copy reads a payload for somebody who hashes all that he copies and keeps it only if the whole matches,
// see content.NewCopyReader. If it does not, Recheck takes the payload back as OpenPlain would have done.
type Copy struct {
	*content.PlainReader
	p      *payload
	losses uint64 // of the payload when reading began
	over   func() // see NoMore; nil: nothing is waited for
}

// OpenCopy opens a payload of which all chunks are there, published or not: one that is not is hashed once
// by whoever copies it and, if Matched is called, not again before it is published. ErrIncomplete while
// chunks are missing; Follow waits for them.
func (s *Store) OpenCopy(id content.ID) (*Copy, error) {
	p, err := s.find(id)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	full, losses := p.have.Full(), p.losses
	p.mu.Unlock()
	if !full {
		return nil, fmt.Errorf("payload %s: %w", id.Short(), content.ErrIncomplete)
	}
	return &Copy{content.NewCopyReader(p.m, p.read, p.demote), p, losses, nil}, nil
}

// Matched says that the whole of what was read has this SHA-256. It counts only if everything was read, if
// that is the hash of the payload map, and as long as no chunk goes: a chunk is read only once it has come, and
// one that is there is not written again, so what was read then is what lies there.
func (c *Copy) Matched(sha256 [32]byte) {
	if !c.Whole() || sha256 != c.p.m.SHA256 {
		return
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.matched = c.losses + 1 // for naught if something was lost since
}

// foundRight says whether the bytes that are on disk now were read and hashed as a whole.
func (p *payload) foundRight() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.matched == p.losses+1
}
