package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"patchmesh/content"
	"patchmesh/swarm/wire"
)

// puppet is a peer played by hand: a member as far as the hello, and then whatever the test does.
type puppetPeer struct {
	t  *testing.T
	id string
	l  *link
	st *stream
	br *bufio.Reader
}

type puppetHosts struct {
	mu  sync.Mutex
	all []*machine
}

var puppets puppetHosts

func (p *puppetHosts) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.all {
		_ = m.Close()
	}
	p.all = nil
}

// bareLink connects to m with a proven identity and says nothing.
func bareLink(t *testing.T, m *machine) (*machine, *link) {
	t.Helper()
	self := newMachine(t)
	puppets.mu.Lock()
	puppets.all = append(puppets.all, self)
	puppets.mu.Unlock()
	l, err := self.dialLink(context.Background(), m.ID(), m.ListenAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return self, l
}

func puppet(t *testing.T, m *machine) *puppetPeer {
	t.Helper()
	self, l := bareLink(t, m)
	p := &puppetPeer{t: t, id: self.ID(), l: l}
	p.st = openOn(t, l, protoMesh)
	p.br = bufio.NewReader(p.st)
	p.write(wire.Hello{Version: 1, Cert: []byte("member"), Port: 1, Boot: 1, Seq: 1})
	if _, err := wire.ReadMessage(p.br, wire.KindHello); err != nil {
		t.Fatal(err)
	}
	p.write(wire.Ready{})
	await(t, m.up, "PeerUp of the puppet")
	return p
}

func (p *puppetPeer) write(msgs ...wire.Message) {
	for _, m := range msgs {
		if err := wire.WriteMessage(p.st, m); err != nil {
			p.t.Fatal(err)
		}
	}
}

func openOn(t *testing.T, l *link, proto protocol.ID) *stream {
	t.Helper()
	st, err := l.open(context.Background(), proto)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func readFrom(t *testing.T, r io.Reader) wire.Message {
	t.Helper()
	m, err := wire.ReadMessage(bufio.NewReader(r))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func rawDial(t *testing.T, m *machine) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", m.ListenAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// closedSoon waits until the other side hangs up and tells how long it took.
func closedSoon(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	started := time.Now()
	_ = c.SetReadDeadline(started.Add(15 * time.Second))
	for {
		if _, err := c.Read(make([]byte, 1024)); isTimeout(err) {
			t.Error("still open")
			return time.Since(started)
		} else if err != nil {
			return time.Since(started)
		}
	}
}

// linkClosed waits until the other side ends a link.
func linkClosed(t *testing.T, l *link) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !l.conn.IsClosed(); {
		if time.Now().After(end) {
			t.Fatal("the link is still open")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestStrangerGetsNothingButHelloAndEnrol(t *testing.T) {
	for _, proto := range []protocol.ID{protoChunk, protoDoc, protoGossip} {
		m := newMachine(t)
		_, l := bareLink(t, m)
		if st, err := l.open(context.Background(), proto); err == nil {
			_, _ = st.Write(wire.AppendAsk(nil, wire.Ask{Req: 1, Payload: payloadID}))
			if _, err := st.Read(make([]byte, 1)); err == nil {
				t.Error(proto, "answered a stranger")
			}
		}
		linkClosed(t, l)
		if len(m.asked)+len(m.conns)+len(m.up) != 0 {
			t.Error(proto, "reached the handler")
		}
	}
}

func TestStrangerLosesItsLinkOverAnythingElse(t *testing.T) {
	hostile := map[string]func(*testing.T, *link){
		"unknown protocol": func(_ *testing.T, l *link) { _, _ = l.open(context.Background(), "/ipfs/id/1.0.0") },
		"garbage instead of a protocol": func(t *testing.T, l *link) {
			st, err := l.conn.OpenStream(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = st.Write(bytes.Repeat([]byte{0xFF}, 64))
		},
		"garbage instead of a hello": func(t *testing.T, l *link) {
			_, _ = openOn(t, l, protoMesh).Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		},
		"message instead of a hello": func(t *testing.T, l *link) {
			_ = wire.WriteMessage(openOn(t, l, protoMesh), wire.Report{Machine: "m", Body: make([]byte, 4<<10)})
		},
		"oversize hello": func(t *testing.T, l *link) {
			_, _ = openOn(t, l, protoMesh).Write([]byte{0x80, 0x80, 0x40, byte(wire.KindHello)})
		},
		"oversize enrolment": func(t *testing.T, l *link) {
			_, _ = openOn(t, l, protoEnrol).Write([]byte{0x7F, 0xFF, 0xFF, 0xFF})
		},
		"two hellos at once": func(t *testing.T, l *link) {
			a := openOn(t, l, protoMesh)
			if b, err := l.open(context.Background(), protoMesh); err == nil {
				_ = wire.WriteMessage(b, wire.Hello{Version: 1, Cert: []byte("member"), Port: 1})
			}
			_ = wire.WriteMessage(a, wire.Hello{Version: 1, Cert: []byte("forged"), Port: 1})
		},
		"hello and then nothing": func(t *testing.T, l *link) {
			_ = wire.WriteMessage(openOn(t, l, protoMesh), wire.Hello{Version: 1, Cert: []byte("member"), Port: 1})
		},
		"many streams": func(_ *testing.T, l *link) {
			for range 8 {
				_, _ = l.conn.OpenStream(context.Background())
			}
		},
		"endless bytes": func(t *testing.T, l *link) {
			st, err := l.conn.OpenStream(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			_ = st.SetWriteDeadline(time.Now().Add(time.Second))
			for err == nil {
				_, err = st.Write(make([]byte, 1024))
			}
		},
		"silence": func(*testing.T, *link) {},
	}
	for name, attack := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			_, l := bareLink(t, m)
			attack(t, l)
			linkClosed(t, l)
			if len(m.up) != 0 {
				t.Error("PeerUp")
			}
			if n := seatsTaken(m); n != 0 {
				t.Error(n, "seats still taken")
			}
			a := newMachine(t)
			join(t, a, m) // and the machine is as well as before
		})
	}
}

func seatsTaken(m *machine) int {
	for end := time.Now().Add(5 * time.Second); ; {
		m.door.mu.Lock()
		n := len(m.door.seats)
		m.door.mu.Unlock()
		if n == 0 || time.Now().After(end) {
			return n
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestSocketsWithoutTLSAreClosedInTime(t *testing.T) {
	m := newMachine(t)
	mute := rawDial(t, m)
	junk := rawDial(t, m)
	_, _ = junk.Write(bytes.Repeat([]byte("junk"), 1000))
	if d := closedSoon(t, junk); d > time.Second {
		t.Error("junk was listened to for", d)
	}
	if d := closedSoon(t, mute); d > short.Hello+2*time.Second {
		t.Error("a mute stranger stayed for", d)
	}
}

func TestStrangerSendsNoMoreThanItsAllowance(t *testing.T) {
	m := newMachine(t)
	self := newMachine(t)
	scopeless := rawDial(t, m)
	_ = scopeless.Close()
	l, err := self.dialLink(context.Background(), m.ID(), m.ListenAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	st := openOn(t, l, protoEnrol)
	_, _ = st.Write([]byte{0, 0, 0x20, 0}) // 8 KiB are allowed, and come byte by byte, each in a TLS record of its own
	_ = st.SetWriteDeadline(time.Now().Add(5 * time.Second))
	sent := 0
	for ; err == nil && sent < 8<<10-1; sent++ {
		_, err = st.Write([]byte{'x'})
	}
	linkClosed(t, l)
	if sent > 4<<10 {
		t.Error("took", sent, "records from a stranger")
	}
}

func TestStrangersThatHoldAllSeatsDoNotLockMembersOut(t *testing.T) {
	m := newMachine(t, func(c *Config) { c.Timing.Hello = time.Minute }) // seats are not given back by themselves
	for range 4 * maxStrangers {
		rawDial(t, m)
	}
	seats := func() int {
		m.door.mu.Lock()
		defer m.door.mu.Unlock()
		return len(m.door.seats)
	}
	for end := time.Now().Add(10 * time.Second); seats() < maxStrangers; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("only", seats(), "seats taken")
		}
	}
	a := newMachine(t)
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if n := seats(); n > maxStrangers {
			t.Fatal(n, "strangers at the door")
		}
		if _, err = a.Connect(context.Background(), m.ID(), m.ListenAddr()); err == nil {
			return
		}
	}
	t.Fatal("locked out:", err)
}

func TestStrangerOpensTwoStreamsAtMost(t *testing.T) {
	m := newMachine(t)
	_, l := bareLink(t, m)
	var open []io.ReadWriter
	for range 8 {
		ms, err := l.conn.OpenStream(context.Background())
		if err != nil {
			break
		}
		_ = ms.SetDeadline(time.Now().Add(short.Hello / 2))
		_, _ = ms.Write([]byte{0x13})
		open = append(open, ms)
	}
	answered := 0
	for _, ms := range open {
		if _, err := ms.Read(make([]byte, 1)); err == nil {
			answered++
		}
	}
	if answered > strangerStreams {
		t.Error(answered, "streams were looked at")
	}
	linkClosed(t, l)
}

// Which of the two streams the other side takes up first is its scheduler's choice, so the test asks
// both and counts.
func TestStrangerEnrolsOncePerConnection(t *testing.T) {
	m := newMachine(t)
	_, l := bareLink(t, m)
	var streams []*stream
	for range 2 {
		if st, err := l.open(context.Background(), protoEnrol); err == nil {
			_ = wire.WriteEnrolRequest(st, []byte("request"))
			streams = append(streams, st)
		}
	}
	answered := 0
	for _, st := range streams {
		if answer, _, _, err := wire.ReadEnrolAnswer(st); err == nil && len(answer) > 0 {
			answered++
		}
		_ = st.Close()
	}
	if answered != 1 {
		t.Error(answered, "answers")
	}
	linkClosed(t, l)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.enrols != 1 {
		t.Error(m.enrols, "enrolments")
	}
}

func TestMemberThatBreaksTheProtocolIsDropped(t *testing.T) {
	ask := func(req uint64) []byte { return wire.AppendAsk(nil, wire.Ask{Req: req, Payload: payloadID}) }
	for name, attack := range map[string]func(*testing.T, *puppetPeer){
		"garbage":        func(_ *testing.T, p *puppetPeer) { _, _ = p.st.Write([]byte{0x05, 0xFF, 1, 2, 3, 4}) },
		"oversize frame": func(_ *testing.T, p *puppetPeer) { _, _ = p.st.Write([]byte{0xFF, 0xFF, 0xFF, 0x7F}) },
		"oversize kind":  func(_ *testing.T, p *puppetPeer) { _, _ = p.st.Write([]byte{0xFF, 0x7F, byte(wire.KindFlags)}) },
		"another hello": func(_ *testing.T, p *puppetPeer) {
			p.write(wire.Hello{Version: 1, Cert: []byte("member"), Port: 1})
		},
		"garbage asks":   func(t *testing.T, p *puppetPeer) { _, _ = openOn(t, p.l, protoChunk).Write(make([]byte, 100)) },
		"same ask twice": func(t *testing.T, p *puppetPeer) { _, _ = openOn(t, p.l, protoChunk).Write(append(ask(1), ask(1)...)) },
		"too many asks": func(t *testing.T, p *puppetPeer) {
			var b []byte
			for i := range uint64(maxWaitingAsks + 1) {
				b = append(b, ask(i)...)
			}
			_, _ = openOn(t, p.l, protoChunk).Write(b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			p := puppet(t, m)
			attack(t, p)
			if d := await(t, m.down, "PeerDown"); !errors.Is(d.why, ErrProtocol) {
				t.Error(d.why)
			}
			linkClosed(t, p.l)
		})
	}
}

// lyingServer is a member that answers asks as the test says.
func lyingServer(t *testing.T, m *machine, answer func(req uint64) []byte) *puppetPeer {
	p := puppet(t, m)
	go func() {
		ms, err := p.l.conn.AcceptStream()
		if err != nil {
			return
		}
		if _, _, err := p.l.h.stack.protocols.Negotiate(ms); err != nil {
			return
		}
		q, err := wire.ReadQuestion(bufio.NewReader(ms))
		if err == nil {
			_, _ = ms.Write(answer(q.(wire.Ask).Req))
		}
	}()
	return p
}

func TestLyingServerIsDropped(t *testing.T) {
	frame := func(a wire.Answer, body int) []byte {
		b := make([]byte, wire.AnswerBytes+body)
		wire.PutAnswer(b, a)
		return b
	}
	for name, answer := range map[string]func(req uint64) []byte{
		"another size": func(req uint64) []byte {
			return frame(wire.Answer{Req: req, Status: wire.StatusOK, Length: 100}, 100)
		},
		"not asked for": func(uint64) []byte { return frame(wire.Answer{Req: 99, Status: wire.StatusBusy}, 0) },
		"a chunk not asked for": func(uint64) []byte { // C-27
			return frame(wire.Answer{Req: 99, Status: wire.StatusOK, Length: chunkBytes}, chunkBytes)
		},
		"too large": func(req uint64) []byte {
			return frame(wire.Answer{Req: req, Status: wire.StatusOK, Length: content.MaxChunkBytes + 1}, 0)
		},
		"garbage": func(uint64) []byte { return make([]byte, 100) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			p := lyingServer(t, m, answer)
			got, _ := fetchOne(m, p.id, chunkBytes)
			if err := await(t, got, "answer"); !errors.Is(err, ErrProtocol) {
				t.Error(err)
			}
			if d := await(t, m.down, "PeerDown"); !errors.Is(d.why, ErrProtocol) {
				t.Error(d.why)
			}
		})
	}
}

// C-27: one ask, one chunk. A second one that nobody asked for ends the session, and nothing of it is handed on.
func TestC27ChunkThatIsSentTwiceEndsTheSession(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	p := lyingServer(t, m, func(req uint64) []byte {
		one := make([]byte, wire.AnswerBytes+chunkBytes)
		wire.PutAnswer(one, wire.Answer{Req: req, Status: wire.StatusOK, Length: chunkBytes})
		return append(one, one...)
	})
	got, _ := fetchOne(m, p.id, chunkBytes)
	if err := await(t, got, "answer"); err != nil {
		t.Error(err)
	}
	if d := await(t, m.down, "PeerDown"); !errors.Is(d.why, ErrProtocol) {
		t.Error(d.why)
	}
	if len(got) != 0 {
		t.Error("the second chunk was handed on")
	}
}

func TestEndlessDocumentIsCutAtItsLimit(t *testing.T) {
	m := newMachine(t)
	p := puppet(t, m)
	go func() {
		for {
			ms, err := p.l.conn.AcceptStream()
			if err != nil {
				return
			}
			if _, _, err := p.l.h.stack.protocols.Negotiate(ms); err != nil {
				return
			}
			_, _ = wire.ReadDocAsk(ms)
			_, _ = ms.Write(wire.AppendDocAnswer(nil, wire.DocAnswer{Found: true, Length: 1 << 20}))
		}
	}()
	_, err := m.FetchDoc(context.Background(), p.id, wire.DocAsk{Kind: wire.DocContent, ID: payloadID, MaxBytes: 1<<20 - 1})
	if !errors.Is(err, ErrProtocol) || !errors.Is(err, wire.ErrTooLarge) {
		t.Error("one byte too many offered:", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err = m.FetchDoc(ctx, p.id, wire.DocAsk{Kind: wire.DocContent, ID: payloadID, MaxBytes: 1 << 20})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("announced and never sent:", err)
	}
}

func TestMemberOpensNoMoreStreamsThanItsShare(t *testing.T) {
	m := newMachine(t)
	p := puppet(t, m)
	open := 0
	for range 3 * peerStreams {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		ms, err := p.l.conn.OpenStream(ctx)
		cancel()
		if err != nil {
			break
		}
		_ = ms.SetDeadline(time.Now().Add(time.Second))
		_, _ = ms.Write([]byte{0x13})
		if _, err := ms.Read(make([]byte, 1)); err == nil {
			open++ // the other side began to negotiate
		}
	}
	if open > peerStreams {
		t.Error(open, "streams at once")
	}
	if open < peerStreams/2 {
		t.Error("only", open, "streams")
	}
}
