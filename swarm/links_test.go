package swarm

import (
	"math"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// links is the network of a world in which rates are shared as TCP shares them: every pair of machines
// has one stream in each direction on which chunks follow one another, and streams that move get their
// max-min fair share of the sender's uplink, the receiver's downlink and the WAN line. What is asked and
// told takes half a round trip and no room.
type links struct {
	w        *world
	halfTrip time.Duration
	up, down float64 // bytes per second of each machine, unless rates says otherwise
	wan      float64 // of the line between sites, each way
	rates    map[PeerID]float64
	pipes    []*pipe // those that move, in the order in which they began
	at       time.Time
	gen      int
	sent     map[PeerID]float64 // bytes that left each machine
}

// pipe is the stream from one machine to another.
type pipe struct {
	from, to *worldNode
	queue    []*parcel
	rate     float64
	fixed    bool
}

// parcel is one chunk on its way.
type parcel struct {
	left   float64
	leaves func() // the sender's socket has taken the last byte
	taken  bool
	lands  func()
}

// socketBytes is what a socket takes beyond what is on the way; see unsentBytes in node/transport.
const socketBytes = 128 << 10

// newLinks shapes a world: rates are in bits per second on the wire, of which headers take 4.8 %.
func newLinks(w *world, lanBits, wanBits float64) *links {
	const headers = 1.048
	l := &links{
		w: w, halfTrip: 2500 * time.Microsecond, up: lanBits / 8 / headers, down: lanBits / 8 / headers, wan: wanBits / 8 / headers,
		rates: map[PeerID]float64{}, at: w.now, sent: map[PeerID]float64{},
	}
	w.links = l
	return l
}

func (l *links) rate(n *worldNode, of float64) float64 {
	if r, ok := l.rates[n.id]; ok {
		return r
	}
	return of
}

// send queues a chunk behind what else goes to that machine.
func (l *links) send(from, to *worldNode, bytes float64, leaves, lands func()) {
	l.advance()
	i := slices.IndexFunc(l.pipes, func(p *pipe) bool { return p.from == from && p.to == to })
	if i < 0 {
		i = len(l.pipes)
		l.pipes = append(l.pipes, &pipe{from: from, to: to})
	}
	l.pipes[i].queue = append(l.pipes[i].queue, &parcel{left: bytes, leaves: leaves, lands: lands})
	l.plan()
}

// drop forgets what is on its way between two machines whose session is gone.
func (l *links) drop(a, b *worldNode) {
	l.advance()
	l.pipes = slices.DeleteFunc(l.pipes, func(p *pipe) bool {
		gone := p.from == a && p.to == b || p.from == b && p.to == a
		if gone {
			for _, x := range p.queue {
				if !x.taken {
					l.w.after(0, x.leaves)
				}
			}
		}
		return gone
	})
	l.plan()
}

// advance moves all streams up to now.
func (l *links) advance() {
	dt := l.w.now.Sub(l.at).Seconds()
	l.at = l.w.now
	if dt <= 0 {
		return
	}
	for _, p := range l.pipes {
		moved := p.rate * dt
		l.sent[p.from.id] += moved
		p.queue[0].left -= moved
	}
	l.settle()
}

// settle ends what has arrived and what the socket has taken.
func (l *links) settle() {
	l.pipes = slices.DeleteFunc(l.pipes, func(p *pipe) bool {
		x := p.queue[0]
		if !x.taken && x.left <= socketBytes+1 {
			x.taken = true
			l.w.after(0, x.leaves)
		}
		if x.left > 1 {
			return false
		}
		l.w.after(l.halfTrip, x.lands)
		p.queue = p.queue[1:]
		return len(p.queue) == 0
	})
}

// plan shares the rates anew and waits for the next end.
func (l *links) plan() {
	l.settle()
	l.share()
	next := math.Inf(1)
	for _, p := range l.pipes {
		x := p.queue[0]
		left := x.left
		if !x.taken {
			left -= socketBytes
		}
		if p.rate > 0 {
			next = min(next, left/p.rate)
		}
	}
	l.gen++
	if math.IsInf(next, 1) {
		return
	}
	gen := l.gen
	l.w.after(time.Duration(next*1e9)+1, func() {
		if l.gen == gen {
			l.advance()
			l.plan()
		}
	})
}

// share gives every stream its max-min fair rate: again and again the tightest line divides what it has
// left among the streams on it that have no rate yet.
func (l *links) share() {
	type line struct {
		left  float64
		users int
	}
	ups, downs, wans := map[*worldNode]*line{}, map[*worldNode]*line{}, map[SiteID]*line{}
	get := func(m map[*worldNode]*line, n *worldNode, rate float64) *line {
		if m[n] == nil {
			m[n] = &line{left: rate}
		}
		return m[n]
	}
	of := make([][]*line, len(l.pipes))
	var lines []*line
	for i, p := range l.pipes {
		p.fixed = false
		of[i] = []*line{get(ups, p.from, l.rate(p.from, l.up)), get(downs, p.to, l.rate(p.to, l.down))}
		if p.from.site != p.to.site {
			if wans[p.to.site] == nil {
				wans[p.to.site] = &line{left: l.wan}
			}
			of[i] = append(of[i], wans[p.to.site])
		}
		for _, x := range of[i] {
			if x.users == 0 {
				lines = append(lines, x)
			}
			x.users++
		}
	}
	for range lines {
		var tight *line
		for _, x := range lines {
			if x.users > 0 && (tight == nil || x.left/float64(x.users) < tight.left/float64(tight.users)) {
				tight = x
			}
		}
		if tight == nil {
			return
		}
		rate := tight.left / float64(tight.users)
		for i, p := range l.pipes {
			if p.fixed || !slices.Contains(of[i], tight) {
				continue
			}
			p.fixed, p.rate = true, rate
			for _, x := range of[i] {
				x.left -= rate
				x.users--
			}
		}
	}
}

// serveOverLinks moves a chunk.
func (w *world) serveOverLinks(o *worldNode, a Serve) {
	ask := o.refs[a.Ref]
	delete(o.refs, a.Ref)
	n, bytes := w.nodes[ask.from], int64(w.infos[a.Payload].ChunkBytes)
	core, server := n.core, o.core
	if o.site != n.site {
		w.wanBytes += bytes
	}
	if o.sentChunks == nil {
		o.sentChunks = map[chunkKey]int{}
	}
	o.sentChunks[chunkKey{a.Payload, a.Index}]++
	leaves := func() {
		if o.alive && o.core == server {
			w.step(o, UploadEnded{Ref: a.Ref, Bytes: bytes})
		}
	}
	w.links.send(o, n, float64(bytes), leaves, func() {
		if n.alive && n.core == core && n.sessions[o.id] {
			w.arrive(n, o, ask.req, a, bytes)
		}
	})
}

type chunkKey struct {
	payload content.ID
	index   int
}

// arrive ends a request for a chunk.
func (w *world) arrive(n, o *worldNode, req Req, a Serve, bytes int64) {
	if o.lies {
		w.step(n, Failed{Req: req, Class: Refuse, Reason: policy.ReasonTrustBadChunk})
		return
	}
	n.fetched[chunkName(a.Payload, a.Index)]++
	fresh := n.store[a.Payload].Set(a.Index)
	w.step(n, ChunkStored{Req: req, Bytes: bytes, Fresh: fresh})
}

// cancelFetch withdraws an ask: it is answered with that if the chunk is not on its way yet.
func (w *world) cancelFetch(n *worldNode, req Req) {
	for _, id := range w.order {
		o := w.nodes[id]
		for ref, ask := range o.refs {
			if ask.from != n.id || ask.req != req {
				continue
			}
			server, core := o.core, n.core
			w.after(w.halfTrip(), func() {
				if _, waits := o.refs[ref]; !waits || !o.alive || o.core != server {
					return
				}
				delete(o.refs, ref)
				w.step(o, UploadEnded{Ref: ref})
				w.after(w.halfTrip(), func() {
					if n.alive && n.core == core {
						w.step(n, Failed{Req: req, Class: Retry, Reason: policy.ReasonCancelledUser})
					}
				})
			})
			return
		}
	}
}

func (w *world) halfTrip() time.Duration {
	if w.links != nil {
		return w.links.halfTrip
	}
	return lanDelay
}
