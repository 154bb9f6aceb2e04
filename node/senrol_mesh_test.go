package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// clockMesh is a mesh whose clock the test turns.
func clockMesh(t *testing.T) (*mesh, *testClock) {
	t.Helper()
	m, clock := newMesh(t), &testClock{}
	m.seed.stop()
	m.seed = m.run("seed", Config{Now: clock.now, Listen: m.seed.addr})
	return m, clock
}

func (r *running) ends(t *testing.T) time.Time {
	t.Helper()
	info, err := r.Node.Node(context.Background())
	if err != nil || info.Membership == nil {
		t.Fatalf("%+v, %v", info, err)
	}
	return info.Membership.NotAfter
}

func (r *running) sees(id string) bool { return r.connected()[id] }

func TestSEnrolRunningMeshRenewsItselfThroughItsMembers(t *testing.T) {
	m, clock := clockMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes, Now: clock.now})
	b := m.machine("b", a.addr, Config{Egress: EgressNo, Now: clock.now}) // reaches the seed through a only
	all := []*running{m.seed, a, b}
	var before []time.Time
	for _, r := range all {
		before = append(before, r.ends(t))
	}
	until(t, "b to see a", func() bool { return b.sees(a.id) })
	clock.forward(4 * 24 * time.Hour)
	for i, r := range all {
		until(t, "the certificate to be renewed at half life", func() bool { return r.ends(t).After(before[i].Add(3 * 24 * time.Hour)) })
		saved, err := loadMembership(r.cfg.DataDir, r.db)
		if err != nil || !bytes.Equal(saved.Cert, r.hello().Cert) || !bytes.Equal(saved.Cert, r.gossipMeta()) {
			t.Errorf("what %s shows is not what it keeps (%v)", r.member.Name, err)
		}
	}
	row, err := m.seed.db.Member(b.id)
	if err != nil || !row.NotAfter.Equal(b.ends(t)) {
		t.Errorf("the books: %+v, %v", row, err)
	}
	// The first certificates end. Sessions that were made with them end too, and come back with the new ones.
	clock.forward(3*24*time.Hour + 2*time.Hour)
	until(t, "a to have seen b's new certificate", func() bool {
		a.renewal.mu.Lock()
		last, ok := a.renewal.peers[b.id]
		a.renewal.mu.Unlock()
		return ok && last.cert.NotAfter.Equal(b.ends(t)) && a.sees(b.id)
	})
}

func TestSEnrolPeerThatLapsesLosesItsSession(t *testing.T) {
	m, clock := clockMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes, Now: clock.now})
	host := m.infiltrate(&insider{}, 0) // never renews
	if _, err := host.Connect(context.Background(), a.id, a.addr); err != nil {
		t.Fatal(err)
	}
	until(t, "the session", func() bool { return a.sees(host.ID()) })
	first := a.ends(t)
	clock.forward(4 * 24 * time.Hour)
	until(t, "a to renew", func() bool { return a.ends(t).After(first) })
	if !a.sees(host.ID()) {
		t.Error("the session ended while its certificate was good")
	}
	clock.forward(3*24*time.Hour + lapseGrace + time.Minute)
	until(t, "the lapsed peer to be dropped", func() bool { return !a.sees(host.ID()) })
	until(t, "its lapsed certificate to be refused", func() bool { // once it has noticed the end of its session
		_, err := host.Connect(context.Background(), a.id, a.addr)
		return errors.Is(err, transport.ErrNotAdmitted)
	})
	if a.sees(host.ID()) {
		t.Error("it came back with its lapsed certificate")
	}
}

func TestSEnrolMachineThatWasOffComesBackOrSaysWhyNot(t *testing.T) {
	m, clock := clockMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes, Now: clock.now})
	b := m.machine("b", a.addr, Config{Egress: EgressNo, Now: clock.now})
	c := m.machine("c", "", Config{Egress: EgressYes, Now: clock.now})
	until(t, "b to see a", func() bool { return b.sees(a.id) })
	b.stop()
	c.stop()
	was := a.ends(t)
	clock.forward(100 * 24 * time.Hour) // a itself has lapsed now, as if it had slept
	until(t, "a to renew", func() bool {
		clock.forward(10 * time.Second) // past the pause after an attempt that met a session's end
		return a.ends(t).After(was)
	})
	b = m.run("b", Config{Egress: EgressNo, Now: clock.now, Peers: []string{a.addr}})
	until(t, "b to come back through a, which gives it no session before", func() bool { return b.sees(a.id) })
	if !b.ends(t).After(clock.now()) {
		t.Error("b has a session and no certificate")
	}
	a.stop()
	b.stop()

	clock.forward(renewGrace)
	c = m.run("c", Config{Egress: EgressYes, Now: clock.now})
	until(t, "the reason to show", func() bool {
		f, err := c.Status(context.Background(), api.StatusQuery{})
		if err != nil {
			t.Fatal(err)
		}
		return f.Reason == string(policy.ReasonNetRefused) && strings.Contains(f.Detail, "lapsed") && strings.Contains(f.Detail, "new token")
	})
	if len(c.host.Peers()) != 0 {
		t.Error("a machine whose membership lapsed for good has a session")
	}
}

