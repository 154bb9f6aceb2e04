package disk

import (
	"container/list"
	"errors"
	"os"
	"sync"
)

// handle is the open files of one payload.
type handle struct {
	data *os.File
	hint *os.File // nil when published

	owner *payload
	users int
	place *list.Element
}

// handles keeps the files of recently used payloads open, so that serving a chunk is one read and a
// store of thousands of payloads does not run out of file descriptors.
type handles struct {
	mu    sync.Mutex // owns the fields below and handle's users and place
	max   int
	open  map[*payload]*handle
	order *list.List // of *handle, most recently used first
}

func newHandles(limit int) *handles {
	return &handles{max: limit, open: map[*payload]*handle{}, order: list.New()}
}

// acquire opens p's files, or shares them if they are open. The caller holds p.io and releases.
func (c *handles) acquire(p *payload) (*handle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.open[p]; h != nil {
		h.users++
		c.order.MoveToFront(h.place)
		return h, nil
	}
	h := &handle{owner: p, users: 1}
	if err := p.openFiles(h); err != nil {
		return nil, err
	}
	h.place = c.order.PushFront(h)
	c.open[p] = h
	c.trim()
	return h, nil
}

func (c *handles) release(h *handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.users--
	c.trim()
}

// trim closes what was not used for longest and is not in use now. While more than max are in use at
// once, more than max stay open: reads never fail for bookkeeping's sake.
func (c *handles) trim() {
	for at := c.order.Back(); at != nil && len(c.open) > c.max; {
		h := at.Value.(*handle)
		at = at.Prev()
		if h.users == 0 {
			_ = c.close(h) // nothing is buffered in a file: what matters is synced before it is claimed
		}
	}
}

// retire closes p's files. The caller holds p.io exclusively, so nobody uses them.
func (c *handles) retire(p *payload) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.open[p]
	if h == nil {
		return nil
	}
	return c.close(h)
}

func (c *handles) close(h *handle) error {
	c.order.Remove(h.place)
	delete(c.open, h.owner)
	err := h.data.Close()
	if h.hint != nil {
		err = errors.Join(err, h.hint.Close())
	}
	return err
}
