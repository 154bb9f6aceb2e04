package node

import (
	"context"
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
			return nil
		case <-refresh.C:
			n.publishView()
			continue
		case ev = <-n.events.ch:
		case <-wake.C:
			ev = swarm.Tick{}
		}
		if err := n.doAll(ctx, n.core.Step(n.cfg.Now(), ev)); err != nil {
			return err
		}
		resetWake(wake, n.core.Wake(), n.cfg.Now())
	}
}

// doAll does the actions in order. Deltas for the same neighbour that follow one another leave as one message.
func (n *Node) doAll(ctx context.Context, acts []swarm.Action) error {
	for len(acts) > 0 {
		if told := n.tellGained(acts); told > 0 {
			acts = acts[told:]
			continue
		}
		if err := n.do(ctx, acts[0]); err != nil {
			return err
		}
		acts = acts[1:]
	}
	return nil
}

// tellGained sends the deltas that acts begins with, as far as they fit one message, and says how many there were.
func (n *Node) tellGained(acts []swarm.Action) int {
	first, ok := acts[0].(swarm.TellGained)
	if !ok {
		return 0
	}
	var indexes []int
	for _, act := range acts {
		a, ok := act.(swarm.TellGained)
		if !ok || a.To != first.To || a.Payload != first.Payload || len(indexes) == wire.MaxGained {
			break
		}
		indexes = append(indexes, a.Index)
	}
	n.tell(first.To, wire.Gained{Payload: first.Payload, Indexes: indexes})
	return len(indexes)
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
