package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	manet "github.com/multiformats/go-multiaddr/net"

	"patchmesh/swarm/wire"
)

// dataOf is the data connection on which m asks p, or nil.
func (m *machine) dataOf(p *machine) *link {
	s := m.sessionOf(p.ID())
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetcher == nil {
		return nil
	}
	return s.fetcher.data
}

// eventually waits for what other goroutines bring about.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

// fetchWell fetches one chunk and fails if it does not come.
func (m *machine) fetchWell(p *machine, sizeBytes int) {
	m.t.Helper()
	got := make(chan error, 1)
	m.FetchChunk(p.ID(), payloadID, 0, sizeBytes, func(_ []byte, err error) Judgement { got <- err; return Unkept })
	if err := await(m.t, got, "a chunk"); err != nil {
		m.t.Fatal(err)
	}
}

// onData joins two machines of which a fetches from b over a data connection.
func onData(t *testing.T) (a, b *machine) {
	a, b = joined(t)
	a.dataAfter = 1
	b.serving(make([]byte, chunkBytes))
	a.fetchWell(b, chunkBytes)
	eventually(t, "a data connection", func() bool { return a.dataOf(b) != nil })
	return a, b
}

func TestChunksGoOverADataConnection(t *testing.T) {
	a, b := onData(t)
	a.fetchWell(b, chunkBytes)
}

// openData opens a data connection from self to m and waits until it is served.
func openData(t *testing.T, self, m *machine) (*link, *stream, error) {
	t.Helper()
	l, err := self.dialWith(t.Context(), self.stack.data, m.ID(), m.ListenAddr())
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(l.close)
	st, err := l.awaitData()
	return l, st, err
}

// hungUp waits until the other side ends a data connection.
func hungUp(t *testing.T, st *stream) {
	t.Helper()
	_ = st.SetReadDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.Copy(io.Discard, st); isTimeout(err) {
		t.Error("still open")
	}
}

func anAsk(req uint64) []byte { return wire.AppendAsk(nil, wire.Ask{Req: req, Payload: payloadID}) }

func TestDataConnectionOfAStrangerIsCut(t *testing.T) {
	m, stranger := newMachine(t), newMachine(t)
	if _, _, err := openData(t, stranger, m); err == nil {
		t.Error("served")
	}
	eventually(t, "the seat", func() bool {
		m.door.mu.Lock()
		defer m.door.mu.Unlock()
		return len(m.door.seats) == 0
	})
	select {
	case <-m.asked:
		t.Error("asked for chunks")
	default:
	}
}

func TestDataConnectionOfALockedOutPeerIsCut(t *testing.T) {
	var out atomic.Bool
	a, m := newMachine(t), newMachine(t, func(c *Config) {
		c.Allow = func(string) bool { return !out.Load() }
		c.Farewell = func(string) string { return "revoked" }
	})
	join(t, a, m)
	out.Store(true)
	if _, _, err := openData(t, a, m); err == nil {
		t.Error("served")
	}
}

func TestPeerHasOneDataConnection(t *testing.T) {
	a, m := joined(t)
	_, first, err := openData(t, a, m)
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := openData(t, a, m)
	if err != nil {
		t.Fatal(err)
	}
	hungUp(t, first)
	if _, err := second.Write(anAsk(1)); err != nil {
		t.Fatal(err)
	}
	await(t, m.asked, "an ask on the second")
}

// One that says nothing costs what it is, and ends with the session.
func TestDataConnectionEndsWithItsSession(t *testing.T) {
	a, m := joined(t)
	_, st, err := openData(t, a, m)
	if err != nil {
		t.Fatal(err)
	}
	m.Disconnect(a.ID(), ErrGone)
	await(t, m.down, "PeerDown")
	hungUp(t, st)
}

func TestHalfClosedDataConnectionEnds(t *testing.T) {
	a, m := joined(t)
	l, st, err := openData(t, a, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.raw.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	hungUp(t, st)
	if m.sessionOf(a.ID()) == nil {
		t.Error("and the session with it")
	}
}

func TestPeerThatReadsNothingOnADataConnectionIsTooSlow(t *testing.T) {
	a, m := joined(t)
	m.serving(make([]byte, 64*chunkBytes))
	_, st, err := openData(t, a, m)
	if err != nil {
		t.Fatal(err)
	}
	for req := range uint64(64) {
		if _, err := st.Write(wire.AppendAsk(nil, wire.Ask{Req: req, Payload: payloadID, Index: uint32(req)})); err != nil {
			t.Fatal(err)
		}
	}
	if d := await(t, m.down, "PeerDown"); !errors.Is(d.why, ErrTooSlow) {
		t.Error(d.why)
	}
}

func TestGarbageOnADataConnectionEndsTheSession(t *testing.T) {
	for name, b := range map[string][]byte{"garbage": make([]byte, 100), "same ask twice": append(anAsk(1), anAsk(1)...)} {
		a, m := joined(t)
		_, st, err := openData(t, a, m)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = st.Write(b)
		if d := await(t, m.down, "PeerDown"); !errors.Is(d.why, ErrProtocol) {
			t.Error(name, d.why)
		}
	}
}

// Where there is no data connection to be had, the stream stays.
func TestWithoutADataConnectionTheStreamStays(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, a, b *machine){
		"older peer":     func(_ *testing.T, _, b *machine) { b.stack.in = b.stack.out },
		"may not dial":   func(_ *testing.T, a, _ *machine) { a.cfg.MayDial = func(netip.AddrPort) error { return ErrForbidden } },
		"another peer":   func(t *testing.T, a, b *machine) { a.sessionOf(b.ID()).peer.Addr = newMachine(t).ListenAddr() },
		"nobody there":   func(_ *testing.T, a, b *machine) { a.sessionOf(b.ID()).peer.Addr = "127.0.0.1:1" },
		"says not ready": func(t *testing.T, a, b *machine) { a.sessionOf(b.ID()).peer.Addr = mute(t, b) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := joined(t)
			spoil(t, a, b)
			a.dataAfter = 1
			b.serving(make([]byte, chunkBytes))
			s := a.sessionOf(b.ID())
			a.fetchWell(b, chunkBytes)
			eventually(t, "an attempt", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.data.notYet > 0 && !s.data.trying
			})
			if a.dataOf(b) != nil {
				t.Error("a data connection")
			}
			a.fetchWell(b, chunkBytes)
		})
	}
}

