package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// mesh is a seed and machines of one site, all in this process, on loopback.
type mesh struct {
	t    *testing.T
	dir  string
	seed *running
	wg   sync.WaitGroup
}

// running is one node.
type running struct {
	*Node
	addr string
	root string
	stop func()
}

func newMesh(t *testing.T) *mesh {
	t.Helper()
	m := &mesh{t: t, dir: t.TempDir()}
	dir := filepath.Join(m.dir, "seed")
	if _, err := Found(FoundRequest{DataDir: dir, Org: "acme", Name: "seed"}, time.Now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.wg.Wait) // after every node was told to stop: cleanups run backwards
	m.seed = m.run("seed", Config{})
	return m
}

// run starts the node of a data folder; it ends with the test.
func (m *mesh) run(name string, cfg Config) *running {
	m.t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = freeAddr(m.t)
	}
	if cfg.Log == nil {
		cfg.Log = logOnFailure(m.t, name)
	}
	cfg.DataDir, cfg.Root, cfg.Version = filepath.Join(m.dir, name), filepath.Join(m.dir, name+"-root"), "test"
	if err := os.MkdirAll(cfg.Root, 0o755); err != nil {
		m.t.Fatal(err)
	}
	n, err := Open(cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		defer close(ended)
		if err := n.Run(ctx); err != nil {
			m.t.Errorf("%s ended: %v", name, err)
		}
	}()
	stop := func() { cancel(); <-ended }
	m.t.Cleanup(stop)
	select {
	case <-n.ready:
	case <-time.After(20 * time.Second):
		m.t.Fatalf("%s does not start", name)
	}
	return &running{Node: n, addr: cfg.Listen, root: cfg.Root, stop: stop}
}

// join enrols a machine that does not run yet.
func (m *mesh) join(name string) {
	m.t.Helper()
	if _, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, name), Token: m.token(1), Name: name}, time.Now); err != nil {
		m.t.Fatal(err)
	}
}

// lastPort is the one that freeAddr has given last. It begins elsewhere in each process of tests.
var lastPort atomic.Uint32

func init() { lastPort.Store(uint32(os.Getpid() * 61)) }

// freeAddr is an address on loopback that nobody listens on, for a node that is started, stopped and started on it again.
// Its port is below those that systems give to connections going out, or one of those would take it in between.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+lastPort.Add(1)%12000)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		c, err := net.ListenPacket("udp", addr)
		_ = l.Close()
		if err != nil {
			continue
		}
		_ = c.Close()
		return addr
	}
	t.Fatal("no port is free")
	return ""
}

func (m *mesh) token(uses int) string {
	m.t.Helper()
	inv, err := m.seed.Invite(context.Background(), api.InviteRequest{Site: "main", Groups: []string{"office"}, Uses: uses})
	if err != nil {
		m.t.Fatal(err)
	}
	return inv.Token
}

// machine joins through a peer, or through the seed, and runs.
func (m *mesh) machine(name, through string, cfg Config) *running {
	m.t.Helper()
	r := JoinRequest{DataDir: filepath.Join(m.dir, name), Token: m.token(1), Name: name}
	if through != "" {
		r.Peers = []string{through}
		cfg.Peers = []string{through}
	}
	if _, err := Join(context.Background(), r, time.Now); err != nil {
		m.t.Fatal(err)
	}
	return m.run(name, cfg)
}

// file imports bytes as an update that is placed at /srv/<id>.
func (m *mesh) file(id string, body []byte) {
	m.t.Helper()
	_, err := m.seed.Import(context.Background(), api.ImportRequest{
		FileName: id, SizeBytes: int64(len(body)), ID: id, Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/" + id},
	}, bytes.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *mesh) approve(id string) {
	m.t.Helper()
	if p, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: id, Group: "office"}); err != nil || !p.Published {
		m.t.Fatalf("approve %s: %+v, %v", id, p, err)
	}
}