func TestSEnrolJoinWaitsForAnAdminAcrossARestartOfTheSeed(t *testing.T) {
	m := newMesh(t)
	inv, err := m.seed.Invite(context.Background(), api.InviteRequest{Site: "main", ApproveEach: true})
	if err != nil {
		t.Fatal(err)
	}
	number, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		_, err := Join(context.Background(), JoinRequest{
			DataDir: filepath.Join(m.dir, "a"), Token: inv.Token, Name: "a", Waiting: func(id string) { number <- id },
		}, time.Now)
		ended <- err
	}()
	var id string
	select {
	case id = <-number:
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	}
	m.seed.stop()
	m.seed = m.run("seed", Config{Listen: m.seed.addr})
	if r, err := m.seed.DecideEnrol(context.Background(), api.EnrolDecision{ID: id, Accept: true}); err != nil || r.State != "accepted" {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	a := m.run("a", Config{Egress: EgressYes})
	until(t, "the accepted machine to have a session", func() bool { return a.sees(m.seed.id) })

	// Another one waits at most as long as it was told, and says how to go on.
	_, err = Join(context.Background(), JoinRequest{
		DataDir: filepath.Join(m.dir, "b"), Token: m.tokenWith(api.InviteRequest{Site: "main", ApproveEach: true}), Name: "b", Wait: 100 * time.Millisecond,
	}, time.Now)
	if api.ClassOf(err) != api.ClassUnreachable || !strings.Contains(err.Error(), "still waits") {
		t.Errorf("%v", err)
	}
}

func (m *mesh) tokenWith(r api.InviteRequest) string {
	m.t.Helper()
	inv, err := m.seed.Invite(context.Background(), r)
	if err != nil {
		m.t.Fatal(err)
	}
	return inv.Token
}

// relay carries requests to join as it likes.
type relay struct {
	noHandler
	mu     sync.Mutex
	asked  int
	answer func(request []byte) ([]byte, error)
}

func (r *relay) Enrol(_ context.Context, _, _ string, request []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return r.answer(request)
}

func lyingRelay(t *testing.T, answer func([]byte) ([]byte, error)) (*relay, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{answer: answer}
	h, err := transport.New(transport.Config{
		Key: key, Listen: "127.0.0.1:0", Handler: r, Log: slog.New(slog.DiscardHandler),
		Hello: func() wire.Hello { return wire.Hello{Version: 1} },
		Admit: func(string, wire.Hello) (transport.Peer, error) { return transport.Peer{}, errForeignSite },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return r, h.ListenAddr()
}

func TestSEnrolRelayThatLiesIsPassedBy(t *testing.T) {
	m := newMesh(t)
	b := newBureau(t) // whose sealed answers a liar can show, too
	_, other := b.asks(b.invite(api.InviteRequest{}), "x")
	foreign, _, err := b.node.seed.answer(other.Request)
	if err != nil {
		t.Fatal(err)
	}
	// An answer that the seed itself has made, for somebody else.
	tok, err := enrol.ParseToken(m.token(2))
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	p, err := enrol.NewRequest(tok, key, "somebody", nil, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	swapped, _, err := m.seed.Node.seed.answer(p.Request)
	if err != nil {
		t.Fatal(err)
	}
	honest := func(req []byte) []byte {
		good, _, err := m.seed.Node.seed.answer(req)
		if err != nil {
			return nil
		}
		return good
	}
	for name, answer := range map[string]func([]byte) ([]byte, error){
		"swaps answers":               func([]byte) ([]byte, error) { return swapped, nil },
		"answers of another mesh":     func([]byte) ([]byte, error) { return foreign, nil },
		"says no in the seed's name":  func([]byte) ([]byte, error) { return nil, errors.New("the token is used up") },
		"gives the request back":      func(req []byte) ([]byte, error) { return req, nil },
		"garbage":                     func([]byte) ([]byte, error) { return bytes.Repeat([]byte{7}, 500), nil },
		"cuts the answer":             func(req []byte) ([]byte, error) { g := honest(req); return g[:len(g)-1], nil },
		"changes a bit of the answer": func(req []byte) ([]byte, error) { g := honest(req); g[len(g)/2] ^= 1; return g, nil },
	} {
		dir := strings.ReplaceAll(name, " ", "-")
		r, addr := lyingRelay(t, answer)
		only := tok
		only.Addrs = nil
		token, err := only.Encode()
		if err != nil {
			t.Fatal(err)
		}
		_, err = Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, dir), Token: token, Name: "v", Peers: []string{addr}}, time.Now)
		if c := api.ClassOf(err); err == nil || c != api.ClassRefused && c != api.ClassUnreachable {
			t.Errorf("%s: with the liar alone: %v", name, err)
		}
		if _, err := openFolder(filepath.Join(m.dir, dir), time.Now); api.ClassOf(err) != api.ClassUsage {
			t.Errorf("%s: the machine believes it is a member: %v", name, err)
		}
		// The same request finds the seed behind the liar's back.
		full := m.token(1)
		if _, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, dir), Token: full, Name: "v", Peers: []string{addr}}, time.Now); err != nil {
			t.Errorf("%s: the seed was within reach: %v", name, err)
		}
		if r.asked < 2 {
			t.Errorf("%s: the liar was asked %d times", name, r.asked)
		}
	}
}

