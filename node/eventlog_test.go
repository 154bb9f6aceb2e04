package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// What happened can be read while the node runs, and from the data folder afterwards, in the order in which
// it happened.
func TestEventLogTellsTheLifeOfAnUpdate(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(1000))
	m.approve("u1")
	installed(t, "u1", a)
	a.refuse("somebody", policy.ReasonTrustBadSignature, "twice the same")
	a.refuse("somebody", policy.ReasonTrustBadSignature, "twice the same")
	ctx := context.Background()
	task, err := a.Events(ctx, api.EventQuery{Kind: "task", Update: "u1"})
	if err != nil || len(task.Events) < 2 || task.Events[len(task.Events)-1].State != "installed" {
		t.Fatalf("%+v, %v", task, err)
	}
	if l, err := a.Events(ctx, api.EventQuery{Kind: "refused"}); err != nil || len(l.Events) != 1 || l.Events[0].Peer != "somebody" {
		t.Errorf("what was refused: %+v, %v", l, err)
	}
	if _, err := a.Events(ctx, api.EventQuery{Kind: "gossip"}); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("a kind that there is not: %v", err)
	}
	if _, err := ReadEvents(a.cfg.DataDir, api.EventQuery{}, time.Now); !errors.Is(err, ErrLocked) {
		t.Errorf("the folder of a running node was opened: %v", err)
	}
	a.stop()
	l, err := ReadEvents(a.cfg.DataDir, api.EventQuery{}, time.Now)
	if err != nil || len(l.Events) < 4 || l.Events[0].Kind != api.EventStarted || l.Events[len(l.Events)-1].Kind != api.EventStopped {
		t.Fatalf("%+v, %v", l, err)
	}
	for i := 1; i < len(l.Events); i++ {
		if l.Events[i].At.Before(l.Events[i-1].At) {
			t.Errorf("%+v is shown after %+v", l.Events[i], l.Events[i-1])
		}
	}
	if l, err := ReadEvents(a.cfg.DataDir, api.EventQuery{Limit: 1}, time.Now); err != nil || len(l.Events) != 1 || !l.More || l.Events[0].Kind != api.EventStopped {
		t.Errorf("the newest: %+v, %v", l, err)
	}
}
