package node

import (
	"context"
	"testing"
)

// Whoever could not be reached is tried again when its pause is over: the loop hears that there is a time to look at.
func TestPauseAfterADialInVainIsHeardOf(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	c := newConnector(m.seed.Node)
	c.add("", "127.0.0.1:1", true)
	<-c.kick
	now, _ := c.due()
	if len(now) != 1 {
		t.Fatalf("%d are due of one that is new", len(now))
	}
	c.dial(context.Background(), now[0])
	select {
	case <-c.kick:
	default:
		t.Error("nobody looks at who is due after the pause")
	}
	if now, next := c.due(); len(now) != 0 || next > retryFirst {
		t.Errorf("%d are due, the next look is in %s", len(now), next)
	}
}