// mute is an address at which somebody proves to be m, takes connections and says nothing.
func mute(t *testing.T, m *machine) string {
	c := machineWithKey(t, m.cfg.Key)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		mc, err := manet.WrapNetConn(nc)
		if err != nil {
			return
		}
		scope, err := c.stack.rcmgr.OpenConnection(network.DirInbound, true, mc.RemoteMultiaddr())
		if err != nil {
			return
		}
		_, _ = c.stack.in.Upgrade(context.Background(), nil, newRawConn(mc, c.clock, c.Host.t.Stall), network.DirInbound, "", scope)
	}()
	return ln.Addr().String()
}

// The connection breaks in the middle of chunks: everything asked is answered once, and what is asked
// then comes over the stream again.
func TestLostDataConnectionAnswersEverythingOnce(t *testing.T) {
	a, b := onData(t)
	b.mu.Lock()
	b.serve = nil
	b.mu.Unlock()
	const asks = 8
	var answers [asks]atomic.Int32
	ended := make(chan error, 2*asks)
	for i := range asks {
		a.FetchChunk(b.ID(), payloadID, i, chunkBytes, func(_ []byte, err error) Judgement {
			answers[i].Add(1)
			ended <- err
			return Unkept
		})
	}
	half, release := make(chan struct{}), make(chan struct{})
	for i := range asks {
		ref := await(t, b.asked, "an ask")
		if i == 0 { // stands in the way of the others
			b.SendChunk(ref, chunkBytes, func(buf []byte) (int, error) { close(half); <-release; return len(buf), nil }, func(error) {})
		}
	}
	await(t, half, "a chunk on its way")
	a.dataOf(b).close()
	close(release)
	for range asks {
		if err := await(t, ended, "an answer"); !errors.Is(err, ErrGone) {
			t.Error(err)
		}
	}
	b.serving(make([]byte, chunkBytes))
	a.fetchWell(b, chunkBytes)
	if a.dataOf(b) != nil {
		t.Error("another one at once")
	}
	for i := range answers {
		if n := answers[i].Load(); n != 1 {
			t.Error("fetch", i, "was answered", n, "times")
		}
	}
}

// A stream is left with what was asked on it: all of that is answered there.
func TestWhatWasAskedBeforeIsAnsweredOnTheStream(t *testing.T) {
	a, b := joined(t)
	a.dataAfter = 1
	ended := make(chan error, 2)
	fetch := func() {
		a.FetchChunk(b.ID(), payloadID, 0, chunkBytes, func(_ []byte, err error) Judgement { ended <- err; return Unkept })
	}
	send := func(ref uint64) {
		b.SendChunk(ref, chunkBytes, func(buf []byte) (int, error) { return len(buf), nil }, func(error) {})
	}
	fetch()
	fetch()
	first, second := await(t, b.asked, "an ask"), await(t, b.asked, "an ask")
	send(first)
	if err := await(t, ended, "a chunk"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a data connection", func() bool { return a.dataOf(b) != nil })
	send(second)
	if err := await(t, ended, "a chunk"); err != nil {
		t.Fatal(err)
	}
	s := a.sessionOf(b.ID())
	eventually(t, "the end of the stream", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.draining) == 0
	})
}

func TestDataConnectionThatIsSilentIsGivenUp(t *testing.T) {
	a, b := onData(t)
	b.mu.Lock()
	b.serve = nil
	b.mu.Unlock()
	got := make(chan error, 1)
	a.FetchChunk(b.ID(), payloadID, 0, chunkBytes, func(_ []byte, err error) Judgement { got <- err; return Unkept })
	await(t, b.asked, "an ask")
	if err := await(t, got, "an answer"); !errors.Is(err, ErrSilent) {
		t.Error(err)
	}
	if a.sessionOf(b.ID()) == nil {
		t.Error("and the session with it")
	}
	await(t, b.voids, "the ask to be void")
}

func TestIdleDataConnectionIsGivenUp(t *testing.T) {
	a, b := joined(t)
	a.dataAfter, a.dataRetry = 1, time.Second
	b.serving(make([]byte, chunkBytes))
	a.fetchWell(b, chunkBytes)
	eventually(t, "a data connection", func() bool { return a.dataOf(b) != nil })
	eventually(t, "its end", func() bool {
		s := b.sessionOf(a.ID())
		s.mu.Lock()
		defer s.mu.Unlock()
		return a.dataOf(b) == nil && s.data.serving == nil
	})
	a.fetchWell(b, chunkBytes)
}
