package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/keys"
	"patchmesh/node/transport"
	"patchmesh/swarm/wire"
)

func (m *mesh) changeEnrolKeys(r api.EnrolKeyChange) *api.EnrolKeys {
	m.t.Helper()
	k, err := m.seed.ChangeEnrolKeys(context.Background(), r)
	if err != nil {
		m.t.Fatal(err)
	}
	return k
}

// issuerKey is the private key that a seed issues certificates with.
func (r *running) issuerKey() ed25519.PrivateKey {
	key, err := r.seed.issuer()
	if err != nil {
		panic(err)
	}
	return key
}

// shownIssuer is the key that has signed what a node shows.
func (r *running) shownIssuer(t *testing.T) string {
	t.Helper()
	c, err := enrol.Read(r.hello().Cert)
	if err != nil {
		t.Fatal(err)
	}
	return c.Issuer
}

// rogue is a machine that a thief has let in with a stolen enrolment key.
type rogue struct {
	*countingHandler
	host *transport.Host
	key  ed25519.PrivateKey
	id   string
	cert []byte
}

func (m *mesh) rogue(stolen ed25519.PrivateKey) *rogue {
	m.t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	r := &rogue{countingHandler: &countingHandler{}, key: key}
	r.host, err = transport.New(transport.Config{
		Key: key, Listen: "127.0.0.1:0", Handler: r, Log: slog.New(slog.DiscardHandler),
		Hello: func() wire.Hello { return wire.Hello{Version: 1, Cert: r.cert} },
		Admit: func(id string, _ wire.Hello) (transport.Peer, error) {
			return transport.Peer{ID: id, Site: "main"}, nil
		},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = r.host.Close() })
	r.id = r.host.ID()
	now := m.seed.cfg.Now()
	r.cert, err = enrol.Issue(enrol.Certificate{
		Serial: 77, Org: "acme", Site: "main", Name: "rogue", Peer: r.id, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * 24 * time.Hour),
	}, stolen)
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

// An enrolment key is stolen and withdrawn. Whoever was let in with it has no session any more and gets none,
// no gossip, no relayed request and no renewal; the members go on under the new key without a new token.
func TestWithdrawnEnrolmentKeyIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	m, clock := clockMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes, Now: clock.now})
	b := m.machine("b", a.addr, Config{Egress: EgressNo, Now: clock.now})
	all := []*running{m.seed, a, b}
	until(t, "everybody to be connected", func() bool { return a.sees(m.seed.id) && b.sees(a.id) })
	stolen, err := keys.OpenRole(filepath.Join(m.dir, "seed", "keys"), roleEnrol, "")
	if err != nil {
		t.Fatal(err)
	}
	thief := m.rogue(stolen)
	for _, r := range all {
		if _, err := thief.host.Connect(context.Background(), r.id, r.addr); err != nil {
			t.Fatalf("the attack must be real before the withdrawal: %v", err)
		}
		if err := r.checkMeta(thief.id, r.addr, thief.cert); err != nil && r != m.seed {
			t.Fatal(err)
		}
		until(t, "the thief's session", func() bool { return r.sees(thief.id) })
	}
	epochs := len(m.seed.believer.current().Roster().Gossip)
	old := hex.EncodeToString(stolen.Public().(ed25519.PublicKey))

	k := m.changeEnrolKeys(api.EnrolKeyChange{Rotate: true, Withdraw: true})
	if len(k.Keys) != 1 || !k.Keys[0].Issuing || len(k.Withdrawn) != 1 || k.Withdrawn[0] != old[:enrolIDDigits] || k.Keys[0].Key == old {
		t.Fatalf("%+v", k)
	}
	began := clock.now()
	for _, r := range all {
		until(t, "a certificate of the new key, and the thief's session to end", func() bool {
			clock.forward(200 * time.Millisecond)
			knows := slices.ContainsFunc(thief.host.Peers(), func(p transport.Peer) bool { return p.ID == r.id }) // who is cut off hears of it later
			return r.shownIssuer(t) == k.Keys[0].Key && !r.sees(thief.id) && !knows
		})
	}
	t.Logf("out after %v", clock.now().Sub(began).Round(time.Second))
	up := thief.up.Load()
	for range soak(5, 200) {
		for _, r := range all {
			if _, err := thief.host.Connect(context.Background(), r.id, r.addr); err == nil {
				t.Fatalf("admitted by %s", r.member.Name)
			}
			if err := r.checkMeta(thief.id, r.addr, thief.cert); err == nil {
				t.Fatalf("%s takes it for a member", r.member.Name)
			}
		}
	}
	if n := thief.up.Load(); n != up {
		t.Errorf("%d more sessions", n-up)
	}
	thief.asksForMore(t, m, a, b)
	if got := len(m.seed.believer.current().Roster().Gossip); got != epochs+1 {
		t.Errorf("%d gossip epochs, were %d: the thief knows the keys", got, epochs)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "seed", "keys", roleEnrol+".key")); err == nil {
		t.Error("the withdrawn key still lies on the seed")
	}

	until(t, "the members to be together again", func() bool { return a.sees(m.seed.id) && b.sees(a.id) })
	m.file("u1", payload(300_000))
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return b.update(t, "u1").State == "installed" })
	late := m.machine("late", a.addr, Config{Egress: EgressNo, Now: clock.now})
	until(t, "a new machine among the others", func() bool { return late.sees(a.id) || late.sees(b.id) })
}

