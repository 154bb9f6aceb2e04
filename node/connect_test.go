package node

import (
	"context"
	"net"
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

// C-16, C-18: addresses at which somebody takes the connection and says nothing, and names of machines that are not there, hold up
// nothing: bytes come from who does answer, while these are still being tried.
func TestC16WhoNeverAnswersHoldsUpNoFetch(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	var mute []string
	tried := make(chan net.Conn, 100) // and are left open
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				select {
				case tried <- c:
				default:
					_ = c.Close()
				}
			}
		}()
		mute = append(mute, l.Addr().String())
	}
	a := m.machine("a", "", Config{Egress: EgressYes, Peers: mute})
	m.file("u1", noise(7, 600_000))
	m.approve("u1")
	installed(t, "u1", a)
	if len(tried) == 0 {
		t.Error("the test shows nothing: nobody who is mute was called")
	}
	for len(tried) > 0 {
		_ = (<-tried).Close()
	}
}
