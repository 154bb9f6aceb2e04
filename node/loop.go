package node

import (
	"context"
	"time"

	"patchmesh/swarm"
)

// events is the one bounded queue into the core. Everyone but the loop sends through it; when it is
// full the sender waits, which is what slows down a peer that asks too much.
type events struct {
	ch   chan swarm.Event
	done <-chan struct{}
}

// send queues an event, or drops it when the node is stopping.
func (q events) send(ev swarm.Event) {
	select {
	case q.ch <- ev:
	case <-q.done:
	}
}

// loop owns the core: one goroutine, one event at a time, actions in order.
func (n *Node) loop(ctx context.Context) error {
	wake := time.NewTimer(0)
	defer wake.Stop()
	refresh := time.NewTicker(viewEvery)
	defer refresh.Stop()
	n.publishView()
	for {
		var ev swarm.Event
		select {
		case <-ctx.Done():
			return nil
		case <-refresh.C:
			n.publishView()
			continue
		case ev = <-n.events.ch:
		case <-wake.C:
			ev = swarm.Tick{}
		}
		for _, act := range n.core.Step(n.cfg.Now(), ev) {
			if err := n.do(ctx, act); err != nil {
				return err
			}
		}
		resetWake(wake, n.core.Wake(), n.cfg.Now())
	}
}

// viewEvery is how often people see a new view.
const viewEvery = 200 * time.Millisecond

func resetWake(t *time.Timer, at, now time.Time) {
	if at.IsZero() {
		t.Stop()
		return
	}
	t.Reset(max(at.Sub(now), time.Millisecond))
}

func (n *Node) publishView() {
	v := n.core.View()
	n.view.Store(&v)
}