// asksForMore: the seed never heard of the thief's machine, so it renews nothing for it, whoever carries it.
func (r *rogue) asksForMore(t *testing.T, m *mesh, through ...*running) {
	t.Helper()
	box, err := enrol.BoxPublic(m.seed.seed.box)
	if err != nil {
		t.Fatal(err)
	}
	p, err := enrol.NewRenewal(box, r.key, 77, 1, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range append([]*running{m.seed}, through...) {
		b, err := r.host.EnrolWith(context.Background(), by.id, by.addr, p.Request)
		if err != nil {
			continue // a relay may have no way
		}
		if a, err := p.Open(b); err != nil || a.Status != enrol.StatusRefused || len(a.Cert) > 0 || len(a.Documents) > 0 {
			t.Errorf("through %s: %+v, %v", by.member.Name, a, err)
		}
	}
}

// A new key alone disturbs nobody: old certificates count, new machines have certificates of the new key, and
// the old one goes from roster and disk when its last certificate has ended. A restart changes nothing.
func TestOldEnrolmentKeyCountsUntilItsCertificatesEnd(t *testing.T) {
	t.Parallel()
	m, clock := clockMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes, Now: clock.now})
	until(t, "the session", func() bool { return a.sees(m.seed.id) })
	first := m.seed.shownIssuer(t)
	k := m.changeEnrolKeys(api.EnrolKeyChange{Rotate: true})
	if len(k.Keys) != 2 || k.Keys[0].Key != first || k.Keys[0].Issuing || k.Keys[0].Until.IsZero() || !k.Keys[1].Issuing {
		t.Fatalf("%+v", k)
	}
	until(t, "the news", func() bool { return len(a.believer.current().Roster().EnrolmentKeys) == 2 })
	b := m.machine("b", a.addr, Config{Egress: EgressNo, Now: clock.now})
	until(t, "old and new to meet", func() bool { return b.sees(a.id) && a.sees(m.seed.id) })
	if a.shownIssuer(t) != first || b.shownIssuer(t) != k.Keys[1].Key {
		t.Error("the certificates are by other keys")
	}
	if err := m.seed.seed.retireEnrolKeys(); err != nil || len(m.seed.believer.current().Roster().EnrolmentKeys) != 2 {
		t.Fatalf("retired while its certificates are good: %v", err)
	}

	m.seed.stop()
	m.seed = m.run("seed", Config{Now: clock.now, Listen: m.seed.addr})
	clock.forward(4 * 24 * time.Hour)
	for _, r := range []*running{m.seed, a, b} {
		until(t, "a renewal with the new key", func() bool { return r.shownIssuer(t) == k.Keys[1].Key })
	}
	clock.forward(certLife - 4*24*time.Hour + time.Hour)
	if err := m.seed.seed.retireEnrolKeys(); err != nil {
		t.Fatal(err)
	}
	until(t, "the old key to go everywhere", func() bool {
		return slices.Equal(b.believer.current().Roster().EnrolmentKeys, []string{k.Keys[1].Key})
	})
	if _, err := os.Stat(filepath.Join(m.dir, "seed", "keys", roleEnrol+".key")); err == nil {
		t.Error("the old key still lies on the seed")
	}
	until(t, "the mesh to go on", func() bool { return a.sees(m.seed.id) && b.sees(a.id) })
}

// Two machines of a site were off when the key was withdrawn. They know only each other's certificates, of the
// old key, and those of all others are of a key that they never heard of; theirs have not lapsed. They come
// back by themselves, at once.
func TestMachinesThatWereOffComeBackAfterAWithdrawal(t *testing.T) {
	t.Parallel()
	m, clock := clockMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes, Now: clock.now})
	b := m.machine("b", a.addr, Config{Now: clock.now, Egress: EgressNo})
	c := m.machine("c", a.addr, Config{Now: clock.now, Egress: EgressNo, Peers: []string{b.addr, a.addr}})
	until(t, "all to know each other", func() bool { return b.sees(a.id) && c.sees(a.id) && c.sees(b.id) })
	b.stop()
	c.stop()
	k := m.changeEnrolKeys(api.EnrolKeyChange{Rotate: true, Withdraw: true})
	until(t, "a to renew", func() bool {
		clock.forward(200 * time.Millisecond)
		return a.shownIssuer(t) == k.Keys[0].Key
	})
	b = m.run("b", Config{Now: clock.now, Egress: EgressNo, Listen: b.addr, Peers: []string{a.addr}})
	c = m.run("c", Config{Now: clock.now, Egress: EgressNo, Listen: c.addr, Peers: []string{b.addr, a.addr}})
	for _, r := range []*running{b, c} {
		until(t, "the machine to come back", func() bool {
			clock.forward(200 * time.Millisecond)
			return r.sees(a.id) && r.shownIssuer(t) == k.Keys[0].Key
		})
	}
}

