package transport

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/swarm/wire"
)

// short are timings for tests: long enough for a loaded machine, short enough to wait for.
var short = Timing{
	Dial: 3 * time.Second, Hello: 2 * time.Second, Enrol: 4 * time.Second, Stall: 2 * time.Second,
	PeerSilence: 4 * time.Second, Ping: 500 * time.Millisecond, FetchSilent: 700 * time.Millisecond,
	Goodbye: 500 * time.Millisecond, Tick: 50 * time.Millisecond,
}

// machine is a Host with a handler that records and serves.
type machine struct {
	t testing.TB
	*Host
	up    chan Peer
	down  chan downEvent
	msgs  chan wire.Message
	asked chan uint64
	voids chan uint64
	conns chan net.Conn

	mu     sync.Mutex
	serve  func(ref uint64, payload content.ID, index int) // nil: asks go to asked
	docs   map[content.ID][]byte
	block  chan struct{} // Message waits for it, if set, and says so in blocked
	trace  []string
	enrols int

	docAsked, holdDocs chan struct{} // if set, DocAsked says so in the one and waits for the other

	blocked  chan struct{}
	enrolled func(peerID string) // called in Enrol, if set
}

type downEvent struct {
	id  string
	why error
}

func (m *machine) note(s string) {
	m.mu.Lock()
	m.trace = append(m.trace, s)
	m.mu.Unlock()
}

func (m *machine) PeerUp(p Peer) { m.note("up"); m.up <- p }
func (m *machine) PeerDown(id string, why error) {
	m.note("down")
	m.down <- downEvent{id, why}
}
func (m *machine) Message(_ string, msg wire.Message) {
	m.mu.Lock()
	block := m.block
	m.mu.Unlock()
	if block != nil {
		select {
		case m.blocked <- struct{}{}:
		default:
		}
		<-block
	}
	m.note("message")
	select {
	case m.msgs <- msg:
	default:
	}
}
func (m *machine) ChunkAsked(_ string, ref uint64, payload content.ID, index int) {
	m.mu.Lock()
	serve := m.serve
	m.mu.Unlock()
	if serve != nil {
		serve(ref, payload, index)
		return
	}
	m.asked <- ref
}
func (m *machine) ChunkCancelled(_ string, ref uint64) { m.voids <- ref }
func (m *machine) DocAsked(_ string, ask wire.DocAsk) ([]byte, bool) {
	if m.holdDocs != nil {
		m.docAsked <- struct{}{}
		<-m.holdDocs
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.docs[ask.ID]
	return b, ok
}

// enrolments is how often m was asked to enrol somebody.
func (m *machine) enrolments() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.enrols
}

func (m *machine) Enrol(_ context.Context, peerID, remoteAddr string, request []byte) ([]byte, error) {
	m.mu.Lock()
	m.enrols++
	enrolled := m.enrolled
	m.mu.Unlock()
	if enrolled != nil {
		enrolled(peerID)
	}
	if string(request) == "bad" {
		return nil, errors.New("token is spent")
	}
	return []byte("welcome " + peerID + " " + string(request)), nil
}
func (m *machine) GossipStream(_ string, c net.Conn) { m.conns <- c }

var errNotInvited = errors.New("certificate is missing")

// newMachine starts a host that admits whoever shows the certificate "member".
func newMachine(t testing.TB, change ...func(*Config)) *machine {
	t.Helper()
	return machineWithKey(t, newKey(t), change...)
}

