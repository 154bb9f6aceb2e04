package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

func (m *mesh) revoke(name, reason string) *api.Revoked {
	m.t.Helper()
	v, err := m.seed.Revoke(context.Background(), api.RevokeRequest{Machine: name, Reason: reason})
	if err != nil {
		m.t.Fatal(err)
	}
	return v
}

func (r *running) connectedTo(id string) bool {
	return slices.ContainsFunc(r.host.Peers(), func(p transport.Peer) bool { return p.ID == id })
}

func (r *running) knowsAddrOf(t *testing.T, id string) bool {
	t.Helper()
	known, err := r.db.KnownPeers(1000)
	if err != nil {
		t.Fatal(err)
	}
	r.connector.mu.Lock()
	defer r.connector.mu.Unlock()
	return slices.ContainsFunc(known, func(k state.PeerRow) bool { return k.ID == id }) ||
		slices.ContainsFunc(r.connector.cands, func(k *candidate) bool { return k.id == id })
}

// impostor speaks with the identity and the certificate of a machine that was stopped.
func (m *mesh) impostor(name string, h transport.Handler) *transport.Host {
	m.t.Helper()
	f, err := openFolder(filepath.Join(m.dir, name), time.Now)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(f.close)
	host, err := transport.New(transport.Config{
		Key: f.key, Listen: "127.0.0.1:0", Handler: h, Log: slog.New(slog.DiscardHandler),
		Hello: func() wire.Hello { return wire.Hello{Version: 1, Cert: f.member.Cert} },
		Admit: func(id string, _ wire.Hello) (transport.Peer, error) {
			return transport.Peer{ID: id, Site: "main"}, nil
		},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = host.Close() })
	return host
}

// S-REVOKE on loopback: a seed and three machines; one is stolen. From the moment the others have
// verified the roster it has no session and gets no stream, whatever it tries.
func TestRevokedMachineIsLockedOutEverywhere(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	c := m.machine("c", a.addr, Config{Egress: EgressNo, Peers: []string{b.addr}})
	until(t, "all to know each other", func() bool { return b.connectedTo(c.id) && a.connectedTo(c.id) && b.connectedTo(a.id) })

	if v := m.revoke("c", "stolen on Friday"); v.ID != c.id || v.Reason != "stolen on Friday" {
		t.Fatalf("%+v", v)
	}
	for _, r := range []*running{a, b, m.seed} {
		until(t, "the session to end", func() bool { return r.isRevoked(c.id) && !r.connectedTo(c.id) })
	}
	until(t, "the machine itself to say why", func() bool {
		f, err := c.Status(context.Background(), api.StatusQuery{})
		return err == nil && f.Reason == string(policy.ReasonHostRevoked) && strings.Contains(f.Detail, "stolen on Friday")
	})
	f, err := m.seed.Status(context.Background(), api.StatusQuery{Machine: "c"})
	if err != nil || f.Machines[0].Reason != string(policy.ReasonHostRevoked) || !strings.Contains(f.Machines[0].Detail, "stolen on Friday") || f.Machines[0].Online {
		t.Fatalf("status of the seed: %+v, %v", f.Machines, err)
	}
	for _, r := range []*running{a, b} {
		until(t, "its addresses to be forgotten", func() bool { return !r.knowsAddrOf(t, c.id) })
	}

	// The thief goes on with his own program.
	c.stop()
	thief := &countingHandler{}
	host := m.impostor("c", thief)
	tries := soak(10, 200)
	for i := range tries {
		for _, r := range []*running{a, b} {
			_, err := host.Connect(context.Background(), r.id, r.addr)
			if err == nil {
				t.Fatalf("try %d: admitted by %s", i, r.member.Name)
			}
			if _, err := host.EnrolWith(context.Background(), r.id, r.addr, []byte("let me in")); err == nil || errors.Is(err, transport.ErrRefused) {
				t.Fatalf("try %d: %s looked at its request: %v", i, r.member.Name, err) // an answer, even a no
			}
		}
	}
	if n := thief.up.Load(); n != 0 {
		t.Errorf("%d streams of %d tries were accepted", n, tries)
	}
	// The others go on.
	m.file("u1", payload(300_000))
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return b.update(t, "u1").State == "installed" })
}