// Whatever was cut in a rotation: a key that no roster names opens nothing and is not issued with, a key whose
// deletion was cut neither, and the next rotation goes through.
func TestEnrolmentKeyRotationSurvivesACutAtAnyStep(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.seed.stop()
	dir := filepath.Join(m.dir, "seed")
	open := func() *Node {
		t.Helper()
		n, err := OpenOffline(dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	issues := func(n *Node) string {
		t.Helper()
		k, err := n.EnrolKeys(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return k.Keys[slices.IndexFunc(k.Keys, func(k api.EnrolKey) bool { return k.Issuing })].Key
	}
	n := open()
	first := issues(n)
	n.Close()
	// Cut after the new key was written, before the roster that names it.
	if _, err := keys.CreateRole(filepath.Join(dir, "keys"), roleEnrol+"-2", "", rand.Reader); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(dir, "keys", roleEnrol+".key"))
	if err != nil {
		t.Fatal(err)
	}
	pub, err := os.ReadFile(filepath.Join(dir, "keys", roleEnrol+".pub"))
	if err != nil {
		t.Fatal(err)
	}
	n = open()
	if issues(n) != first {
		t.Error("a key that was never published issues")
	}
	k, err := n.ChangeEnrolKeys(context.Background(), api.EnrolKeyChange{Rotate: true, Withdraw: true})
	if err != nil || len(k.Keys) != 1 {
		t.Fatalf("%+v, %v", k, err)
	}
	n.Close()
	for _, name := range []string{roleEnrol, roleEnrol + "-2"} {
		if _, err := os.Stat(filepath.Join(dir, "keys", name+".key")); err == nil {
			t.Errorf("%s lies there still", name)
		}
	}
	// Cut after the roster, before the deletion.
	for suffix, b := range map[string][]byte{".pub": pub, ".key": old} {
		if err := os.WriteFile(filepath.Join(dir, "keys", roleEnrol+suffix), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n = open()
	defer n.Close()
	if issues(n) != k.Keys[0].Key {
		t.Error("a withdrawn key issues")
	}
	next, err := n.ChangeEnrolKeys(context.Background(), api.EnrolKeyChange{Rotate: true})
	if err != nil || len(next.Keys) != 2 || next.Keys[1].Key == first {
		t.Fatalf("%+v, %v", next, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "keys", roleEnrol+".key")); err == nil {
		t.Error("the withdrawn key is left")
	}
}

func TestChangeOfEnrolmentKeysRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.seed.stop()
	n, err := OpenOffline(filepath.Join(m.dir, "seed"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	first, err := n.EnrolKeys(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	change := func(r api.EnrolKeyChange) (*api.EnrolKeys, error) { return n.ChangeEnrolKeys(context.Background(), r) }
	for name, c := range map[string]struct {
		r     api.EnrolKeyChange
		class api.Class
	}{
		"nothing":             {api.EnrolKeyChange{}, api.ClassUsage},
		"a new one and one":   {api.EnrolKeyChange{Rotate: true, WithdrawKey: first.Keys[0].ID}, api.ClassUsage},
		"one that is not":     {api.EnrolKeyChange{Withdraw: true, WithdrawKey: "0123456789abcdef"}, api.ClassNotFound},
		"too few digits":      {api.EnrolKeyChange{Withdraw: true, WithdrawKey: first.Keys[0].ID[:4]}, api.ClassNotFound},
		"the one that issues": {api.EnrolKeyChange{Withdraw: true, WithdrawKey: first.Keys[0].ID}, api.ClassRefused},
	} {
		_, err := change(c.r)
		var e *api.Error
		if !errors.As(err, &e) || e.Class != c.class {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range maxEnrolKeys - 1 {
		if _, err := change(api.EnrolKeyChange{Rotate: true}); err != nil {
			t.Fatal(err)
		}
	}
	var e *api.Error
	if _, err := change(api.EnrolKeyChange{Rotate: true}); !errors.As(err, &e) || e.Class != api.ClassRefused {
		t.Errorf("one key too many: %v", err)
	}
	k, err := change(api.EnrolKeyChange{Withdraw: true, WithdrawKey: first.Keys[0].ID})
	if err != nil || len(k.Keys) != maxEnrolKeys-1 || !slices.Equal(k.Withdrawn, []string{first.Keys[0].ID}) {
		t.Errorf("%+v, %v", k, err)
	}
}
