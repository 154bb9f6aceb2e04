package node

import (
	"context"
	"slices"
	"time"

	"patchmesh/swarm"
	"patchmesh/swarm/wire"
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
			if err := n.saved.settle(n.db); err != nil {
				n.log.Warn("the state was not written whole; it is there in parts", "err", err)
			}
			return nil
		case <-refresh.C:
			n.publishView()
			continue
		case ev = <-n.events.ch:
		case <-wake.C:
			ev = swarm.Tick{}
		}
		n.core.Elapse(elapsed())
		if err := n.doAll(ctx, n.core.Step(n.cfg.Now(), ev)); err != nil {
			return err
		}
		resetWake(wake, n.core.Wake(), n.cfg.Now())
	}
}

// doAll does the actions in order.
func (n *Node) doAll(ctx context.Context, acts []swarm.Action) error {
	for _, act := range acts {
		if err := n.do(ctx, act); err != nil {
			return err
		}
	}
	return nil
}

// tellGained sends a delta, in several messages if it does not fit one.
func (n *Node) tellGained(a swarm.TellGained) {
	for part := range slices.Chunk(a.Indexes, wire.MaxGained) {
		var m wire.Message = wire.Gained{Payload: a.Payload, Indexes: part}
		for _, to := range a.To {
			n.tell(to, m)
		}
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
