package swarm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/policy"
)

// Suites of machines that are members and do not play by the rules, in virtual time.

// trouble answers an ask as a hostile machine does.
func (w *world) trouble(n, o *worldNode, req Req) bool {
	switch {
	case o.lies && w.boast: // it makes bytes up
		w.later(n, 20*time.Millisecond, Failed{Req: req, Class: Refuse, Reason: policy.ReasonTrustBadChunk})
	case o.hostile == "silent": // the driver gives up on a stream that says nothing
		w.later(n, 5*time.Second, Failed{Req: req, Class: Retry, Reason: policy.ReasonNetTimeout})
	case o.hostile == "drips": // a byte a second: the stream lives, and the chunk never ends
	case o.hostile == "absent":
		w.later(n, time.Millisecond, Failed{Req: req, Class: Absent})
	case o.hostile == "busy":
		w.later(n, time.Millisecond, Failed{Req: req, Class: Busy})
	default:
		return false
	}
	return true
}

// comeBack: the driver dials a neighbour again that it lost.
func (w *world) comeBack(a, b *worldNode) {
	if a.site != b.site {
		return
	}
	w.after(2*time.Second, func() {
		if a.alive && b.alive && !a.sessions[b.id] {
			w.connect(a, b)
		}
	})
}

// newTroubled makes a world with so many hostile machines, the last ones.
func newTroubled(t *testing.T, seed uint64, machines, hostile, withoutEgress int, kinds ...string) *world {
	rng := rand.New(rand.NewPCG(seed, 17))
	w := newWorldLike(t, worldShape{machines: machines, withoutEgress: withoutEgress, seed: seed})
	w.boast = true
	for i := range hostile {
		n := w.nodes[PeerID(fmt.Sprintf("m%02d", machines-1-i))]
		if kind := kinds[rng.IntN(len(kinds))]; kind == "lies" {
			n.lies = true
		} else {
			n.hostile = kind
		}
	}
	return w
}

// honest waits until the machines that play by the rules have the update.
func (w *world) honest(u policy.UpdateID, limit time.Duration) (took time.Duration, all bool) {
	done := func() bool {
		for _, id := range w.order {
			n := w.nodes[id]
			if _, has := n.installed[u]; !has && !n.seed && !n.lies && n.hostile == "" {
				return false
			}
		}
		return true
	}
	took = w.until(limit, done)
	return took, done()
}

// refusedBy counts what each machine threw away for each liar.
func (w *world) refusedBy() (most, all int64) {
	for _, id := range w.order {
		from := map[PeerID]int64{}
		if w.nodes[id].lies || w.nodes[id].hostile != "" {
			continue
		}
		for _, n := range w.nodes[id].notes {
			if n.Kind == NoteRefused && n.Reason == policy.ReasonTrustBadChunk {
				from[n.Peer]++
				all++
				most = max(most, from[n.Peer])
			}
		}
	}
	return most, all
}

// S-SLOW: some machines say that they have everything and send a byte a second, or nothing. Each costs at
// most 15 seconds.
func TestSlowMachinesCostSeconds(t *testing.T) {
	worst := time.Duration(0)
	for seed := range uint64(soak(4, 100)) {
		w := newTroubled(t, seed, 8, 0, 2)
		w.publish("u1", 32)
		clean, _ := w.honest("u1", time.Minute)
		bad := 1 + int(seed%4)
		w = newTroubled(t, seed, 8, bad, 2, "drips", "silent")
		w.publish("u1", 32)
		took, all := w.honest("u1", 5*time.Minute)
		if !all {
			t.Fatalf("run %d: not everybody has the update after %v", seed, took)
		}
		lost := (took - clean) / time.Duration(bad)
		worst = max(worst, lost)
		if lost > 15*time.Second {
			t.Errorf("run %d: %d slow machines cost %v each", seed, bad, lost)
		}
	}
	t.Logf("a slow machine cost %v at most", worst)
}