type countingHandler struct {
	noHandler
	up atomic.Int64
}

func (h *countingHandler) PeerUp(transport.Peer) { h.up.Add(1) }

// A machine that was off while it was locked out learns it at the first contact, keeps its state, and
// works again once the admin lets it in.
func TestMachineThatWasOffIsToldWhyAndMayComeBack(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	body := payload(100_000)
	m.file("u1", body)
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return b.update(t, "u1").State == "installed" })
	b.stop()
	m.revoke("b", "left in a taxi")
	until(t, "the news", func() bool { return a.isRevoked(b.id) })
	b = m.run("b", Config{Egress: EgressNo, Peers: []string{a.addr}})
	until(t, "the machine to be told", func() bool {
		f, err := b.Status(context.Background(), api.StatusQuery{})
		return err == nil && f.Reason == string(policy.ReasonHostRevoked) && strings.Contains(f.Detail, "left in a taxi")
	})
	if got, err := os.ReadFile(filepath.Join(b.root, "srv", "u1")); err != nil || !bytes.Equal(got, body) {
		t.Error("its files are gone:", err)
	}
	if v, err := m.seed.Revoke(context.Background(), api.RevokeRequest{Machine: "b", Undo: true}); err != nil || !v.Undone {
		t.Fatal(v, err)
	}
	until(t, "the news", func() bool { return !a.isRevoked(b.id) })
	b.stop() // it would come back by itself, at its next try
	b = m.run("b", Config{Egress: EgressNo, Peers: []string{a.addr}})
	until(t, "the machine to be back", func() bool { return a.connectedTo(b.id) })
}

func TestRevokeRefusesWhatMakesNoSense(t *testing.T) {
	m := newMesh(t)
	if _, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, "a"), Token: m.token(1), Name: "a"}, time.Now); err != nil {
		t.Fatal(err)
	}
	revoke := func(r api.RevokeRequest) (*api.Revoked, error) { return m.seed.Revoke(context.Background(), r) }
	for name, c := range map[string]struct {
		r     api.RevokeRequest
		class api.Class
		says  string
	}{
		"the seed by name":      {api.RevokeRequest{Machine: "seed"}, api.ClassRefused, "seed"},
		"the seed by id":        {api.RevokeRequest{Machine: m.seed.id}, api.ClassRefused, "seed"},
		"nobody":                {api.RevokeRequest{Machine: "nobody"}, api.ClassNotFound, "nobody"},
		"one that is not":       {api.RevokeRequest{Machine: "a", Undo: true}, api.ClassNotFound, "not revoked"},
		"reason of two lines":   {api.RevokeRequest{Machine: "a", Reason: "x\ny"}, api.ClassUsage, "reason"},
		"reason without an end": {api.RevokeRequest{Machine: "a", Reason: strings.Repeat("x", 101)}, api.ClassUsage, "reason"},
	} {
		_, err := revoke(c.r)
		var e *api.Error
		if !errors.As(err, &e) || e.Class != c.class || !strings.Contains(e.What, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := m.seed.believer.current().HeadVersion()
	if v, err := revoke(api.RevokeRequest{Machine: "a", Reason: "one"}); err != nil || v.Unchanged {
		t.Fatal(v, err)
	}
	if v, err := revoke(api.RevokeRequest{Machine: "a", Reason: "two"}); err != nil || !v.Unchanged || v.Reason != "one" {
		t.Errorf("again: %+v, %v", v, err)
	}
	if got := m.seed.believer.current().HeadVersion(); got != before+1 {
		t.Errorf("head went from %d to %d", before, got)
	}
	if got := len(m.seed.believer.current().Roster().Gossip); got != 2 {
		t.Errorf("%d gossip epochs after a revocation, want the old and the new one", got)
	}
	joined := JoinRequest{DataDir: filepath.Join(m.dir, "late"), Token: m.token(1), Name: "late"}
	if _, err := Join(context.Background(), joined, time.Now); err != nil {
		t.Fatal(err)
	}
}
