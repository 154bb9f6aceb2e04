package swarm

import (
	"fmt"
	"testing"
	"time"
)

// R-C2: machines that began together look at their disks over a fifth of the interval, each always at its own time,
// whether the interval is signed or the usual one; a look that did not work is repeated no later for it.
func TestRC2MachinesDoNotAllLookAtOnce(t *testing.T) {
	const machines = 200
	for _, signed := range []time.Duration{0, 2 * time.Hour} {
		tenths := map[int]int{}
		for i := range machines {
			c := &Core{cfg: DefaultConfig(), self: Self{Peer: PeerID(fmt.Sprintf("peer-%d", i))}}
			c.tasks.plan.ScanEvery = signed
			every := c.cfg.ScanEvery
			if signed > 0 {
				every = signed
			}
			got := c.scanEvery(&task{})
			if got > every || got < every-every/5 || got != c.scanEvery(&task{}) {
				t.Fatalf("machine %d looks every %s of %s", i, got, every)
			}
			tenths[int(10*(every-got)/(every/5+1))]++
			if again := c.scanEvery(&task{blind: 1}); again != c.cfg.InstallRetryMin {
				t.Fatalf("after a look that did not work: %s", again)
			}
		}
		for at := range 10 {
			if n := tenths[at]; n == 0 || n > machines/4 {
				t.Errorf("interval %s: %d of %d machines look in tenth %d", signed, n, machines, at)
			}
		}
	}
}