// S-POISON: up to 49 of 50 machines send wrong bytes. Nothing wrong is kept, each victim loses at most one chunk to
// each liar, and the update arrives.
func TestPoisonCostsOneChunkForEachLiar(t *testing.T) {
	slowest, wasted := time.Duration(0), int64(0)
	for seed := range uint64(soak(12, 10000)) {
		machines := 4 + int(seed*7%16)
		if seed%100 == 3 {
			machines = 50
		}
		bad := 1 + int(seed*13)%(machines-1)
		w := newTroubled(t, seed, machines, bad, 0, "lies")
		w.publish("u1", 4+int(seed%29))
		took, all := w.honest("u1", 5*time.Minute)
		if !all {
			t.Fatalf("run %d: %d of %d lie, and the update does not arrive", seed, bad, machines)
		}
		most, n := w.refusedBy()
		slowest, wasted = max(slowest, took), wasted+n
		if most > 1 {
			t.Errorf("run %d: a victim lost %d chunks to one liar", seed, most)
		}
	}
	t.Logf("slowest %v, %d chunks thrown away", slowest, wasted)
}

// A fifth of twenty machines lie: the others take at most 1.3 times as long as among honest ones.
func TestAFifthOfTheSiteLies(t *testing.T) {
	worst := 0.0
	for seed := range uint64(soak(1, 8)) {
		w := newTroubled(t, seed, 20, 0, 4)
		w.publish("u1", 192)
		clean, _ := w.honest("u1", time.Minute)
		w = newTroubled(t, seed, 20, 4, 4, "lies")
		w.publish("u1", 192)
		took, all := w.honest("u1", 5*time.Minute)
		most, _ := w.refusedBy()
		worst = max(worst, took.Seconds()/clean.Seconds())
		if !all || took > clean*13/10 || most > 1 {
			t.Errorf("run %d: %v instead of %v, all %v, %d chunks from one liar", seed, took, clean, all, most)
		}
	}
	t.Logf("%.3f of the clean time at most", worst)
}

// S-ECLIPSE: all neighbours are hostile, in any way. The machine gets the update across the WAN within
// two minutes, or says why not if it has no way there.
func TestAMachineAmongEnemiesAlone(t *testing.T) {
	slowest := time.Duration(0)
	for seed := range uint64(soak(16, 1000)) {
		egress := seed%4 != 0
		w := newTroubled(t, seed, 2+int(seed%9), 1+int(seed%9), 0, "lies", "silent", "drips", "absent", "busy", "squats")
		w.step(w.nodes["m00"], EgressChanged{Egress: egress})
		w.nodes["m00"].egress = egress
		w.publish("u1", 8)
		took, all := w.honest("u1", 2*time.Minute)
		slowest = max(slowest, took)
		if egress && !all {
			t.Fatalf("run %d: no update after %v", seed, took)
		}
		if !all {
			k := w.nodes["m00"].core.View().Tasks
			if len(k) != 1 || k[0].State == policy.StateInstalled || k[0].Reason == "" && k[0].State != policy.StateDownloading {
				t.Fatalf("run %d: says nothing of its trouble: %+v", seed, k)
			}
		}
	}
	t.Logf("slowest %v", slowest)
}

// S-LEASE: a fifth of the machines claim the WAN lease and fetch nothing. That delays the site by a minute at most,
// and the WAN carries the payload at most twice; once, give or take, without them.
func TestSquattersDelayTheSiteByAMinute(t *testing.T) {
	worst, most := time.Duration(0), 0.0
	for seed := range uint64(soak(6, 1000)) {
		w := newTroubled(t, seed, 10, 0, 3)
		w.publish(fmt.Sprintf("u%d", seed), 24)
		u := policy.UpdateID(fmt.Sprintf("u%d", seed))
		clean, _ := w.honest(u, time.Minute)
		if got := float64(w.wanBytes) / (24 * worldChunk); got > 1.02 {
			t.Errorf("run %d: the WAN carried %.3f payloads without squatters", seed, got)
		}
		w = newTroubled(t, seed, 10, 2, 3, "squats")
		w.publish(string(u), 24)
		took, all := w.honest(u, 5*time.Minute)
		if !all {
			t.Fatalf("run %d: not everybody has the update after %v", seed, took)
		}
		got := float64(w.wanBytes) / (24 * worldChunk)
		worst, most = max(worst, took-clean), max(most, got)
		if took-clean > time.Minute || got > 2 {
			t.Errorf("run %d: squatters cost %v, the WAN carried %.2f payloads", seed, took-clean, got)
		}
	}
	t.Logf("delay %v at most, the WAN carried %.3f payloads at most", worst, most)
}
