package sim

import (
	"slices"

	"patchmesh/swarm"
)

// How chunks go to another site: over the sender's line, then the site's, and no further ahead of the reader than
// transport lets them.

// arrival is a chunk that has reached the site's end of the WAN and goes on to a machine.
type arrival struct {
	from *machine
	gen  uint32
	ref  uint64
	chunk
}

// farWindow is how many bytes of chunks are under way to another site before the sender waits: transport's
// window of a stream.
const farWindow = 1 << 20

// sendFar sends what waits for a peer of another site, as far as the window goes: over this side's line, then the
// site's. An upload is over for its sender when it has left, as a write is.
func (m *machine) sendFar(ses *session) {
	s := m.site
	for len(ses.line) > 0 {
		x := ses.line[0]
		size := x.u.bytesOf(x.index)
		if ses.unread > 0 && ses.unread+size > farWindow {
			return
		}
		ses.line = slices.Delete(ses.line, 0, 1)
		ses.unread += size
		end := m.up.put(s.now, size)
		s.push(entry{at: end, m: m, inc: m.inc, kind: sentOff, req: swarm.Req(x.ref), u: x.u, index: int32(x.index)})
		s.toSite(ses.site, entry{at: end + int64(s.delay(ses.site)), m: ses.peer, inc: anyInc, what: x})
	}
}

// farRead: a peer of another site has read a chunk, so the window is open again.
func (m *machine) farRead(from *machine, x chunkRead) {
	ses := m.session(from)
	ses.unread -= x.bytes
	m.sendFar(ses)
}

// wanArrival: a chunk has come as far as the site's line. If nobody waits for it any more the sender
// has stopped by now; else the line is busy with it, and its bytes count.
func (m *machine) wanArrival(x arrival) {
	s := m.site
	size := x.u.bytesOf(x.index)
	ses := m.session(x.from)
	if m.core == nil || ses == nil || ses.gen != x.gen {
		return // the session's end tells the sender
	}
	if apart(m, x.from) { // it comes when the line has healed, if the session lives
		ses.held = append(ses.held, entry{m: m, from: x.from, gen: x.gen, what: x})
		return
	}
	end := s.down.put(s.now, size)
	s.wanBytes += size
	ses.chunkAt = end
	s.say.say(s.now, "wan").str("site", s.name).str("u", string(x.u.id)).num("bytes", size).end()
	s.toSite(x.from.site, entry{at: end + int64(s.delay(x.from.site)), m: x.from, from: m, gen: x.gen, what: chunkRead{size}})
	e := x.entry()
	e.at, e.m, e.from, e.gen = end, m, x.from, x.gen
	s.push(e)
}

// chunkRead tells the sender of a chunk that it is through.
type chunkRead struct{ bytes int64 }