// closedNow makes a window that opens half a day from now.
func (m *mesh) closedNow() {
	m.t.Helper()
	p, err := m.seed.SetWindow(context.Background(), api.WindowRequest{Window: policy.Window{
		ID: "far", Group: "office", Rule: "FREQ=DAILY", From: "2026-01-01", At: time.Now().UTC().Add(12 * time.Hour).Format("15:04"), Zone: "UTC", Minutes: 60,
	}})
	if err != nil || !p.Published {
		m.t.Fatalf("%+v, %v", p, err)
	}
}

// until waits for a condition that other goroutines bring about. Its patience is for the slowest of computers.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	const patience = 90 * time.Second
	for end := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func (r *running) update(t *testing.T, id string) api.Update {
	t.Helper()
	f, err := r.Status(context.Background(), api.StatusQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range f.Machines[0].Updates {
		if u.Update == id {
			return u
		}
	}
	return api.Update{}
}

func (r *running) refusedFor(t *testing.T, reason policy.Reason) bool {
	t.Helper()
	f, err := r.Status(context.Background(), api.StatusQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range f.Refused {
		if x.Reason == string(reason) {
			return true
		}
	}
	return false
}

func payload(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16*29)
	}
	return b
}

func TestApprovedUpdateReachesAMachineWithoutEgressAndIsReported(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo}) // joins through a, never sees the seed
	body := payload(3 << 20)
	m.file("u1", body)
	m.approve("u1")
	for _, r := range []*running{a, b} {
		until(t, "the update to be installed", func() bool { return r.update(t, "u1").State == "installed" })
		if got, err := os.ReadFile(filepath.Join(r.root, "srv", "u1")); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("installed file: %d bytes, %v", len(got), err)
		}
	}
	if u := b.update(t, "u1"); u.Bytes.WAN() != 0 || u.Bytes.Total() == 0 {
		t.Errorf("the machine without egress got its bytes from %+v", u.Bytes)
	}
	if got, want := a.update(t, "u1").Bytes.WAN(), int64(3<<20); got > want {
		t.Errorf("%d bytes crossed the WAN for a payload of %d", got, want)
	}
	until(t, "both reports to reach the seed", func() bool {
		f, err := m.seed.Status(context.Background(), api.StatusQuery{Update: "u1"})
		if err != nil {
			t.Fatal(err)
		}
		done := 0
		for _, row := range f.Machines {
			if len(row.Updates) == 1 && row.Updates[0].State == "installed" {
				done++
			}
		}
		return done == 2
	})
	e, err := m.seed.Explain(context.Background(), "u1", "b")
	if err != nil || e.State != "installed" || len(e.Chain) < 4 {
		t.Fatalf("explain: %+v, %v", e, err)
	}
	for _, p := range b.host.Peers() {
		if p.Seed {
			t.Error("the machine without egress has a session with the seed")
		}
	}
}

func TestHoldStopsAndReleaseLetsGo(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(300_000))
	p, err := m.seed.Hold(context.Background(), api.HoldRequest{Update: "u1", Reason: "breaks printers"})
	if err != nil {
		t.Fatal(err)
	}
	m.approve("u1")
	until(t, "the update to be held", func() bool { return a.update(t, "u1").State == "held" })
	if u := a.update(t, "u1"); u.Reason != "policy-hold" || !strings.Contains(u.Detail, "breaks printers") {
		t.Errorf("held with %q, %q", u.Reason, u.Detail)
	}
	if _, err := m.seed.Release(context.Background(), api.ReleaseRequest{Hold: p.Hold}); err != nil {
		t.Fatal(err)
	}
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
}

func TestTokenIsNeededAndSpent(t *testing.T) {
	m := newMesh(t)
	token := m.token(1)
	join := func(name, token string) error {
		_, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, name), Token: token, Name: name}, time.Now)
		return err
	}
	if err := join("a", token); err != nil {
		t.Fatal(err)
	}
	if err := join("b", token); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("second use of a token for one: %v", err)
	}
	if err := join("c", token[:len(token)-2]); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("mistyped token: %v", err)
	}
	if err := join("a", m.token(1)); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("a machine that is a member already: %v", err)
	}
}

