package node

import (
	"context"
	"sync"

	"patchmesh/policy"
	"patchmesh/swarm"
)

// looks are the looks for updates that the core has asked for and nobody has begun. A machine with thousands of updates is
// asked for all of them at once when it starts.
type looks struct {
	mu      sync.Mutex
	waiting []swarm.Detect // first come first served
	lookers int
}

const (
	// maxLookers is how many are looked for at a time. Most is waiting for files; a command of a rule that hangs must not
	// hold up all others.
	maxLookers = 16
	maxLooks   = 1 << 16 // that wait: more than there may be approvals
)

// look has an update looked for when its turn comes.
func (n *Node) look(ctx context.Context, a swarm.Detect) {
	l := &n.looks
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) >= maxLooks {
		n.work(func() {
			n.events.send(swarm.Failed{Req: a.Req, Class: swarm.Retry, Reason: policy.ReasonDiskError, Detail: "too much waits to be looked for"})
		})
		return
	}
	l.waiting = append(l.waiting, a)
	if l.lookers < maxLookers {
		l.lookers++
		n.work(func() { n.lookOn(ctx) })
	}
}

// lookOn does what waits until nothing does. A node that stops forgets it.
func (n *Node) lookOn(ctx context.Context) {
	for {
		a, more := n.looks.next(ctx.Err() != nil)
		if !more {
			return
		}
		n.detect(ctx, a)
	}
}

func (l *looks) next(stopping bool) (swarm.Detect, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 || stopping {
		l.waiting, l.lookers = nil, l.lookers-1
		return swarm.Detect{}, false
	}
	a := l.waiting[0]
	l.waiting = l.waiting[1:]
	return a, true
}
