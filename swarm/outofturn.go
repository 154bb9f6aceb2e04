package swarm

import (
	"cmp"
	"slices"
)

// Out of turn. Turns have copies multiply instead of queueing at one holder, but each generation of takers has to wait
// for the one before. At the beginning of a cold site that is most of the time: there is little to ask for, and lines
// idle while what could fill them is there. So who has too little under way asks before its turn, as long as one
// holder has to feed the site with the rest; after that the holders are many, and turns keep the load even to the end.

// holderBefore picks whom to ask for a chunk that several hold before this machine's turn: one of those that do not have
// to feed the site. Where others are on Wi-Fi the one who feeds it may come before them, but by turns. nil: nobody.
func (c *Core) holderBefore(l *payload, i int) *peer {
	if c.asksEnough(l) || l.each[i].avail <= 1 || !c.fed(l) {
		return nil
	}
	if _, plain := c.plainHolder(l, i, ""); !plain {
		return nil
	}
	if p := c.holderFor(l, i, ""); p != nil && p.of(l).sole == 0 {
		return p
	}
	return nil
}

// leastGivers is up to how many givers LeastAskBytes are enough.
const leastGivers = 16

// leastAsked is with how much under way a machine waits for its turns. Among many givers each is asked by more machines, so
// more of what is under way only waits there: 24 machines were done sooner by a fiftieth with half as much again.
// Ten were later by a hundredth with a third more, and 60 with twice as much.
func (c *Core) leastAsked(l *payload) int64 {
	least := c.cfg.LeastAskBytes
	return min(max(least, least*int64(l.givers())/leastGivers), least*3/2)
}

// asksEnough: givers are counted only where it depends on them, since this is asked for many chunks.
func (c *Core) asksEnough(l *payload) bool {
	return c.askBytes >= c.cfg.LeastAskBytes && c.askBytes >= c.leastAsked(l)
}

// fed: single neighbours have a good part of a payload to themselves.
func (c *Core) fed(l *payload) bool {
	sole := 0
	for _, r := range l.said {
		if r != nil {
			sole += r.sole
		}
	}
	return sole > l.chunks/lastGains
}

// fillLooks is how many chunks that nobody is to be asked for end a look: it comes again with the next chunk, and thousands
// of them would cost more than the one that may be found.
const fillLooks = 64

// fillUp asks out of turn, rarest first, until enough is under way.
func (c *Core) fillUp(l *payload) {
	if c.asksEnough(l) || !c.fed(l) {
		return
	}
	out, end := c.scratch[:0], l.windowEnd()
	for i := nextMark(l.marks.held, 0); i >= 0 && i < end; i = nextMark(l.marks.held, i+1) {
		if l.each[i].avail > 1 {
			out = append(out, wish{uint64(l.each[i].avail)<<32 | uint64(c.rng.Uint32()), i})
		}
	}
	slices.SortFunc(out, func(a, b wish) int { return cmp.Compare(a.key, b.key) })
	c.scratch = out
	vain := 0
	for _, w := range out {
		if !c.mayFetch(l) || vain == fillLooks {
			return
		}
		if p := c.holderBefore(l, w.index); p != nil {
			c.fetch(l, p, w.index)
		} else {
			vain++
		}
	}
}
