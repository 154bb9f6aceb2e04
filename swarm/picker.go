package swarm

import (
	"cmp"
	"slices"
	"time"

	"patchmesh/swarm/rate"
)

// pickWindow bounds how many missing chunks one pick looks at, so that a payload of a million
// chunks costs no more per decision than one of a few thousand.
const pickWindow = 8192

// wish is a chunk that could be asked for now, and its place in the order.
type wish struct {
	key   uint64 // holders above, a lot below
	index int
}

// pick asks neighbours for chunks until nothing useful can be asked for.
func (c *Core) pick(l *payload) {
	if c.gates.fetch != "" {
		return
	}
	room := c.askRoom(l)
	if room > 0 {
		c.place(l, c.wishes(l, room))
		c.fillUp(l)
		c.keepBusy(l)
		if l.inFlight > 0 {
			l.idleSince = time.Time{}
		} else {
			c.takeOver(l, room)
		}
	}
	c.hedge(l)
}

// pickThese asks for those of some chunks that may be asked for. They are all that a neighbour's gain makes possible
// at once; for what follows from it for other chunks there is a full look when the next chunk comes, of those
// that are under way, or after Patience where none is.
func (c *Core) pickThese(l *payload, chunks []int) {
	if !c.picks(l) || c.gates.fetch != "" {
		return
	}
	for _, i := range chunks {
		if i < 0 || i >= l.chunks || !isMarked(l.marks.held, i) {
			continue
		}
		var p *peer
		if c.mayTake(l, i) {
			p = c.holderFor(l, i, "")
		} else {
			p = c.holderBefore(l, i)
		}
		if p == nil {
			continue
		}
		if !c.mayFetch(l) {
			return
		}
		c.fetch(l, p, i)
	}
}

// mayFetch: one more chunk of a payload may be asked for at neighbours, by MaxAskBytes and by the rates.
func (c *Core) mayFetch(l *payload) bool {
	return (c.askBytes+l.chunkBytes <= c.cfg.MaxAskBytes || c.askBytes == 0) && c.mayAsk(rate.LAN, l)
}

// askRoom is how many chunks may be asked for now, by the idle holders and by MaxAskBytes.
func (c *Core) askRoom(l *payload) int {
	room := 0
	for _, p := range c.peers {
		if r := p.of(l); r != nil && c.askable(p) && r.bits.Count() > 0 {
			room += c.asksFor(p) - p.asks
		} else if c.neighbour(p) && c.now.Before(p.busyUntil) {
			c.wakeBy(p.busyUntil)
		}
	}
	if room == 0 || !c.mayAsk(rate.LAN, l) {
		return 0
	}
	bytes := int((c.cfg.MaxAskBytes - c.askBytes) / max(l.chunkBytes, 1))
	if c.askBytes == 0 {
		bytes = max(bytes, 1) // a single chunk may be bigger than the bound
	}
	return min(room, max(bytes, 0))
}

// askable: a neighbour that may be asked for one more chunk now.
func (c *Core) askable(p *peer) bool {
	return p.near && p.asks < c.asksFor(p) && !p.closed && !c.now.Before(p.busyUntil) && (len(c.tasks.shuns) == 0 || !c.shunned(p.id))
}

// asksFor is how many chunks may be outstanding at a neighbour: one until it has sent a good one, so that a liar
// wastes one chunk of each victim and no more.
func (c *Core) asksFor(p *peer) int {
	if p.pace == 0 && !p.seed {
		return min(c.cfg.FirstAsks, c.cfg.PerPeerAsks)
	}
	return c.cfg.PerPeerAsks
}

// wishes lists missing chunks that this machine may ask for, rarest in the site first; equals are drawn
// by lot, so that machines differ. Those with one holder go in order of their numbers, because keepBusy begins at
// the other end; the look ends early once there are as many of them as can be asked for.
func (c *Core) wishes(l *payload, room int) []wish {
	out := c.scratch[:0]
	lone, end := 0, l.windowEnd()
	for i := nextMark(l.marks.held, 0); i >= 0 && i < end && lone < room; i = nextMark(l.marks.held, i+1) {
		if !c.mayTake(l, i) {
			continue
		}
		order := uint64(i)
		if l.each[i].avail == 1 {
			lone++
		} else {
			order = uint64(c.rng.Uint32())
		}
		out = append(out, wish{uint64(l.each[i].avail)<<32 | order, i})
	}
	slices.SortFunc(out, func(a, b wish) int { return cmp.Compare(a.key, b.key) })
	c.scratch = out
	return out
}

