package node

import (
	"context"
	"sync"
	"testing"

	"patchmesh/content"
	"patchmesh/node/apply"
	"patchmesh/swarm"
)

// slowOrders is an apply role whose looks end when they are let go.
type slowOrders struct {
	orders
	letGo chan struct{}

	mu         sync.Mutex
	begun      []content.ID
	open, most int
}

func (o *slowOrders) Do(ctx context.Context, id content.ID, _ apply.Order) (apply.Outcome, error) {
	o.mu.Lock()
	o.begun = append(o.begun, id)
	o.open++
	o.most = max(o.most, o.open)
	o.mu.Unlock()
	select {
	case <-o.letGo:
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open--
	return apply.Outcome{Present: true}, ctx.Err()
}

func (o *slowOrders) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.begun)
}

// Thousands of looks at once are done a few at a time, in the order in which they were asked for, and each is answered;
// a node that stops does not begin those that wait.
func TestLooksAreDoneAFewAtATime(t *testing.T) {
	t.Parallel()
	const many = 3000
	ctx, cancel := context.WithCancel(context.Background())
	o := &slowOrders{letGo: make(chan struct{})}
	n := &Node{orders: o, events: events{ch: make(chan swarm.Event, many), done: ctx.Done()}}
	var ids []content.ID
	for i := range many {
		ids = append(ids, content.Sum([]byte{byte(i), byte(i >> 8)}))
		n.look(ctx, swarm.Detect{Req: swarm.Req(i + 1), Descriptor: ids[i]})
	}
	until(t, "the first looks", func() bool { return o.count() == maxLookers })
	place := map[content.ID]int{}
	for i, id := range ids {
		place[id] = i
	}
	for range many - 1000 {
		o.letGo <- struct{}{}
	}
	answered := map[swarm.Req]bool{}
	for range many - 1000 {
		answered[(<-n.events.ch).(swarm.Detected).Req] = true
	}
	if len(answered) != many-1000 {
		t.Errorf("%d of %d looks were answered", len(answered), many-1000)
	}
	cancel()
	n.running.Wait()
	if o.most > maxLookers || o.count() > many-1000+maxLookers {
		t.Errorf("%d at a time, %d begun", o.most, o.count())
	}
	for i, id := range o.begun {
		if at := place[id]; at >= i+maxLookers { // it may be late, if the one who took it was: no look begins before those ahead of it were taken
			t.Fatalf("the look asked for as number %d was begun as number %d", at, i)
		}
	}
}
