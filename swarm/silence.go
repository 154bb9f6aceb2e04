package swarm

import (
	"slices"
	"time"

	"patchmesh/policy"
)

// muteAfter is how many silences in a row make a peer mute: one may be a network that hiccups.
const muteAfter = 2

// maxSilences ends the doubling at 17 minutes: longer than it takes every egress peer of a site to have its
// turn at the WAN lease, or several silent holders by turns could keep the site waiting for ever.
const maxSilences = 10

// stallSilences is how many silences it is worth to have held up this machine for StallAfter: the peer is left alone
// for two minutes at first.
const stallSilences = 6

// maxQuiet bounds the silent peers that are remembered without a session.
const maxQuiet = 512

// quiet is a peer that was silent when its session ended.
type quiet struct {
	peer     PeerID
	silences int
	until    time.Time
}

// silent: the peer gave no byte in time. It is left alone for a while that doubles each time. One that
// claims to hold everything and answers nothing would keep its site from the WAN for ever, since what a
// neighbour holds is not fetched there: while a mute peer is left alone, what it holds does not count.
func (c *Core) silent(p *peer) {
	c.countSilence(p)
	c.wakeBy(p.busyUntil)
	if p.silences >= muteAfter && c.neighbour(p) && !p.mute {
		c.setMute(p, true)
	}
}

func (c *Core) countSilence(p *peer) {
	p.silences, p.silentAt = min(p.silences+1, maxSilences), c.now
	p.busyUntil = c.now.Add(time.Second << p.silences)
}

// heardFrom: a chunk came from the peer.
func (c *Core) heardFrom(p *peer) {
	p.silences = 0
	if p.mute {
		c.setMute(p, false)
	}
}

// setMute takes a peer's have-lists out of the availability, or puts them back.
func (c *Core) setMute(p *peer, mute bool) {
	for _, l := range c.payloads {
		r := p.have.of(l.id)
		if r == nil || r.bits.Len() != l.chunks {
			continue
		}
		if mute {
			c.uncountHolder(l, p)
			for i := range l.chunks {
				l.each[i].notLost() // there is nothing to wait for
			}
			continue
		}
		p.mute = false
		c.countHolder(l, p, r)
	}
	p.mute = mute
}

// sweepSilence gives mute peers another chance when their time is over, and finds those that were asked and sent
// not one chunk for StallAfter although no request of theirs has ended: a peer that sends a byte now and then
// never lets one end. So the session is closed, which ends them all.
func (c *Core) sweepSilence() {
	for _, p := range slices.Clone(c.peers) {
		if p.seed || !c.neighbour(p) && !p.adjacent || p.triedAt.IsZero() || p.mute || c.shunned(p.id) {
			continue
		}
		due := p.triedAt.Add(max(c.cfg.StallAfter, 8*p.pace))
		if p.adjacent { // no more patience the slower it is: there is the seed
			due = p.triedAt.Add(c.cfg.StallAfter)
		}
		if c.now.Before(due) {
			c.wakeBy(due)
			continue
		}
		p.triedAt = time.Time{}
		c.noteRefused(p.id, policy.ReasonNetTimeout, "it says that it has chunks and sends none")
		p.silences = max(p.silences, stallSilences)
		c.cancel(func(r *request) bool { return r.peer == p.id && !r.withdrawn })
		c.silent(p)
		c.act(Unlink{Peer: p.id, Reason: policy.ReasonNetTimeout})
		c.driveAll()
	}
	for _, p := range c.peers {
		if p.mute && c.now.Before(p.busyUntil) {
			c.wakeBy(p.busyUntil)
		} else if p.mute {
			c.setMute(p, false)
		}
	}
}

// keepSilence remembers a silent peer beyond its session: a new session must not wash it clean, or a liar
// would make one whenever it has been found out. To break off after it was asked, and before any chunk, is silence too: one that
// did so each time would keep its site from the WAN, a session after the other.
func (c *Core) keepSilence(p *peer) {
	if p.silentAt.Before(p.triedAt) && !p.seed {
		c.countSilence(p)
	}
	if p.silences == 0 || p.seed && p.silences < muteAfter {
		return
	}
	c.quiets = slices.DeleteFunc(c.quiets, func(q quiet) bool { return q.peer == p.id })
	if len(c.quiets) >= maxQuiet {
		c.quiets = slices.Delete(c.quiets, 0, 1)
	}
	c.quiets = append(c.quiets, quiet{p.id, p.silences, p.busyUntil})
}

func (c *Core) recallSilence(p *peer) {
	i := slices.IndexFunc(c.quiets, func(q quiet) bool { return q.peer == p.id })
	if i < 0 {
		return
	}
	q := c.quiets[i]
	c.quiets = slices.Delete(c.quiets, i, i+1)
	p.silences, p.busyUntil = q.silences, q.until
	p.mute = p.silences >= muteAfter && c.neighbour(p) && c.now.Before(q.until)
	if p.mute {
		c.wakeBy(q.until)
	}
}
