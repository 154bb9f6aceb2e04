package swarm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// Where all machines of a site ask no seed, none of them can wait for nobody: those that fetch from web hosts keep the
// ordinary order, once it is known that they do. Who asks nobody beyond the site is not waited for.
func TestMachinesThatAskNoSeedKeepTheirOrder(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		sources string
		counts  bool
	}{"web hosts": {"site,origin", true}, "seeds": {"site,seed", false}, "nobody": {"site", false}} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			var err error
			if cfg.Sources, err = ParseSources(c.sources); err != nil {
				t.Fatal(err)
			}
			core, err := New(cfg, Self{Peer: "self", Site: "hq", Egress: true}, Snapshot{}, rand.New(rand.NewPCG(1, 2)), now)
			if err != nil {
				t.Fatal(err)
			}
			var first []*payload // those for which a comes before this machine
			for i := range 20 {
				id := content.Sum(fmt.Append(nil, "payload", i))
				core.addPayload(PayloadInfo{ID: id, Chunks: 8, ChunkBytes: content.MinChunkBytes, StoredBytes: 8 * content.MinChunkBytes, Mirrors: 1})
				if l := core.byMap[id]; before(weight(l.key, 0, "a"), "a", weight(l.key, 0, "self"), "self") {
					first = append(first, l)
				}
			}
			for _, p := range []PeerID{"a", "b"} { // b asks nobody beyond the site, and says the same
				core.Step(now, PeerUp{Peer: p, Site: "hq", Egress: true})
				core.Step(now, PeerGated{Peer: p, WAN: policy.ReasonNetPeersOnly})
			}
			places := func() (sum int) {
				for _, l := range first {
					sum += core.inLine(l)
				}
				return sum
			}
			if places() != 0 || len(first) == 0 {
				t.Errorf("machines that may fetch nothing are waited for: %d of %d", places(), len(first))
			}
			core.Step(now, LeaseHeard{From: "a", Payload: core.payloads[0].id, Held: true})
			core.Step(now, LeaseHeard{From: "a", Payload: core.payloads[0].id})
			want := 0
			if c.counts {
				want = len(first)
			}
			if got := places(); got != want {
				t.Errorf("a comes before this machine for %d of %d payloads", got, want)
			}
		})
	}
}
