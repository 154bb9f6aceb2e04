package sim

import (
	"time"

	"patchmesh/swarm/rate"
)

// Link is what a line can do. Rates are bytes per second; zero means without limit.
type Link struct {
	Rate  float64
	Delay time.Duration // one way
	Loss  float64       // of packets, 0 to 1: costs gossip the packet and a stream a retransmission
}

// retransmit is what a lost packet costs a stream: TCP's least timeout.
const retransmit = 200 * time.Millisecond

// pipe is one direction of a line: what is put in leaves in order, at the line's rate.
type pipe struct {
	rate float64
	free int64 // when it has sent all that was put in
}

// put sends so many payload bytes, no earlier than at, and says when the last one has left: headers and
// framing go along.
func (p *pipe) put(at, bytes int64) int64 {
	at = max(at, p.free)
	if p.rate > 0 {
		at += int64(float64(rate.OnWire(bytes)) / p.rate * 1e9)
	}
	p.free = at
	return at
}

// between sends from one line to another through a switch. The sender goes on to its next chunk while the
// switch holds what the receiver cannot take yet, and a receiver takes from several senders at the same time:
// so no line idles while there is something for it, as with TCP's flows. The chunk is through when its last
// byte is, on both lines.
func between(a, b *pipe, at, bytes int64) int64 {
	begin := max(at, a.free)
	sent := a.put(at, bytes)
	return max(sent, b.put(begin, bytes))
}
