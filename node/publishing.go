package node

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/node/apply"
	"patchmesh/node/install"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// A payload is hashed as a whole before it is published, and its private copy is hashed before it is
// installed. Where the install follows at once the copy is made first, and the payload it was read from
// is published on the strength of that hash: the bytes are read and hashed once instead of twice.

// publishing is what was declared whole and is to be published after it was copied.
type publishing struct {
	mu   sync.Mutex
	owed map[content.ID]*time.Timer
}

// publishPatience is how long the announced install is waited for: it may be queued behind another one, or
// the plan may have changed meanwhile.
const publishPatience = 30 * time.Second

// owe has publish called in a while, unless take comes before.
func (p *publishing) owe(id content.ID, publish func(content.ID)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owed == nil {
		p.owed = map[content.ID]*time.Timer{}
	}
	if t := p.owed[id]; t != nil {
		t.Stop()
	}
	p.owed[id] = time.AfterFunc(publishPatience, func() { publish(id) })
}

// take says whether the payload is owed, and that the caller sees to it.
func (p *publishing) take(id content.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.owed[id]
	if t == nil {
		return false
	}
	t.Stop()
	delete(p.owed, id)
	return true
}

func (p *publishing) owes(id content.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owed[id] != nil
}

// stop forgets everything: what is whole is published when the node runs again.
func (p *publishing) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.owed {
		t.Stop()
	}
	p.owed = nil
}

// publishOwed publishes a payload that was called whole before it was hashed as one. If it turns out not to
// be, the core hears which chunks are missing.
func (n *Node) publishOwed(id content.ID) {
	if !n.owed.take(id) {
		return
	}
	err := n.store.Publish(id)
	switch {
	case err == nil, errors.Is(err, content.ErrNotFound), errors.Is(err, content.ErrClosed):
	case errors.Is(err, content.ErrIncomplete), errors.Is(err, content.ErrDamaged):
		n.log.Info("payload is not whole any more", "payload", id.Short(), "err", err)
		n.tellMissing(id)
	default:
		n.log.Warn("payload not published; it is tried again when the node starts", "payload", id.Short(), "err", err)
	}
}

// tellMissing tells the core what it may believe to have of a payload and has not: chunks that turned out
// damaged, or that a failed sync has cost (damageFound speaks of the former alone).
func (n *Node) tellMissing(id content.ID) {
	have, err := n.store.Have(id)
	if err != nil {
		return
	}
	var missing []int
	for i := range have.Len() {
		if !have.Has(i) {
			missing = append(missing, i)
		}
	}
	n.events.send(swarm.ChunksLost{Payload: id, Indexes: missing})
}

// publishInstalled is called when an install has ended, whatever way.
func (n *Node) publishInstalled(descriptor content.ID) {
	if d, err := n.descriptor(descriptor); err == nil {
		n.publishOwed(d.Payload)
	}
}

// publishLeft publishes what the last run of the program left whole and unpublished.
func (n *Node) publishLeft(id content.ID) {
	if n.owed.owes(id) {
		return
	}
	if err := n.store.Publish(id); err != nil {
		n.log.Info("payload from before not published", "payload", id.Short(), "err", err)
	}
}

// payloadCopy is a payload being copied by the apply role, which hashes what it copies.
type payloadCopy struct {
	*disk.Copy
	sum [32]byte // that approvers signed
}

// One that does not match is looked through, and the damaged chunk fetched again.
var (
	_ install.Copied = payloadCopy{}
	_ apply.Copied   = payloadCopy{}
)

// Matched is told by the role that the whole was the described one.
func (c payloadCopy) Matched() { c.Copy.Matched(c.sum) }

// openCopy reads a whole payload for whoever copies it.
func (n *Node) openCopy(d *policy.Descriptor) (io.ReadCloser, error) {
	return copyOf(d, func() (*disk.Copy, error) { return n.store.OpenCopy(d.Payload) })
}

// followCopy is openCopy while chunks are still to come.
func (n *Node) followCopy(ctx context.Context, d *policy.Descriptor) (io.ReadCloser, error) {
	return copyOf(d, func() (*disk.Copy, error) { return n.store.Follow(ctx, d.Payload) })
}

func copyOf(d *policy.Descriptor, open func() (*disk.Copy, error)) (io.ReadCloser, error) {
	sum, err := hex.DecodeString(d.SHA256)
	if err != nil || len(sum) != 32 {
		return nil, policy.ErrFormat
	}
	r, err := open()
	if err != nil {
		return nil, err
	}
	return payloadCopy{r, [32]byte(sum)}, nil
}
