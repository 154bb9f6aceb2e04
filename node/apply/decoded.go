package apply

import (
	"sync"

	"patchmesh/content"
	"patchmesh/policy"
)

// Decoded remembers descriptors that were read, checked against their hash and decoded: a plan asks for each of them, and
// there may be thousands. A name is a hash, so what was right once stays right, whatever becomes of the disk; whether
// an update is approved is never asked here. What it gives must not be changed. The zero value is ready for use.
type Decoded struct {
	mu   sync.Mutex
	byID map[content.ID]*policy.Descriptor
}

// maxDecoded bounds them; one takes a kilobyte or two. Then it begins again: most may be of approvals that have ended.
const maxDecoded = 1 << 14

// Get gives the descriptor of that name, or reads it. read gives bytes whose hash is id.
func (c *Decoded) Get(id content.ID, read func() ([]byte, error)) (*policy.Descriptor, error) {
	c.mu.Lock()
	d := c.byID[id]
	c.mu.Unlock()
	if d != nil {
		return d, nil
	}
	b, err := read()
	if err != nil {
		return nil, err
	}
	if d, err = policy.DecodeDescriptor(b); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil || len(c.byID) >= maxDecoded {
		c.byID = map[content.ID]*policy.Descriptor{}
	}
	c.byID[id] = d
	return d, nil
}

// keepOnly forgets all that wanted does not name.
func (c *Decoded) keepOnly(wanted func(content.ID) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.byID {
		if !wanted(id) {
			delete(c.byID, id)
		}
	}
}
