package node

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"patchmesh/node/transport"
)

// An attempt to renew whose connection was lost is repeated within seconds, but not for ever: a machine whose
// every connection is cut slows down like any other that fails, and says so.
func TestRenewalThatWasCutOffIsTriedAgainSoon(t *testing.T) {
	t.Parallel()
	clock := &testClock{}
	r := &renewal{n: &Node{cfg: Config{Now: clock.now}, log: slog.New(slog.DiscardHandler)}}
	cut := fmt.Errorf("%w: 192.0.2.1:7: %w", errNobody, transport.ErrGone)
	for i := range renewCuts {
		if soon := clock.now().Add(10 * time.Second); !r.cutOff(cut) || !r.nextAt.Before(soon) || r.nextAt.Before(clock.now()) {
			t.Fatalf("cut %d: again at %v, now it is %v", i, r.nextAt, clock.now())
		}
	}
	if r.cutOff(cut) {
		t.Error("a connection that is cut each time is asked every few seconds for ever")
	}
	for _, err := range []error{errNobody, &refusedError{reason: "no"}, errors.New("something else")} {
		if !r.cutOff(cut) || r.cutOff(err) {
			t.Errorf("%v is taken for a lost connection", err)
		}
		if r.cuts != 0 {
			t.Errorf("%v leaves %d cuts in a row", err, r.cuts)
		}
	}
}
