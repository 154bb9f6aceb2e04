package swarm

import (
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// A machine may be a cache of its site: it stores what is approved for any machine of the site, whether or not it is
// for itself, so that who comes later has it from a neighbour. What it installs is decided by its own plan, as
// everywhere. To its neighbours it is one more holder; and the first in line for the WAN lease, for as long as it
// does what it says: who claims the role is believed as far as a chunk that is awaited from it.

// RoleHeard says that a peer calls itself a cache of its site, which cannot be taken back while the session lasts, or
// that it is on Wi-Fi or is not any more. To tell the same again costs nothing.
type RoleHeard struct {
	Peer        PeerID
	Cache, WiFi bool
}

func (RoleHeard) isEvent() {}

const (
	// cacheRetry is how long a cache leaves a payload alone that did not fit, or that was taken from its store.
	cacheRetry = 10 * time.Minute
	// maxPassed bounds the caches that are remembered for having done nothing.
	maxPassed = 256
)

// cacheState is what a cache knows of its site, and what everybody knows of caches.
type cacheState struct {
	met   map[string]bool // groups of the machines that were asked about last
	due   time.Time       // when something is to be tried again; zero: nothing is
	short bool            // something of this machine's own waited for room then
	gated bool            // it did nothing for others then

	passed passedList // caches for which the site waited in vain
}

func (c *Core) roleHeard(e RoleHeard) {
	p := c.byID[e.Peer]
	if p == nil || p.seed || !c.neighbour(p) {
		return
	}
	moved := e.Cache && !p.cache
	p.cache, p.wifiSaid = p.cache || e.Cache, e.WiFi
	if c.believesLink(p) || moved {
		c.roleMoved(p)
	}
}

// linkEvery is how often the word of a neighbour about its link is believed anew: each change has everything looked at
// again, which one that flaps, or lies, must not have done as often as it can send.
const linkEvery = 5 * time.Second

// believesLink takes a neighbour's word about its link over, as soon as may be; true: it is another than before.
func (c *Core) believesLink(p *peer) bool {
	if p.wifiSaid == p.wifi {
		return false
	}
	if due := p.wifiAt.Add(linkEvery); c.now.Before(due) {
		c.wakeBy(due)
		return false
	}
	p.wifi, p.wifiAt = p.wifiSaid, c.now
	return true
}

// sweepLinks believes what could not be believed at once.
func (c *Core) sweepLinks() {
	for _, p := range c.peers {
		if c.believesLink(p) {
			c.roleMoved(p)
		}
	}
}

func (c *Core) roleMoved(p *peer) {
	p.air = p.wifi && c.cfg.Sources.has(SourceWired)
	c.rankPeer(p)
	c.driveAll()
	c.driveLink()
}

// driveCache wants what is approved for any machine of the site, if this one is a cache of it.
func (c *Core) driveCache() {
	if !c.isCache() || c.news.manifest == nil {
		return
	}
	k := &c.cache
	k.due, k.short, k.gated = time.Time{}, c.ownShort(), c.gates.help != ""
	set := c.siteBrings()
	for _, l := range slices.Clone(c.payloads) {
		l.forSite = set[l.id]
		on := l.forSite && !k.gated && !k.short
		if on && c.now.Before(l.cacheAgain) {
			if on = false; k.due.IsZero() || l.cacheAgain.Before(k.due) {
				k.due = l.cacheAgain
			}
		}
		c.setCached(l, on)
	}
	if !k.due.IsZero() {
		c.wakeBy(k.due)
	}
}

// sweepCache tries again what did not fit, and follows what this machine can do for others.
func (c *Core) sweepCache() {
	if !c.isCache() {
		return
	}
	if k := &c.cache; !k.due.IsZero() && !c.now.Before(k.due) || k.short != c.ownShort() || k.gated != (c.gates.help != "") {
		c.driveCache()
	} else if !k.due.IsZero() {
		c.wakeBy(k.due)
	}
}

// cacheMeets: a machine of groups that are new here may bring payloads to the site.
func (c *Core) cacheMeets(p *peer) {
	if c.isCache() && c.neighbour(p) && !p.seed && !c.cache.met[strings.Join(p.groups, "\x00")] {
		c.driveCache()
	}
}

func (c *Core) isCache() bool { return c.self.Cache && !c.self.Seed }

// ownShort: what this machine has to install waits for room. Nothing else is brought into the store before.
func (c *Core) ownShort() bool {
	return slices.ContainsFunc(c.payloads, func(l *payload) bool { return l.selfWant && !l.ready && l.reason == policy.ReasonDiskShort })
}

// siteBrings is what approvals bring to machines of this site: those that are there, those that are away, and
// whoever is in a group of which nobody here can tell who is in it.
func (c *Core) siteBrings() map[content.ID]bool {
	m := c.news.manifest
	c.askAnew()
	out := map[content.ID]bool{}
	c.cache.met = map[string]bool{}
	add := func(groups []string) {
		key := strings.Join(groups, "\x00")
		if c.cache.met[key] {
			return
		}
		c.cache.met[key] = true
		c.brought(groups, content.ID{})
		for id := range c.retain.brought[key] {
			out[id] = true
		}
	}
	add(c.self.Machine.Groups)
	c.toNeighbours(func(p *peer) {
		if !p.seed {
			add(p.groups)
		}
	})
	for _, s := range c.retain.absent {
		add(s.Groups)
	}
	unseen := map[string]bool{}
	for _, g := range m.Groups {
		unseen[g.Name] = g.Query != nil || g.SelfJoin
	}
	for _, a := range m.Approvals {
		if d := c.describe(a.Descriptor); d != nil && unseen[a.Group] && a.Brings(c.now) && !out[d.Payload] {
			if l := c.byMap[d.Payload]; l != nil && !c.superseded(l) {
				out[d.Payload] = true
			}
		}
	}
	return out
}

// setCached says whether a payload is wanted here for the site.
func (c *Core) setCached(l *payload, on bool) {
	if l.cached == on {
		return
	}
	was := l.needed()
	l.cached = on
	if l.needed() == was {
		return
	}
	c.tellHave(l)
	if !l.needed() {
		c.cancelFetches(l)
	}
	c.drive(l)
	c.driveLink()
}

// cacheShort: a payload that is wanted for the site did not fit. Unless room is being made it is not wanted for a
// while, or the neighbours would bring into the site what nobody can take.
func (c *Core) cacheShort(l *payload, e Failed) {
	c.sweepCache()
	if !l.cached || e.Reason != policy.ReasonDiskShort || slices.ContainsFunc(c.payloads, func(o *payload) bool { return o.dropping }) {
		return
	}
	c.cacheLater(l)
}

// cacheLater leaves a payload alone for a while.
func (c *Core) cacheLater(l *payload) {
	if !c.isCache() {
		return
	}
	l.cacheAgain = c.now.Add(cacheRetry)
	if c.cache.due.IsZero() || l.cacheAgain.Before(c.cache.due) {
		c.cache.due = l.cacheAgain
	}
	c.wakeBy(c.cache.due)
	c.setCached(l, false)
}

// line is the order in which the machines of the site fetch over the WAN: a cache before others, who is wired before who
// is not, else by a payload's hash order. One program in the line that knows nothing of caches, or of links, is enough
// for the order without them: all have to see the same.
type line struct {
	c             *Core
	caches, links bool // everybody in it knows of them
}

// line looks at everybody once.
func (c *Core) line() line {
	o := line{c, true, true}
	for _, p := range c.peers {
		if (p.older || p.linkless) && c.neighbour(p) && !p.seed && (p.egress || p.webEgress) {
			o.caches, o.links = o.caches && !p.older, o.links && !p.linkless
		}
	}
	return o
}

// goesBefore says whether a neighbour comes before this machine, whose weight for the payload is mine.
func (o line) goesBefore(l *payload, p *peer, mine uint64) bool {
	c := o.c
	if theirs := c.preferred(p); theirs != c.isCache() && o.caches {
		return theirs
	}
	if first, known := o.wiredFirst(p); known {
		return first
	}
	return before(weight(l.key, 0, p.id), p.id, mine, c.self.Peer)
}

// preferred: a neighbour that calls itself a cache, and did not let the site wait for nothing of late.
func (c *Core) preferred(p *peer) bool {
	return p.cache && !c.cache.passed.has(p.id, c.now)
}

// passOver: the site has waited since then and got nothing. A cache, or to a machine on Wi-Fi a wired one whose turn came,
// that nobody else kept from it, is no better than others for ShunFor: so a false claim of the role costs the
// site one wait, and not one for every payload.
func (c *Core) passOver(l *payload, since time.Time, silences int) {
	pass := func(p *peer) {
		if !p.egress || p.gate.wan != "" || p.upAt.After(since) || c.leaseOfOther(l, p.id) {
			return
		}
		c.cache.passed.add(p.id, c.now.Add(c.cfg.ShunFor), c.now, maxPassed)
	}
	c.toNeighbours(func(p *peer) {
		if c.preferred(p) {
			pass(p)
		}
	})
	wired, order := c.wiredInLine(l), c.line()
	for _, p := range wired[:min(len(wired), 1<<min(silences-1, 16))] {
		if first, _ := order.wiredFirst(p); first {
			pass(p)
		}
	}
}

// leaseOfOther: a machine other than id claims the lease of a payload, rightly or not.
func (c *Core) leaseOfOther(l *payload, id PeerID) bool {
	return slices.ContainsFunc(l.lease.claims, func(k claim) bool { return k.held && k.peer != id }) ||
		l.book != nil && slices.ContainsFunc(l.book.told, func(o toldTrail) bool { return o.Kind == TrailLease && o.Holder != id })
}
