package swarm

import (
	"slices"
	"time"

	"patchmesh/content"
)

// A peer may keep documents to itself. News, descriptions and reports of a whole site go by way of its
// uplink, so one machine in bad hands that answers no question, or always with no, would hold up all others until its
// turn is over.

// maxWordless bounds the list of such peers.
const maxWordless = 512

// wordlessFor is how long such a peer is no uplink and comes last for documents: a turn of the uplink. It is
// remembered beyond its session, or a new one would wash it clean.
const wordlessFor = uplinkTurn

// lackFor is how long a document may be missing while the uplink says each time that it has none. It may be fetching
// over a slow line; a second session across the WAN is what a mistake costs.
const lackFor = time.Minute

// wordlessNow says whether a peer has kept a document to itself of late.
func (c *Core) wordlessNow(id PeerID) bool {
	return c.news.wordless.has(id, c.now)
}

// setWordless passes a neighbour over for a while. Another may be the uplink now, this machine too.
func (c *Core) setWordless(id PeerID) {
	until := c.now.Add(wordlessFor)
	c.news.wordless.add(id, until, c.now, maxWordless)
	c.wakeBy(until)
	c.driveLink()
}

// documentFrom: a question for a document was answered with one.
func (c *Core) documentFrom(r *request) {
	if r != nil {
		c.news.wordless.drop(r.peer)
	}
}

// beImpatient has a question looked at again that a neighbour, or nobody, was asked.
func (c *Core) beImpatient(p *peer) {
	if p != nil && c.neighbour(p) {
		c.wakeBy(c.now.Add(c.cfg.DocPatience))
	}
}

// askedNow says whether a peer was asked for a document and has not answered yet. The empty ID is the manifest.
func (c *Core) askedNow(peer PeerID, id content.ID) bool {
	return slices.ContainsFunc(c.open, func(r *request) bool {
		return r.peer == peer && r.descriptor == id && (r.kind == reqManifest || r.kind == reqDescriptor)
	})
}

// askAgain is when to begin anew, once everybody was asked for a document: soon if all have said no. While somebody
// still owes an answer there is time.
func (c *Core) askAgain(id content.ID) time.Time {
	for _, r := range c.open {
		if r.descriptor == id && r.peer != "" && (r.kind == reqManifest || r.kind == reqDescriptor) {
			return c.now.Add(c.cfg.DocPatience)
		}
	}
	return c.now.Add(c.cfg.AskRetry)
}

// overdue says whether a question for a document has been open for too long: then another is asked beside it. Only
// neighbours are hurried: what comes across the WAN takes its time. An answer that comes late is as good.
func (c *Core) overdue(id Req) bool {
	r := c.request(id)
	if r == nil {
		return false
	}
	if p := c.byID[r.peer]; p == nil || !c.neighbour(p) {
		return false
	}
	if due := r.at.Add(c.cfg.DocPatience); c.now.Before(due) {
		c.wakeBy(due)
		return false
	}
	c.setWordless(r.peer)
	return true
}

// lacksSince passes the uplink over if a document has been missing for long in spite of it. It gives the instant from
// which the next one has its time.
func (c *Core) lacksSince(since time.Time) time.Time {
	up := c.byID[c.uplink()]
	if since.IsZero() || up == nil {
		return c.now
	}
	if due := since.Add(lackFor); c.now.Before(due) {
		c.wakeBy(due)
		return since
	}
	c.setWordless(up.id)
	return c.now
}

// uplink is the machine by way of which the site hears from a seed: the first of its live egress peers that does not
// keep documents to itself, else the first.
func (c *Core) uplink() PeerID {
	if id := c.firstEgressBut(c.uplinkKey(), c.wordlessNow); id != "" {
		return id
	}
	return c.firstEgress(c.uplinkKey())
}