func TestSEnrolGuessingIsSlowedDownPerAddress(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	tok, err := enrol.ParseToken(m.token(1))
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, err := askingHost(key)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	guess := func(id, addr string, times int) (looked, slowed int) {
		t.Helper()
		for range times {
			g := tok
			g.Secret = make([]byte, 32)
			if _, err := rand.Read(g.Secret); err != nil {
				t.Fatal(err)
			}
			p, err := enrol.NewRequest(g, key, "g", nil, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			b, err := host.EnrolWith(context.Background(), id, addr, p.Request)
			switch {
			case err == nil:
				if ans, err := p.Open(b); err != nil || ans.Code != enrol.CodeUnknown {
					t.Fatalf("%+v, %v", ans, err)
				}
				looked++
			case strings.Contains(err.Error(), errTooOften.Error()):
				slowed++
			default:
				t.Fatal(err)
			}
		}
		return looked, slowed
	}
	looked, slowed := guess(m.seed.id, m.seed.addr, 3*strangerBurst)
	if looked < strangerBurst || looked > 2*strangerBurst || slowed == 0 {
		t.Errorf("%d guesses were looked at, %d were not", looked, slowed)
	}
	// A member that carries requests of its site is not held back by that.
	until(t, "a to be connected", func() bool { return a.sees(m.seed.id) })
	if _, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, "b"), Token: m.token(1), Name: "b", Peers: []string{a.addr}}, time.Now); err != nil {
		t.Errorf("an honest machine behind a relay: %v", err)
	}
	if looked, slowed = guess(a.id, a.addr, 3*carriedBurst/2); looked < carriedBurst/2 || slowed == 0 {
		t.Errorf("through a relay %d guesses were looked at, %d were not", looked, slowed)
	}
	if !m.seed.relays.Allow(a.id, time.Now()) {
		t.Error("one stranger has used up what the relay may carry for its site")
	}
}

// A clock that jumped months ahead and back leaves certificates and heads from the future behind. The
// time that machines judge by does not go back, so these go on counting, and the mesh lives on.
func TestSEnrolMeshSurvivesAClockThatWasWrong(t *testing.T) {
	m, clock := clockMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes, Now: clock.now})
	until(t, "the session", func() bool { return a.sees(m.seed.id) })
	const year = 365 * 24 * time.Hour
	clock.forward(year / 4)
	until(t, "certificates from the future", func() bool {
		clock.forward(10 * time.Second)
		now := clock.now()
		return a.ends(t).After(now) && m.seed.ends(t).After(now)
	})
	clock.forward(-year / 4)
	until(t, "certificates that count, and a session with them", func() bool {
		clock.forward(10 * time.Second)
		return a.ends(t).After(a.cfg.Now()) && m.seed.ends(t).After(m.seed.cfg.Now()) && a.sees(m.seed.id)
	})
}
