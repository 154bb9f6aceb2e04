package node

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

var keyT0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func testKey(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

// testEpochs are epochs 1, 2, ... of site main, each used an hour after the one before and ended an
// hour after it was followed. The key of epoch n is all n.
func testEpochs(n int) []policy.GossipEpoch {
	var out []policy.GossipEpoch
	for i := 1; i <= n; i++ {
		g := policy.GossipEpoch{ID: uint64(i), UseAt: keyT0.Add(time.Duration(i) * time.Hour), EndAt: keyT0.Add(time.Duration(i+2) * time.Hour)}
		if i == n {
			g.EndAt = time.Time{}
		}
		g.Keys = []policy.GossipKeySum{{Site: "main", Sum: policy.SumGossipKey("acme", "main", g.ID, testKey(byte(i)))}}
		out = append(out, g)
	}
	return out
}

func TestKeysFollowTheRoster(t *testing.T) {
	for name, c := range map[string]struct {
		epochs int
		held   []byte // numbers of keys
		hour   float64
		use    byte
		also   []byte
		lack   []uint64
	}{
		"no epochs stated":         {0, []byte{7}, 1, 7, nil, nil},
		"one epoch":                {1, []byte{1}, 1.5, 1, nil, nil},
		"nothing but a wrong key":  {1, []byte{9}, 1.5, 9, nil, []uint64{1}},
		"next one not yet here":    {2, []byte{1}, 1.5, 1, nil, []uint64{2}},
		"next one is here early":   {2, []byte{1, 2}, 1.5, 1, []byte{2}, nil},
		"next one counts":          {2, []byte{1, 2}, 2.5, 2, []byte{1}, nil},
		"next one counts, missing": {2, []byte{1}, 2.5, 1, nil, []uint64{2}},
		"old one has ended":        {2, []byte{1, 2}, 3.5, 2, nil, nil},
		"only the ended one":       {2, []byte{1}, 3.5, 1, nil, []uint64{2}},
		"only the future one":      {2, []byte{2}, 1.5, 2, nil, []uint64{1}},
		"away for three epochs":    {4, []byte{1}, 4.5, 1, nil, []uint64{4, 3}},
		"all of three":             {3, []byte{1, 2, 3}, 2.5, 2, []byte{3, 1}, nil},
		"no key at all":            {1, nil, 1.5, 0, nil, []uint64{1}},
	} {
		var held [][]byte
		for _, k := range c.held {
			held = append(held, testKey(k))
		}
		p := planKeys("acme", "main", testEpochs(c.epochs), held, keyT0.Add(time.Duration(c.hour*float64(time.Hour))))
		var use byte
		if p.use != nil {
			use = p.use[0]
		}
		var also []byte
		for _, k := range p.also {
			also = append(also, k[0])
		}
		if use != c.use || !slices.Equal(also, c.also) || !slices.Equal(p.lack, c.lack) {
			t.Errorf("%s: use %d, also %d, lack %d; want %d, %d, %d", name, use, also, p.lack, c.use, c.also, c.lack)
		}
	}
	if p := planKeys("acme", "other", testEpochs(2), [][]byte{testKey(1)}, keyT0); p.use == nil || len(p.lack) > 0 {
		t.Errorf("a site that the roster does not name: %+v", p)
	}
}

// After a revocation nobody opens with any key that the machine could know for longer than the
// overlap, however generous an earlier rotation was.
func TestRevocationEndsSlowRotations(t *testing.T) {
	m := newMesh(t)
	s := m.seed.seed
	now := s.now()
	epochs := s.nextGossip(nil, rotateByTime)
	epochs = s.nextGossip(epochs, rotateByTime) // begun: the second key is handed out and not used yet
	epochs = s.nextGossip(epochs, rotateOnRevoke)
	if len(epochs) != 3 {
		t.Fatalf("%d epochs", len(epochs))
	}
	limit := now.Add(rotateOnRevoke.lead + rotateOnRevoke.overlap + time.Minute)
	for _, g := range epochs[:2] {
		if g.EndAt.After(limit) {
			t.Errorf("epoch %d lives until %s after the revocation", g.ID, g.EndAt.Sub(now))
		}
	}
	if d := epochs[2].UseAt.Sub(now); d > 2*time.Minute {
		t.Errorf("the new key is used after %s", d)
	}
	for range 10 {
		epochs = s.nextGossip(epochs, rotateOnRevoke)
		if _, err := (&policy.Roster{Org: "acme", Gossip: epochs}).Encode(); err != nil {
			t.Fatal(err)
		}
	}
}

// rotate publishes a new epoch at once, as a revocation does, with a lead of nothing.
func (m *mesh) rotate(r rotation) {
	m.t.Helper()
	s := m.seed.seed
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.believer.current().Roster()
	next.Gossip = s.nextGossip(next.Gossip, r)
	if err := s.publish(s.believer.current(), nil, &next); err != nil {
		m.t.Fatal(err)
	}
}

func (r *running) newestEpoch() uint64 {
	g := r.believer.current().Roster().Gossip
	if len(g) == 0 {
		return 0
	}
	return g[len(g)-1].ID
}

// holdsNewest: the node seals with the key of the newest epoch.
func (r *running) holdsNewest() bool {
	key := r.gossipKeyOf(r.member.Site, r.newestEpoch())
	return key != nil && bytes.Equal(r.keyPlan().use, key)
}

// Members hand a new key on; one that was off while keys changed comes back through its sessions,
// though nobody understands its gossip any more; and everything works meanwhile.
func TestMembersHandGossipKeysOn(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo}) // never sees the seed
	c := m.machine("c", a.addr, Config{Egress: EgressNo})
	until(t, "sessions", func() bool { return a.connectedTo(b.id) && a.connectedTo(c.id) })
	c.stop()
	for i := range uint64(3) {
		m.rotate(rotation{})
		for _, r := range []*running{a, b} {
			until(t, fmt.Sprintf("%s to use epoch %d", r.member.Name, i+2), func() bool { return r.newestEpoch() == i+2 && r.holdsNewest() })
		}
	}
	until(t, "gossip under the new key", func() bool { return len(a.gossip.Members()) > 0 && len(b.gossip.Members()) > 0 })
	c = m.run("c", Config{Egress: EgressNo, Peers: []string{a.addr}})
	until(t, "the machine that was off to have the key", func() bool { return c.newestEpoch() == 4 && c.holdsNewest() })
	until(t, "it to be a member again", func() bool { return len(c.gossip.Members()) > 0 })
	c.stop()
	c = m.run("c", Config{Egress: EgressNo, Peers: []string{a.addr}})
	if c.newestEpoch() != 4 || !c.holdsNewest() {
		t.Error("the key was not kept over a restart")
	}
	m.file("u1", payload(100_000))
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return c.update(t, "u1").State == "installed" })
}

