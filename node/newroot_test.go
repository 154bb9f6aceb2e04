package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// A stolen timestamp key is replaced by a new root. Machines that run meanwhile hear of it by a head that
// nobody's key at hand has signed: they ask for a newer root, and go on, without a restart. So does one
// that never sees the seed.
func TestNewTimestampKeyReachesRunningMachines(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	m.file("u1", payload(100_000))
	m.approve("u1")
	until(t, "the first update", func() bool { return b.update(t, "u1").State == "installed" })

	m.rotateTimestamp("timestamp-2")
	for _, r := range []*running{a, b} {
		until(t, "the new root to arrive", func() bool { return r.believer.current().RootVersion() == 2 })
	}
	m.file("u2", payload(100_000))
	m.approve("u2")
	for _, r := range []*running{a, b} {
		until(t, "an approval under the new key to arrive", func() bool { return r.update(t, "u2").State == "installed" })
	}
	if got := b.refused(); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// A member that shows heads of unknown keys without end takes walks away from others, and no head: what an honest
// neighbour shows once, meanwhile, is followed when its turn has come.
func TestHeadsOfUnknownKeysDoNotKeepAMachineBehindANewRoot(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	b := m.machine("b", "", Config{Egress: EgressYes})
	a := m.machine("a", b.addr, Config{Egress: EgressNo, chaseEvery: 50 * time.Millisecond})
	m.file("u1", payload(1000))
	m.approve("u1")
	until(t, "the first update", func() bool { return a.update(t, "u1").State == "installed" })

	other := filepath.Join(t.TempDir(), "other")
	if _, err := Found(FoundRequest{DataDir: other, Org: "acme", Name: "other"}, time.Now); err != nil {
		t.Fatal(err)
	}
	strange, err := openBeliever(filepath.Join(other, "trust"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	host := m.infiltrate(&insider{}, 0)
	if _, err := host.Connect(context.Background(), a.id, a.addr); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		for next := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; <-next.C {
			_ = host.Send(a.id, wire.Head{Timestamp: strange.current().Files().Timestamp}) // it may be cut off for it
		}
	}()
	defer func() { stop(); <-flooded }()
	until(t, "the flood to be noticed", func() bool { return a.refusedFor(t, policy.ReasonTrustUnknownKey) })
	m.rotateTimestamp("timestamp-2")
	m.file("u2", payload(1000))
	m.approve("u2")
	until(t, "an approval under the new key", func() bool { return a.update(t, "u2").State == "installed" })
}

// The roster's key was stolen and is replaced while machines run. They take the new root with its roster,
// keep their sessions and certificates, install what is approved afterwards, and so does a machine that was
// off meanwhile and one that joins after it. What the old key signs is refused.
func TestNewRosterKeyReachesRunningMachines(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	off := m.machine("off", a.addr, Config{Egress: EgressNo})
	for _, r := range []*running{a, b, off} {
		until(t, "everybody to be connected", func() bool { return len(r.connected()) > 0 })
	}
	off.stop()
	before := a.believer.current()
	cert := a.member.Cert

	m.rotateKey("roster-2", func(pem string) api.RootRequest { return api.RootRequest{Roster: pem} })
	m.file("u1", payload(100_000))
	m.approve("u1")
	off = m.run("off", Config{Egress: EgressNo, Peers: []string{a.addr}})
	late := m.machine("late", a.addr, Config{Egress: EgressNo})
	for _, r := range []*running{a, b, off, late} {
		until(t, "an approval after the rotation to arrive", func() bool { return r.update(t, "u1").State == "installed" })
		if now := r.believer.current(); now.RootVersion() != 2 || now.Roster().EnrolmentKeys[0] != before.Roster().EnrolmentKeys[0] {
			t.Errorf("%s: root %d", r.id, now.RootVersion())
		}
		if got := r.refused(); len(got) > 0 {
			t.Errorf("%+v", got)
		}
	}
	if string(a.member.Cert) != string(cert) || !a.sees(m.seed.id) {
		t.Error("a machine lost its certificate or its session over another key's rotation")
	}

	m.seed.stop() // a restart finds the key that counts
	m.seed = m.run("seed", Config{Listen: m.seed.addr})
	m.file("u2", payload(1000))
	m.approve("u2")
	until(t, "life to go on", func() bool { return b.update(t, "u2").State == "installed" })

	stolen := roleSigner(t, filepath.Join(m.dir, "seed", "keys"), roleRoster)
	online := m.seed.seed.online
	online.Roster = stolen
	evil := *before.Roster()
	evil.EnrolmentKeys = []string{strings.Repeat("ab", 32)}
	forged, err := before.Publish(nil, &evil, online, m.seed.cfg.Now())
	if err != nil {
		t.Fatalf("the attack must be real before the rotation: %v", err)
	}
	if _, err := policy.OpenTrust(forged, m.seed.cfg.Now()); err != nil {
		t.Fatal(err)
	}
	root := m.seed.believer.current().Files().Root
	walk := before.Refresh(forged.Timestamp, m.seed.cfg.Now())
	err = nil
	for need, more := walk.Need(); more && err == nil; need, more = walk.Need() {
		doc := forged.Find(need.ID)
		if need.RootVersion > 0 {
			doc, root = root, nil
		}
		err = walk.Supply(doc)
	}
	if _, end := walk.Result(); !errors.Is(errors.Join(err, end), policy.ErrUnknownKey) {
		t.Errorf("a roster by the stolen key, to a machine that was off: %v, %v", err, end)
	}
}

// roleSigner opens an online key of a seed.
func roleSigner(t *testing.T, dir, name string) policy.Signer {
	t.Helper()
	s, err := openSigner(dir, name, "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rotateTimestamp replaces the seed's timestamp key by a new root.
func (m *mesh) rotateTimestamp(name string) {
	m.rotateKey(name, func(pem string) api.RootRequest { return api.RootRequest{Timestamp: pem} })
}

// rotateKey makes a key on the seed and publishes the root that asks for it.
func (m *mesh) rotateKey(name string, ask func(pem string) api.RootRequest) {
	t := m.t
	t.Helper()
	dir := filepath.Join(m.dir, "seed", "keys")
	k, err := NewKey(dir, name, "")
	if err != nil {
		t.Fatal(err)
	}
	draft, err := m.seed.RootDraft(context.Background(), ask(k.PEM))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "root.json")
	if err := WriteFile(path, draft.Body); err != nil {
		t.Fatal(err)
	}
	if _, err := SignRootFile(path, filepath.Join(dir, "root.key"), ""); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := m.seed.AdoptRoot(context.Background(), api.RootFile{Body: body}); err != nil || !v.Published {
		t.Fatalf("%+v, %v", v, err)
	}
}
