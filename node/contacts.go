package node

import (
	"maps"
	"sync"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/transport"
)

// contact is a peer as it introduced itself, with the tier that its bytes count on.
type contact struct {
	transport.Peer
	tier  string
	cache bool // it says that it is a cache of this site
	since time.Time
	gone  bool

	in, out flow
}

// booked is the tier on which its bytes count. Receipts keep to the way that they came: who signs one may be older and know
// no other, and it is the way that says whether they crossed the WAN.
func (k contact) booked() string {
	if k.cache && (k.tier == api.TierSubnet || k.tier == api.TierSite) {
		return api.TierCache
	}
	return k.tier
}

// flow is a byte counter and what it gained per second over the last while.
type flow struct {
	last        int64
	at          time.Time
	bytesPerSec float64
}

// rateSpan is the time over which rates are smoothed.
const rateSpan = 20 * time.Second

// sample notes the counter of now.
func (r *flow) sample(bytes int64, now time.Time) {
	dt := now.Sub(r.at)
	if r.at.IsZero() || dt <= 0 || bytes < r.last {
		r.last, r.at = bytes, now
		return
	}
	share := min(1, dt.Seconds()/rateSpan.Seconds())
	r.bytesPerSec += share * (float64(bytes-r.last)/dt.Seconds() - r.bytesPerSec)
	r.last, r.at = bytes, now
}

// contacts are the peers with a session, by ID.
type contacts struct {
	mu   sync.Mutex
	list map[string]*contact
}

// met notes a new session.
func (c *contacts) met(p transport.Peer, site string, now time.Time) {
	k := &contact{Peer: p, since: now}
	switch {
	case p.Site != site && p.Seed:
		k.tier = api.TierSeed
	case p.Site != site:
		k.tier = api.TierNeighbour
	case p.SameSubnet:
		k.tier = api.TierSubnet
	default:
		k.tier = api.TierSite
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list == nil {
		c.list = map[string]*contact{}
	}
	if len(c.list) >= maxContacts {
		maps.DeleteFunc(c.list, func(_ string, k *contact) bool { return k.gone })
	}
	c.list[p.ID] = k
}

// maxContacts is when those that have left are forgotten.
const maxContacts = 4096

// left notes the end of a session. The contact stays: chunks that came just before are still being booked.
func (c *contacts) left(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.list[id]; k != nil {
		k.gone = true
	}
}

// saidCache notes that a peer says it is a cache. It stays one for the session: what it has given cannot be taken back.
func (c *contacts) saidCache(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.list[id]; k != nil {
		k.cache = true
	}
}

// of is the contact with an ID.
func (c *contacts) of(id string) contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.list[id]; k != nil {
		return *k
	}
	return contact{Peer: transport.Peer{ID: id}, tier: api.TierSite}
}

// open are the contacts with a session.
func (c *contacts) open() (out []contact) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.list {
		if !k.gone {
			out = append(out, *k)
		}
	}
	return out
}

// sample measures the rates of all sessions.
func (c *contacts) sample(peers []transport.Peer, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range peers {
		if k := c.list[p.ID]; k != nil {
			k.in.sample(p.BytesIn, now)
			k.out.sample(p.BytesOut, now)
		}
	}
}
