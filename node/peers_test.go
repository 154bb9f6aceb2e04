package node

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

func TestPeersTellWhoIsThereAndWhoIsAway(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	m.file("u1", noise(11, 2<<20))
	m.approve("u1")
	installed(t, "u1", a, b)
	row := func(r *running, name string) (out api.PeerInfo) {
		t.Helper()
		n, err := r.Node.Node(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range n.Peers {
			if p.Name == name {
				out = p
			}
		}
		return out
	}
	p := row(b, "a")
	if p.State != "connected" || p.Tier != api.TierSubnet || p.Standing != "good" || p.BytesIn != 2<<20 || p.HeldPayloads != 1 || p.HeldChunks == 0 || p.ConnectedAt.IsZero() {
		t.Errorf("b sees a as %+v", p)
	}
	if runtime.GOOS == "linux" && (p.RTTSeconds <= 0 || p.RTTSeconds > 60) {
		t.Errorf("the round trip to a takes %v s", p.RTTSeconds)
	}
	if p := row(a, "seed"); p.Tier != api.TierSeed || !p.Seed {
		t.Errorf("a sees the seed as %+v", p)
	}
	b.stop()
	until(t, "a to see that b is away", func() bool {
		p := row(a, "b")
		return p.State == "away" && time.Since(p.SeenAt) < time.Minute
	})
}

func TestRatesFollowTheBytes(t *testing.T) {
	var r flow
	now := time.Unix(1000, 0)
	for i := range 100 {
		r.sample(int64(i)*1000, now.Add(time.Duration(i)*time.Second))
	}
	if r.bytesPerSec < 950 || r.bytesPerSec > 1000 {
		t.Errorf("1000 bytes a second for 100 s are %v a second", r.bytesPerSec)
	}
	r.sample(99_000, now.Add(400*time.Second))
	if r.bytesPerSec > 1 {
		t.Errorf("after 300 s of silence %v bytes a second", r.bytesPerSec)
	}
	r.sample(5, now.Add(401*time.Second)) // a new session counts from zero
	r.sample(5, now.Add(300*time.Second)) // a clock that went back
	if r.bytesPerSec < 0 || r.bytesPerSec > 1 {
		t.Errorf("%v bytes a second out of nothing", r.bytesPerSec)
	}
}

// C-65: a machine that gives or takes nothing says so of itself, with the reason and what to do, and its neighbours say it of it.
func TestC65WhoIsNotEligibleIsToldWithItsReason(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	tunnel := DefaultGates()
	tunnel.Link, tunnel.VPN = LinkVPN, swarm.UseNothing
	b := m.machine("b", a.addr, Config{Egress: EgressNo, Gates: &tunnel})
	info := func(r *running) *api.NodeInfo {
		t.Helper()
		n, err := r.Node.Node(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	peer := func(r *running, name string) (out api.PeerInfo) {
		for _, p := range info(r).Peers {
			if p.Name == name {
				out = p
			}
		}
		return out
	}
	is := func(e api.Eligible, why policy.Reason) bool {
		return e.OK == (why == "") && e.Reason == string(why) && (e.OK || e.Detail != "" && e.NextStep != "")
	}
	until(t, "a to know that b gives nothing", func() bool { return is(peer(a, "b").Gives, policy.ReasonNetVPN) })
	if p := peer(a, "b"); !is(p.Takes, "") {
		t.Errorf("a gives to b: %+v", p.Takes)
	}
	if p := peer(b, "a"); !is(p.Gives, policy.ReasonNetVPN) || !is(p.Takes, policy.ReasonNetVPN) {
		t.Errorf("b of a: %+v, %+v", p.Gives, p.Takes)
	}
	if p := peer(a, "seed"); !is(p.Gives, "") || p.Takes.OK {
		t.Errorf("a of the seed: %+v, %+v", p.Gives, p.Takes)
	}
	for _, x := range info(b).Abilities {
		if !is(x.Eligible, policy.ReasonNetVPN) {
			t.Errorf("b of itself: %+v", x)
		}
	}
	for _, x := range info(a).Abilities {
		if !is(x.Eligible, "") || api.AbilityTexts[x.What] == "" {
			t.Errorf("a of itself: %+v", x)
		}
	}
	until(t, "the seed to know", func() bool {
		row := m.fleetRow("b")
		return row.Traffic != nil && slices.ContainsFunc(row.Traffic.Gates, func(g api.Gate) bool { return g.What == "serve" && g.Reason == string(policy.ReasonNetVPN) })
	})
	b.stop()
	until(t, "a to see that b is away", func() bool { return is(peer(a, "b").Gives, policy.ReasonHostOffline) })
}