// place asks for what the idle holders have of the wishes.
func (c *Core) place(l *payload, wishes []wish) {
	for _, w := range wishes {
		if !c.mayFetch(l) {
			return
		}
		if p := c.holderFor(l, w.index, ""); p != nil {
			c.fetch(l, p, w.index)
		}
	}
}

// mayTake says whether this machine may ask for a chunk yet. A chunk with one holder is for the first of those that
// want it, in the chunk's hash order, so that whoever serves a cold site sends each chunk once before it sends any
// twice. With k holders to spare the first takersEach of each go, so that the copies multiply instead of queueing at the first one. A taker that gets nothing any more, while this machine does,
// is not waited for.
func (c *Core) mayTake(l *payload, i int) bool {
	allowed := 1
	if l.each[i].avail > 1 {
		k := int(l.each[i].avail) - c.soleHolders(l, i)
		allowed = max(takersEach*k, 1)
	}
	if allowed >= len(c.peers) {
		return true
	}
	mine := chunkWeight(l.base, i)
	for k, r := range l.said {
		if r == nil || !r.want || r.base == 0 || r.bits.Has(i) {
			continue
		}
		w := chunkWeight(r.base, i)
		if w < mine || w == mine && c.peers[k].id > c.self.Peer || c.peers[k].mute || c.stalled(l, r) {
			continue
		}
		if allowed--; allowed == 0 {
			return false
		}
	}
	return true
}

// takersEach is how many may ask for a chunk for each holder to spare. More of them make fewer generations from the
// first copy to the last, which is how long the site is behind the line that feeds it, until they queue at one holder.
const takersEach = 3

// soleHolders counts the holders of a chunk that alone have others: they are not asked for this one.
func (c *Core) soleHolders(l *payload, i int) int {
	n := 0
	for _, r := range l.said {
		if r != nil && r.sole > 0 && r.bits.Has(i) {
			n++
		}
	}
	return n
}

// stalled: a neighbour that wants the payload got nothing while stalledAfter chunks came here, and for Patience.
func (c *Core) stalled(l *payload, r *remote) bool {
	return l.arrivals-r.movedAtArrival >= stalledAfter && !c.now.Before(r.movedAt.Add(c.cfg.Patience))
}

// stalledAfter is how many chunks come here while a taker gets none before it counts as stalled.
const stalledAfter = 16

// takeOver ends a wait: this machine has nothing under way and nothing to ask for by its turn, so after
// Patience it asks for chunks that others should take. They may be gone, or slow.
func (c *Core) takeOver(l *payload, room int) {
	if l.idleSince.IsZero() {
		l.idleSince = c.now
	}
	due := l.idleSince.Add(c.cfg.Patience)
	if c.now.Before(due) {
		c.wakeBy(due)
		return
	}
	var out []wish
	for i := nextMark(l.marks.held, 0); i >= 0 && len(out) < pickWindow; i = nextMark(l.marks.held, i+1) {
		out = append(out, wish{uint64(c.rng.Uint32()), i})
	}
	slices.SortFunc(out, func(a, b wish) int { return cmp.Compare(a.key, b.key) })
	c.place(l, out[:min(len(out), room, takeOverAsks)])
}

// keepBusy asks whoever alone has some chunks for one of them out of turn, where this machine has nothing else to ask
// for: those whose turn it is may have more than others, and the line of the only holder must not idle. If
// both ask, the holder sends the first copy elsewhere first, and reroute ends the other wait.
func (c *Core) keepBusy(l *payload) {
	for _, p := range c.peers {
		r := p.of(l)
		if r == nil || r.sole == 0 || p.asks > 0 || !c.askable(p) || c.askBytes+l.chunkBytes > c.cfg.MaxAskBytes || !c.mayAsk(rate.LAN, l) {
			continue
		}
		if i := c.lastInTurn(l, r); i >= 0 {
			c.fetch(l, p, i)
		}
	}
}

// lastInTurn draws one of the chunks that a neighbour alone has and that those whose turn it is will ask for
// last; -1: there is none, or none that was seen for Patience.
func (c *Core) lastInTurn(l *payload, r *remote) int {
	skip := c.rng.IntN(max(r.sole/2, 1))
	pick := -1
	for i := lastMark(l.marks.lone, &r.bits, l.chunks-1); i >= 0; i = lastMark(l.marks.lone, &r.bits, i-1) {
		if due := time.Unix(0, l.each[i].at).Add(c.cfg.Patience); c.now.Before(due) {
			c.wakeBy(due)
			continue
		}
		pick = i
		if skip--; skip < 0 {
			break
		}
	}
	return pick
}

