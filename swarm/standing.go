package swarm

import (
	"slices"
	"strings"
	"time"

	"patchmesh/policy"
)

// Shun is a peer that is not asked for chunks any more, and why.
type Shun struct {
	Peer   PeerID        `json:"peer"`
	Until  time.Time     `json:"until"`
	Reason policy.Reason `json:"reason"`
}

// maxShuns bounds the list; the one that ends first goes first. A site has fewer machines than this.
const maxShuns = 4096

// shun stops asking a peer that sent wrong bytes. One wrong chunk is enough: transport integrity is
// guaranteed by TLS, so a chunk that does not hash right was wrong at the sender.
func (c *Core) shun(p *peer, reason policy.Reason, detail string) {
	c.noteRefused(p.id, reason, detail)
	until := c.now.Add(c.cfg.ShunFor)
	c.cancel(func(r *request) bool { return r.peer == p.id && !r.withdrawn })
	i, found := c.findShun(p.id)
	if found {
		c.tasks.shuns[i].Until = until
	} else {
		c.tasks.shuns = slices.Insert(c.tasks.shuns, i, Shun{Peer: p.id, Until: until, Reason: reason})
	}
	if len(c.tasks.shuns) > maxShuns {
		first := 0
		for i, s := range c.tasks.shuns {
			if s.Until.Before(c.tasks.shuns[first].Until) {
				first = i
			}
		}
		c.tasks.shuns = slices.Delete(c.tasks.shuns, first, first+1)
	}
	for _, l := range c.payloads {
		if p.have.of(l.id) != nil {
			c.uncountHolder(l, p)
			p.keep(l, nil)
			for i := range l.chunks {
				l.each[i].notLost() // nobody waits for what such a peer says it has
			}
		}
	}
	p.have = nil
	clear(p.far)
	p.haveChunks = 0
	c.save()
	if p.adjacent {
		c.act(Unlink{Peer: p.id, Reason: reason})
	}
	c.driveAll()
}

// sweepShuns ends what is over. A peer that is still connected has to say again what it holds: its session is
// closed, and the next one begins with that.
func (c *Core) sweepShuns() {
	c.tasks.shuns = slices.DeleteFunc(c.tasks.shuns, func(s Shun) bool {
		if c.now.Before(s.Until) {
			c.wakeBy(s.Until)
			return false
		}
		if c.byID[s.Peer] != nil {
			c.act(Unlink{Peer: s.Peer, Reason: s.Reason})
		}
		return true
	})
}

func (c *Core) findShun(id PeerID) (int, bool) {
	return slices.BinarySearchFunc(c.tasks.shuns, id, func(s Shun, id PeerID) int { return strings.Compare(string(s.Peer), string(id)) })
}

// shunned says whether a peer is not to be asked for chunks.
func (c *Core) shunned(id PeerID) bool {
	i, found := c.findShun(id)
	return found && c.now.Before(c.tasks.shuns[i].Until)
}
