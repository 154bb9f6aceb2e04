package swarm

import (
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// SavedPeer is a machine of this site as it was last seen: enough to tell what it may still lack while
// it is away. That is why a payload outlives the holidays of the last machine that needs it.
type SavedPeer struct {
	Peer   PeerID       `json:"peer"`
	Groups []string     `json:"groups,omitempty"`
	Head   int64        `json:"head"` // the newest head that it was known to have adopted
	SeenAt time.Time    `json:"seen_at"`
	Lacks  []content.ID `json:"lacks,omitempty"` // what it was still fetching
}

// rememberPeer notes what a neighbour may still lack when its session ends.
func (c *Core) rememberPeer(p *peer) {
	if p.seed || !c.neighbour(p) {
		return
	}
	c.forgetAbsent(p.id)
	s := c.peerNow(p)
	i, _ := c.findAbsent(p.id)
	c.retain.absent = slices.Insert(c.retain.absent, i, s)
	if len(c.retain.absent) <= c.cfg.MaxAbsent {
		return
	}
	oldest := 0
	for i, a := range c.retain.absent {
		if a.SeenAt.Before(c.retain.absent[oldest].SeenAt) {
			oldest = i
		}
	}
	c.retain.absent = slices.Delete(c.retain.absent, oldest, oldest+1)
}

// peerNow describes a neighbour as it would be remembered if its session ended now.
func (c *Core) peerNow(p *peer) SavedPeer {
	s := SavedPeer{Peer: p.id, Groups: p.groups, Head: p.headVersion, SeenAt: c.now}
	for _, l := range c.payloads {
		if r := p.have.of(l.id); r != nil && r.want && !r.bits.Full() {
			s.Lacks = append(s.Lacks, l.id)
		}
	}
	return s
}

func (c *Core) findAbsent(id PeerID) (int, bool) {
	return slices.BinarySearchFunc(c.retain.absent, id, func(s SavedPeer, id PeerID) int { return strings.Compare(string(s.Peer), string(id)) })
}

func (c *Core) forgetAbsent(id PeerID) {
	if i, found := c.findAbsent(id); found {
		c.retain.absent = slices.Delete(c.retain.absent, i, i+1)
	}
}

// savedPeers are the absent, and the present as if they left now: after a restart nobody is connected yet.
func (c *Core) savedPeers() []SavedPeer {
	all := slices.Grow(slices.Clone(c.retain.absent), len(c.peers))
	c.toNeighbours(func(p *peer) {
		if !p.seed {
			all = append(all, c.peerNow(p))
		}
	})
	slices.SortFunc(all, func(a, b SavedPeer) int { return strings.Compare(string(a.Peer), string(b.Peer)) })
	return all
}

// expireAbsent forgets machines that were away for so long that nobody expects them back.
func (c *Core) expireAbsent() {
	c.retain.absent = slices.DeleteFunc(c.retain.absent, func(s SavedPeer) bool { return c.now.Sub(s.SeenAt) > c.cfg.ForgetPeer })
}

// doubtAbsent: the numbers of heads begin anew under a new root, so nothing is known of what anybody
// away has adopted.
func (c *Core) doubtAbsent() {
	for i := range c.retain.absent {
		c.retain.absent[i].Head = 0
	}
}

// absentNeed counts the machines away that may still lack a payload: they were fetching it when they
// left, or have not seen the approval that brings it to them.
func (c *Core) absentNeed(l *payload) int {
	n := 0
	for _, s := range c.retain.absent {
		if slices.Contains(s.Lacks, l.id) || (l.since > s.Head && c.brought(s.Groups, l.id)) {
			n++
		}
	}
	return n
}

// brought says whether machines in these groups are to fetch a payload. Answers are kept while the
// manifest stays, and until the store is looked at again: many machines are in the same groups.
func (c *Core) brought(groups []string, id content.ID) bool {
	c.sameAnswers()
	key := strings.Join(groups, "\x00")
	set, known := c.retain.brought[key]
	if !known {
		set = c.broughtTo(groups)
		c.retain.brought[key] = set
	}
	return set[id]
}

// sameAnswers drops what was found out by another manifest.
func (c *Core) sameAnswers() {
	if r := &c.retain; r.askedOf != c.news.manifest {
		r.askedOf, r.brought, r.replaced = c.news.manifest, map[string]map[content.ID]bool{}, map[string]map[policy.UpdateID]bool{}
	}
}

// askAnew drops what was found out before: holds end, rings open and descriptions arrive while the manifest stays.
func (c *Core) askAnew() { c.retain.askedOf = nil }

// broughtTo is what machines in these groups are to fetch, without what is replaced there.
func (c *Core) broughtTo(groups []string) map[content.ID]bool {
	m := c.news.manifest
	set, replaced := map[content.ID]bool{}, m.Replaced(groups, c.describe, c.now)
	for _, a := range m.Addressed(groups, c.now) {
		d := c.describe(a.Descriptor)
		if d != nil && a.Brings(c.now) && !replaced[a.Update] {
			set[d.Payload] = true
		}
	}
	return set
}