// takeOverAsks is how many chunks of others an idle machine asks for at a time.
const takeOverAsks = 2

// holderFor picks whom to ask: as the order of sources says, then the one from which the
// chunk should come soonest, equals by lot. A holder that alone has some chunks is asked for those only, while
// others have this one. not is left out (the silent holder of a hedge).
func (c *Core) holderFor(l *payload, i int, not PeerID) *peer {
	spareWired, spare := false, false
	if l.each[i].avail > 1 {
		spareWired, spare = c.plainHolder(l, i, not)
	}
	var best *peer
	ties := 0
	for k, r := range l.said {
		if r == nil || !r.bits.Has(i) {
			continue
		}
		p := c.peers[k]
		if r.sole > 0 && (spareWired || spare && p.air) {
			continue
		}
		if p.id == not || !c.askable(p) {
			continue
		}
		switch {
		case best == nil || better(p, best, c.now):
			best, ties = p, 1
		case !better(best, p, c.now):
			ties++
			if c.rng.IntN(ties) == 0 {
				best = p
			}
		}
	}
	if best != nil && not == "" && c.sparesAir(l, i, best, spareWired) {
		return nil
	}
	return best
}

// plainHolder says whether a chunk can be had, now or soon, from somebody who is not the only holder of others, and
// from one who is wired. To spare the only holder is not worth the air where that one is wired and the others are not.
func (c *Core) plainHolder(l *payload, i int, not PeerID) (wired, anybody bool) {
	for k, r := range l.said {
		if p := c.peers[k]; r != nil && r.sole == 0 && r.bits.Has(i) && p.id != not && !c.now.Before(p.busyUntil) {
			if anybody = true; !p.air {
				return true, true
			}
		}
	}
	return false, anybody
}

// better orders holders strictly.
func better(a, b *peer, now time.Time) bool {
	if a.rank != b.rank {
		return a.rank < b.rank
	}
	return a.wait(now) < b.wait(now)
}

// wait is how long one more chunk from this peer should take, by how the last ones came. Who has not answered
// yet is tried. How busy somebody was says less the longer ago that is: a seed that all asked for first copies is slow
// for each of them, and the fastest once these are out.
func (p *peer) wait(now time.Time) time.Duration {
	pace := p.pace
	if idle := now.Sub(p.answeredAt); p.asks == 0 && pace > 0 && idle > pace {
		pace = time.Duration(float64(pace) * float64(pace) / float64(idle))
	}
	return time.Duration(p.asks)*time.Microsecond + time.Duration(p.asks+1)*pace
}

// fetch asks a neighbour for a chunk.
func (c *Core) fetch(l *payload, p *peer, i int) {
	id := c.begin(request{kind: reqChunk, peer: p.id, holder: p, payload: l, index: i, bytes: l.chunkBytes})
	c.countAsk(p)
	c.askBytes += l.chunkBytes
	c.spend(rate.LAN, l)
	c.startFetching(l, i)
	c.wakeBy(c.now.Add(c.cfg.EndgameHedgeAfter))
	c.act(FetchChunk{Req: id, From: p.id, Payload: l.id, Index: i, Ahead: (l.bytes - l.haveBytes) / int64(max(l.givers(), 1))})
}

// givers counts the neighbours that have chunks, or fetch them and will have some: they share what is missing here.
func (l *payload) givers() int {
	n := 0
	for _, r := range l.said {
		if r != nil && (r.want || r.bits.Count() > 0) {
			n++
		}
	}
	return n
}

// countAsk books that a peer owes one chunk more, and since when.
func (c *Core) countAsk(p *peer) {
	if p.asks == 0 {
		p.answeredAt = c.now
	}
	if p.triedAt.IsZero() {
		p.triedAt = c.now
		c.wakeBy(c.now.Add(c.cfg.StallAfter))
	}
	p.asks++
}

func (c *Core) startFetching(l *payload, i int) {
	if l.each[i].fetching == 0 {
		l.inFlight++
	}
	if l.each[i].fetching++; l.each[i].fetching == 1 {
		l.mark(i)
	}
}

func (c *Core) stopFetching(l *payload, i int) {
	l.each[i].fetching--
	if l.each[i].fetching == 0 {
		l.inFlight--
		l.mark(i)
	}
}