// insider is a member that does not follow the rules: it has a certificate and its own idea of the truth.
type insider struct {
	noHandler
	docs map[content.ID][]byte
}

func (i *insider) DocAsked(_ string, ask wire.DocAsk) ([]byte, bool) {
	b, ok := i.docs[ask.ID]
	return b, ok
}

// infiltrate enrols a machine and lets a liar speak with its identity.
func (m *mesh) infiltrate(h transport.Handler, headVersion int64) *transport.Host {
	m.t.Helper()
	dir := filepath.Join(m.dir, "insider")
	if _, err := Join(context.Background(), JoinRequest{DataDir: dir, Token: m.token(1), Name: "insider"}, time.Now); err != nil {
		m.t.Fatal(err)
	}
	f, err := openFolder(dir, time.Now)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(f.close)
	host, err := transport.New(transport.Config{
		Key: f.key, Listen: "127.0.0.1:0", Handler: h, Log: slog.New(slog.DiscardHandler),
		Hello: func() wire.Hello { return wire.Hello{Version: 1, Cert: f.member.Cert, HeadVersion: headVersion} },
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

func TestForgedAndOldApprovalsAreRefusedAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	liar := &insider{docs: map[content.ID][]byte{}}
	host := m.infiltrate(liar, 0)
	if _, err := host.Connect(context.Background(), a.id, a.addr); err != nil {
		t.Fatal(err)
	}
	old := a.believer.current().Files()
	send := func(ts []byte) {
		t.Helper()
		if err := host.Send(a.id, wire.Head{Timestamp: ts}); err != nil {
			t.Fatal(err)
		}
	}

	// One byte of a validly signed head changed.
	changed := bytes.Replace(old.Timestamp, []byte(`"expires":"2`), []byte(`"expires":"3`), 1)
	if bytes.Equal(changed, old.Timestamp) {
		t.Fatal("nothing was changed")
	}
	send(changed)
	until(t, "the changed head to be refused", func() bool { return a.refusedFor(t, policy.ReasonTrustBadSignature) })

	// A complete set of another organisation.
	other := filepath.Join(t.TempDir(), "other")
	if _, err := Found(FoundRequest{DataDir: other, Org: "acme", Name: "other"}, time.Now); err != nil {
		t.Fatal(err)
	}
	b, err := openBeliever(filepath.Join(other, "trust"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	send(b.current().Files().Timestamp)
	until(t, "the stranger's head to be refused", func() bool { return a.refusedFor(t, policy.ReasonTrustUnknownKey) })

	// What is right goes on, and the old head changes nothing any more.
	m.file("u1", payload(400_000))
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	epoch := a.believer.current().Epoch()
	send(old.Timestamp)
	m.file("u2", payload(1000))
	m.approve("u2")
	until(t, "the next update", func() bool { return a.update(t, "u2").State == "installed" })
	if got := a.believer.current().Epoch(); got != epoch+1 {
		t.Fatalf("epoch %d after an old head, want %d", got, epoch+1)
	}
}

// The true head with a manifest in which one byte was changed: hash and signature say no.
func TestChangedManifestFromAMemberIsRefused(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressNo}) // hears only what the insider tells
	m.file("u1", payload(1000))
	m.approve("u1")
	f := m.seed.believer.current().Files()
	liar := &insider{docs: map[content.ID][]byte{}}
	for _, b := range [][]byte{f.Snapshot, f.Targets, f.RosterRole, f.Roster} {
		liar.docs[content.Sum(b)] = b
	}
	liar.docs[content.Sum(f.Manifest)] = bytes.Replace(f.Manifest, []byte(`"revision":1`), []byte(`"revision":2`), 1)
	host := m.infiltrate(liar, m.seed.believer.current().HeadVersion())
	if _, err := host.Connect(context.Background(), a.id, a.addr); err != nil {
		t.Fatal(err)
	}
	if err := host.Send(a.id, wire.Head{Timestamp: f.Timestamp}); err != nil {
		t.Fatal(err)
	}
	until(t, "the changed manifest to be refused", func() bool { return a.refusedFor(t, policy.ReasonTrustBadSignature) })
	if got := a.believer.current().Epoch(); got != 1 {
		t.Fatalf("epoch %d was taken up", got)
	}
}

func TestStrangerGetsNoSession(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	dir := filepath.Join(m.dir, "stranger")
	if _, err := Found(FoundRequest{DataDir: dir, Org: "acme", Name: "s", Site: "main"}, time.Now); err != nil {
		t.Fatal(err)
	}
	f, err := openFolder(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	host, err := transport.New(transport.Config{
		Key: f.key, Listen: "127.0.0.1:0", Handler: noHandler{}, Log: slog.New(slog.DiscardHandler),
		Hello: func() wire.Hello { return wire.Hello{Version: 1, Cert: f.member.Cert, Seed: true} },
		Admit: func(id string, _ wire.Hello) (transport.Peer, error) { return transport.Peer{ID: id}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	if _, err := host.Connect(context.Background(), a.id, a.addr); !errors.Is(err, transport.ErrNotAdmitted) {
		t.Errorf("a certificate of another organisation: %v", err)
	}
	until(t, "the refusal to show", func() bool { return a.refusedFor(t, policy.ReasonTrustUnknownKey) })
	manifest := content.Sum(m.seed.believer.current().Files().Manifest)
	if _, err := host.FetchDoc(context.Background(), a.id, wire.DocAsk{Kind: wire.DocContent, ID: manifest, MaxBytes: 1 << 20}); err == nil {
		t.Error("a stranger got a document")
	}
}

func TestMachineStartedAgainKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(2<<20))
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	a.stop()
	if err := os.Remove(filepath.Join(a.root, "srv", "u1")); err != nil {
		t.Fatal(err)
	}
	m.seed.stop() // nobody to ask: what the machine has must do
	a = m.run("a", Config{Egress: EgressYes})
	until(t, "the update to be installed again from the own store", func() bool {
		_, err := os.Stat(filepath.Join(a.root, "srv", "u1"))
		return err == nil && a.update(t, "u1").State == "installed"
	})
}

func TestMetricsAnswerUnderOurNames(t *testing.T) {
	m := newMesh(t)
	addr := freeAddr(t)
	m.machine("a", "", Config{Egress: EgressYes, Metrics: addr})
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Contains(b, []byte("\npatchmesh_epoch ")) {
		t.Fatalf("%v: %.200s", err, b)
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "patchmesh_") {
			t.Errorf("foreign name: %s", line)
		}
	}
}

func TestSecondNodeOnOneFolderIsRefused(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	_, err := Open(Config{DataDir: filepath.Join(m.dir, "seed"), Listen: freeAddr(t)})
	if err == nil || !strings.Contains(err.Error(), "another patchmesh") {
		t.Fatalf("%v", err)
	}
	dir := filepath.Join(m.dir, "x")
	if _, err := Join(context.Background(), JoinRequest{DataDir: dir, Token: m.token(1), Name: "x"}, time.Now); err != nil {
		t.Fatal(err)
	}
	if _, err = Open(Config{DataDir: dir, Listen: m.seed.addr}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("port in use: %v", err)
	}
}

// fileWith is file with rules.
func (m *mesh) fileWith(id string, rules api.ImportRules) {
	m.t.Helper()
	body := payload(1000)
	_, err := m.seed.Import(context.Background(), api.ImportRequest{
		FileName: id, SizeBytes: int64(len(body)), ID: id, Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/" + id}, ImportRules: rules,
	}, bytes.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
}