func newKey(t testing.TB) ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func machineWithKey(t testing.TB, key ed25519.PrivateKey, change ...func(*Config)) *machine {
	t.Helper()
	m := &machine{
		t: t, up: make(chan Peer, 4096), down: make(chan downEvent, 4096), msgs: make(chan wire.Message, 4096),
		asked: make(chan uint64, 4096), voids: make(chan uint64, 4096), conns: make(chan net.Conn, 16), blocked: make(chan struct{}, 16), docs: map[content.ID][]byte{},
	}
	cfg := Config{
		Key: key, Listen: "127.0.0.1:0", Handler: m, Timing: short,
		Hello: func() wire.Hello { return wire.Hello{Version: 1, Cert: []byte("member"), HeadVersion: 3} },
		Admit: func(_ string, h wire.Hello) (Peer, error) {
			if string(h.Cert) != "member" {
				return Peer{}, errNotInvited
			}
			return Peer{Site: "hq", HeadVersion: h.HeadVersion}, nil
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if m.Host, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func asStranger(c *Config) {
	c.Hello = func() wire.Hello { return wire.Hello{Version: 1, Cert: []byte("forged")} }
}

func await[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(15 * time.Second):
		buf := make([]byte, 1<<20)
		t.Logf("%s", buf[:runtime.Stack(buf, true)])
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

// joined gives two machines with a session.
func joined(t testing.TB, change ...func(*Config)) (a, b *machine) {
	t.Helper()
	a, b = newMachine(t, change...), newMachine(t, change...)
	join(t, a, b)
	return a, b
}

func join(t testing.TB, a, b *machine) {
	t.Helper()
	if _, err := a.Connect(context.Background(), b.ID(), b.ListenAddr()); err != nil {
		t.Fatal(err)
	}
	await(t, a.up, "PeerUp at the dialler")
	await(t, b.up, "PeerUp at the other side")
}

func TestSessionTellsWhoIsThere(t *testing.T) {
	a, b := newMachine(t), newMachine(t)
	id, err := a.Connect(context.Background(), "", b.ListenAddr())
	if err != nil || id != b.ID() {
		t.Fatal(id, err)
	}
	pa, pb := await(t, a.up, "PeerUp"), await(t, b.up, "PeerUp")
	if pa.ID != b.ID() || pa.Addr != b.ListenAddr() || pa.Site != "hq" || pa.HeadVersion != 3 {
		t.Errorf("the dialler sees %+v", pa)
	}
	if pb.ID != a.ID() || pb.Addr != a.ListenAddr() {
		t.Errorf("the other side sees %+v", pb)
	}
	if _, err := a.Connect(context.Background(), b.ID(), b.ListenAddr()); err != nil {
		t.Error("again:", err)
	}
	if _, err := b.Connect(context.Background(), "", a.ListenAddr()); err != nil {
		t.Error("from the other side:", err)
	}
	if got := a.Peers(); len(got) != 1 || got[0].ID != b.ID() {
		t.Errorf("%+v", got)
	}
	if len(a.up)+len(b.up)+len(a.down)+len(b.down) != 0 {
		t.Error("connecting again made another session")
	}
}

func TestMessagesArriveInOrderBothWays(t *testing.T) {
	a, b := joined(t)
	const n = 3000
	for i := range n {
		if err := a.Send(b.ID(), wire.ReportAck{Machine: "m", Seq: uint64(i)}); err != nil {
			t.Fatal(err)
		}
		if err := b.Send(a.ID(), wire.Head{Timestamp: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if m := await(t, b.msgs, "message").(wire.ReportAck); m.Seq != uint64(i) {
			t.Fatalf("message %d is %+v", i, m)
		}
		if m := await(t, a.msgs, "message").(wire.Head); string(m.Timestamp) != fmt.Sprint(i) {
			t.Fatalf("message %d is %+v", i, m)
		}
	}
	if err := a.Send(b.ID(), wire.Lost{}); !errors.Is(err, wire.ErrFormat) {
		t.Error("an unsendable message:", err)
	}
	if err := a.Send("nobody", wire.Synced{}); !errors.Is(err, ErrGone) {
		t.Error("no session:", err)
	}
}

// Much is sent right behind the handshake, before the other side is done with it.
func TestBurstRightAfterTheHandshakeIsNotTakenForAStranger(t *testing.T) {
	for range 10 {
		a, b := newMachine(t), newMachine(t)
		if _, err := a.Connect(context.Background(), b.ID(), b.ListenAddr()); err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 200<<10)
		if err := a.Send(b.ID(), wire.Report{Machine: "m", Body: body}); err != nil {
			t.Fatal(err)
		}
		if m := await(t, b.msgs, "report").(wire.Report); len(m.Body) != len(body) {
			t.Fatal("cut")
		}
		_, _ = a.Close(), b.Close()
	}
}

func TestDisconnectDeliversWhatWasSentBefore(t *testing.T) {
	a, b := joined(t)
	for range 500 {
		_ = a.Send(b.ID(), wire.Head{Timestamp: make([]byte, 1000)})
	}
	why := errors.New("revoked")
	a.Disconnect(b.ID(), why)
	if d := await(t, a.down, "PeerDown"); d.why != why || d.id != b.ID() {
		t.Error(d)
	}
	if d := await(t, b.down, "PeerDown"); !errors.Is(d.why, ErrGone) || !strings.Contains(d.why.Error(), "revoked") {
		t.Error(d.why)
	}
	if len(b.msgs) != 500 {
		t.Error("only", len(b.msgs), "messages arrived")
	}
	if len(a.Peers())+len(b.Peers()) != 0 {
		t.Error("still listed")
	}
	join(t, b, a)
}

func TestPortInUseIsSaidClearly(t *testing.T) {
	a := newMachine(t)
	_, err := New(Config{Key: newKey(t), Listen: a.ListenAddr(), Handler: a, Hello: a.cfg.Hello, Admit: a.cfg.Admit})
	if !errors.Is(err, ErrAddrInUse) || !strings.Contains(err.Error(), a.ListenAddr()) {
		t.Fatal(err)
	}
}

func TestConfigSaysAllThatIsMissing(t *testing.T) {
	_, err := New(Config{})
	for _, w := range []string{"Key", "Hello", "Admit", "Handler"} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not name %s", err, w)
		}
	}
}

func TestConnectErrors(t *testing.T) {
	a := newMachine(t)
	ctx := context.Background()
	if _, err := a.Connect(ctx, "", a.ListenAddr()); !errors.Is(err, ErrSelf) {
		t.Error("own address:", err)
	}
	if _, err := a.Connect(ctx, a.ID(), a.ListenAddr()); !errors.Is(err, ErrSelf) {
		t.Error("own id:", err)
	}
	for _, addr := range []string{"", "example.org:80", "10.0.0.1", "[fe80::1%eth0]:1"} {
		if _, err := a.Connect(ctx, "", addr); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", addr, err)
		}
	}
	if _, err := a.Connect(ctx, "12D3nonsense", "127.0.0.1:1"); !errors.Is(err, ErrAddress) {
		t.Error("bad id:", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if _, err := a.Connect(ctx, "", ln.Addr().String()); err == nil {
		t.Error("nobody there, yet connected")
	}
	b, c := newMachine(t), newMachine(t)
	if _, err := a.Connect(ctx, c.ID(), b.ListenAddr()); err == nil {
		t.Error("another identity answered, yet connected")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := a.Connect(cancelled, b.ID(), b.ListenAddr()); !errors.Is(err, context.Canceled) {
		t.Error("cancelled:", err)
	}
}

func TestAllowRefusesBothWaysBeforeAnyStream(t *testing.T) {
	b := newMachine(t)
	a := newMachine(t, func(c *Config) { c.Allow = func(id string) bool { return id != b.ID() } })
	if _, err := a.Connect(context.Background(), b.ID(), b.ListenAddr()); !errors.Is(err, ErrForbidden) {
		t.Error("dialling:", err)
	}
	if _, err := b.Connect(context.Background(), a.ID(), a.ListenAddr()); err == nil {
		t.Error("the forbidden peer got in")
	}
}

func TestProbeLearnsWhoIsThere(t *testing.T) {
	a, b := newMachine(t), newMachine(t)
	if id, err := a.Probe(context.Background(), b.ListenAddr()); err != nil || id != b.ID() {
		t.Fatal(id, err)
	}
	if want := PeerID(a.cfg.Key.Public().(ed25519.PublicKey)); a.ID() != want {
		t.Error(a.ID(), want)
	}
	// Somebody who accepts and never speaks.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := a.Probe(ctx, ln.Addr().String()); err == nil {
		t.Error("a mute listener has an identity")
	}
}

func TestDocuments(t *testing.T) {
	a, b := joined(t)
	doc := bytes.Repeat([]byte("document "), 100_000)
	id := content.Sum(doc)
	b.docs[id] = doc
	ctx := context.Background()
	ask := wire.DocAsk{Kind: wire.DocContent, ID: id, MaxBytes: len(doc)}
	if got, err := a.FetchDoc(ctx, b.ID(), ask); err != nil || !bytes.Equal(got, doc) {
		t.Error(len(got), err)
	}
	ask.MaxBytes--
	if _, err := a.FetchDoc(ctx, b.ID(), ask); !errors.Is(err, ErrNotFound) {
		t.Error("one byte too long:", err)
	}
	ask.ID = content.Sum([]byte("other"))
	if _, err := a.FetchDoc(ctx, b.ID(), ask); !errors.Is(err, ErrNotFound) {
		t.Error("absent:", err)
	}
	if _, err := a.FetchDoc(ctx, "nobody", ask); !errors.Is(err, ErrGone) {
		t.Error("no session:", err)
	}
	var all sync.WaitGroup
	for range 64 { // more than streams are allowed at once: refusals are errors, not damage
		all.Go(func() {
			if b, err := a.FetchDoc(ctx, b.ID(), wire.DocAsk{Kind: wire.DocContent, ID: id, MaxBytes: len(doc)}); err == nil && sha256.Sum256(b) != id.SHA256() {
				t.Error("wrong bytes")
			}
		})
	}
	all.Wait()
	if len(a.down) > 0 {
		t.Error("the session did not survive:", <-a.down)
	}
}

func TestEnrolmentIsOpenToStrangers(t *testing.T) {
	seed, joiner := newMachine(t), newMachine(t, asStranger)
	ctx := context.Background()
	got, err := joiner.EnrolWith(ctx, "", seed.ListenAddr(), []byte("please"))
	if err != nil || string(got) != "welcome "+joiner.ID()+" please" {
		t.Fatalf("%q %v", got, err)
	}
	if _, err := joiner.EnrolWith(ctx, seed.ID(), seed.ListenAddr(), []byte("bad")); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "token is spent") {
		t.Error(err)
	}
	if _, err := joiner.EnrolWith(ctx, seed.ID(), seed.ListenAddr(), make([]byte, wire.MaxEnrolRequestBytes+1)); !errors.Is(err, wire.ErrTooLarge) {
		t.Error(err)
	}
	if len(seed.Peers()) != 0 || len(seed.up) != 0 {
		t.Error("an enrolment made a session")
	}
	member := newMachine(t)
	join(t, member, seed)
	if _, err := member.EnrolWith(ctx, seed.ID(), seed.ListenAddr(), []byte("renew")); err != nil {
		t.Error("a member:", err)
	}
	if len(member.down) != 0 {
		t.Error("renewing ended the session")
	}
}

// A renewal goes through the session at hand. That it ends under the request, as when the two have connected
// anew meanwhile, must not cost the machine its renewal.
func TestEnrolmentOutlivesTheSessionThatCarriedIt(t *testing.T) {
	member, seed := joined(t)
	seed.mu.Lock()
	seed.enrolled = func(peerID string) {
		if seed.sessionOf(peerID) != nil {
			seed.Disconnect(peerID, errors.New("cut"))
			await(t, member.down, "PeerDown at the member")
		}
	}
	seed.mu.Unlock()
	got, err := member.EnrolWith(context.Background(), seed.ID(), seed.ListenAddr(), []byte("renew"))
	if err != nil || string(got) != "welcome "+member.ID()+" renew" {
		t.Fatalf("%q %v", got, err)
	}
	if n := seed.enrolments(); n != 2 {
		t.Error(n, "requests: the session was to be cut under the first")
	}
}

func TestGossipStreamsAreNetConns(t *testing.T) {
	a, b := newMachine(t), newMachine(t)
	c, err := a.DialGossip(context.Background(), b.ID(), b.ListenAddr()) // makes the session
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	o := await(t, b.conns, "stream")
	defer o.Close()
	buf := make([]byte, 5)
	if _, err := o.Read(buf); err != nil || string(buf) != "hello" {
		t.Fatal(string(buf), err)
	}
	if o.RemoteAddr() == nil || c.RemoteAddr().String() != b.ListenAddr() {
		t.Error(o.RemoteAddr(), c.RemoteAddr())
	}
	if err := o.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Read(buf); !isTimeout(err) {
		t.Error(err)
	}
}
