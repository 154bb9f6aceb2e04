package swarm

import "slices"

// chunksCarried: somebody has put a medium into this machine. What it brought is known to the
// neighbours at once, so one stick feeds one machine and the mesh does the rest.
func (c *Core) chunksCarried(e ChunksCarried) {
	l := c.inStore(e.Payload)
	if l == nil {
		c.countCarried(e)
		return
	}
	l.Media += e.Bytes
	l.carried = l.opening
	if e.Have == nil || e.Have.Len() != l.chunks {
		return
	}
	for i := range l.chunks {
		if e.Have.Has(i) && l.have.Set(i) {
			c.cancelTwins(l, i)
		}
	}
	l.haveBytes = l.countBytes()
	c.countSole(l)
	c.tellHave(l)
	c.drive(l)
	c.payloadChanged(l)
}

// countCarried keeps the count of what came before the payload was known, as when a stopped machine was
// fed. The chunks themselves are found in the store when it becomes known.
func (c *Core) countCarried(e ChunksCarried) {
	if e.Bytes == 0 {
		return
	}
	t := &c.tasks
	switch i, found := c.findCounted(e.Payload); {
	case found:
		t.counted[i].Media += e.Bytes
	case len(t.counted) < c.cfg.MaxPayloads:
		t.counted = slices.Insert(t.counted, i, SavedPayload{ID: e.Payload, bytesBy: bytesBy{Media: e.Bytes}})
	}
}