// A member that hands out another key than the roster states changes nothing and is noticed; one of
// another site or without a session gets none.
func TestWrongGossipKeyIsRefused(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressNo}) // the liar is all it has
	liar := m.infiltrate(&insider{}, 0)
	if _, err := liar.Connect(context.Background(), a.id, a.addr); err != nil {
		t.Fatal(err)
	}
	before := a.keyPlan().use
	lacking := *a.believer.current().Roster()
	lacking.Gossip = m.seed.seed.nextGossip(lacking.Gossip, rotation{overlap: time.Hour})
	if got := planKeys("acme", "main", lacking.Gossip, [][]byte{before, testKey(5)}, time.Now().Add(time.Second)); len(got.lack) != 1 || !bytes.Equal(got.use, before) {
		t.Fatalf("a wrong key counts: %+v", got)
	}
	f, err := m.seed.believer.current().Publish(nil, &lacking, m.seed.seed.online, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	next, err := policy.OpenTrust(f, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.takeUp(next, via{}); err != nil { // as if it had come from the seed
		t.Fatal(err)
	}
	for _, epoch := range []uint64{2, 1, 77} {
		if err := liar.Send(a.id, wire.GossipKey{Epoch: epoch, Key: [32]byte(testKey(5))}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the wrong key to be refused", func() bool { return a.refusedFor(t, policy.ReasonTrustUnknownKey) })
	if got := a.keyPlan(); !bytes.Equal(got.use, before) || len(got.lack) != 1 {
		t.Errorf("after a wrong key: %+v", got)
	}
	if key := a.gossipKeyOf("hq", 1); key != nil {
		t.Error("a machine hands out the key of another site")
	}
	if key := m.seed.gossipKeyOf("main", 9); key != nil {
		t.Error("the seed hands out keys of epochs that do not exist")
	}
}

// A site that is new gets its key into the roster before its first machine joins.
func TestNewSiteHasItsKeyStated(t *testing.T) {
	m := newMesh(t)
	for _, site := range []string{"berlin", "aachen", "berlin"} {
		if _, err := m.seed.Invite(context.Background(), api.InviteRequest{Site: site}); err != nil {
			t.Fatal(err)
		}
	}
	g := m.seed.believer.current().Roster().Gossip
	for _, site := range []string{"aachen", "berlin", "hq"} {
		sum, ok := g[len(g)-1].SumOf(site)
		key, err := m.seed.seed.enrolGossipKey(site)
		if !ok || err != nil || policy.SumGossipKey("acme", site, g[len(g)-1].ID, key) != sum {
			t.Errorf("site %s: %v, %v", site, ok, err)
		}
	}
	if v := m.seed.believer.current().Roster().Serial; v > 5 {
		t.Errorf("three invitations made %d rosters", v)
	}
}
