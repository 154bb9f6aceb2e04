package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/swarm/wire"
)

// The heart of "one session per pair": both dial at the same moment, again and again, also several
// times each, and every time there is one session, announced once on each side.
func TestSimultaneousDialsMakeOneSession(t *testing.T) {
	a, b := newMachine(t), newMachine(t)
	for round := range 150 {
		var all sync.WaitGroup
		errs := make(chan error, 6)
		dialers := 1 + round%3
		for range dialers {
			for _, pair := range [][2]*machine{{a, b}, {b, a}} {
				all.Go(func() {
					time.Sleep(time.Duration(rand.IntN(1+1500*(round%4))) * time.Microsecond)
					_, err := pair[0].Connect(context.Background(), pair[1].ID(), pair[1].ListenAddr())
					errs <- err
				})
			}
		}
		all.Wait()
		for range 2 * dialers {
			if err := <-errs; err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		await(t, a.up, "PeerUp")
		await(t, b.up, "PeerUp")
		if err := errors.Join(a.Send(b.ID(), wire.Synced{}), b.Send(a.ID(), wire.Synced{})); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		await(t, a.msgs, "message")
		await(t, b.msgs, "message")
		if len(a.up)+len(b.up)+len(a.down)+len(b.down) != 0 {
			t.Fatalf("round %d: more than one session: %d %d up, %d %d down", round, len(a.up), len(b.up), len(a.down), len(b.down))
		}
		a.Disconnect(b.ID(), nil)
		await(t, a.down, "PeerDown")
		await(t, b.down, "PeerDown")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := 0; i+2 < len(a.trace); i += 3 {
		if !slices.Equal(a.trace[i:i+3], []string{"up", "message", "down"}) {
			t.Fatal("out of order:", a.trace[i:i+3])
		}
	}
	a.Host.mu.Lock()
	defer a.Host.mu.Unlock()
	if len(a.peers) > 0 {
		t.Error("remembers", len(a.peers), "peers that are gone")
	}
}

// A machine restarts while its old connection still looks alive here: nobody must wait for a timeout.
func TestRestartedPeerReplacesItsOldSession(t *testing.T) {
	a, key := newMachine(t), newKey(t)
	old := machineWithKey(t, key)
	join(t, a, old)
	young := machineWithKey(t, key)
	if _, err := young.Connect(context.Background(), a.ID(), a.ListenAddr()); err != nil {
		t.Fatal(err)
	}
	if d := await(t, a.down, "PeerDown of the old session"); !errors.Is(d.why, ErrReplaced) {
		t.Error(d.why)
	}
	if p := await(t, a.up, "PeerUp of the new session"); p.Addr != young.ListenAddr() {
		t.Error(p.Addr)
	}
	if err := a.Send(young.ID(), wire.Synced{}); err != nil {
		t.Fatal(err)
	}
	await(t, young.msgs, "message to the new one")
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Equal(a.trace, []string{"up", "down", "up"}) {
		t.Error(a.trace)
	}
}

// A handler that is still busy with the old session must not see the two mixed up.
func TestNewSessionWaitsForTheEndOfTheOldOne(t *testing.T) {
	a, key := newMachine(t), newKey(t)
	block := make(chan struct{})
	a.block = block
	old := machineWithKey(t, key)
	join(t, a, old)
	if err := old.Send(a.ID(), wire.Synced{}); err != nil {
		t.Fatal(err)
	}
	await(t, a.blocked, "message of the old session") // one that was not read yet would be dropped with it
	young := machineWithKey(t, key)
	if _, err := young.Connect(context.Background(), a.ID(), a.ListenAddr()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.up:
		t.Error("PeerUp of the new session while the old one still delivers")
	case <-a.down:
		t.Error("PeerDown while a message of the session is being delivered")
	case <-time.After(200 * time.Millisecond):
	}
	close(block)
	await(t, a.down, "PeerDown")
	await(t, a.up, "PeerUp")
	a.mu.Lock()
	defer a.mu.Unlock()
	if want := []string{"up", "message", "down", "up"}; !slices.Equal(a.trace, want) {
		t.Error(a.trace)
	}
}

func TestPeerDownIsTheLastWordOfASession(t *testing.T) {
	a, b := joined(t)
	entered, release := make(chan struct{}), make(chan struct{})
	b.serving(make([]byte, chunkBytes))
	a.FetchChunk(b.ID(), payloadID, 0, chunkBytes, func([]byte, error) Judgement {
		close(entered)
		<-release
		a.note("fetched")
		return Unkept
	})
	await(t, entered, "chunk")
	_ = b.Close()
	select {
	case <-a.down:
		t.Error("PeerDown while a fetch is being reported")
	case <-time.After(200 * time.Millisecond):
	}
	close(release)
	await(t, a.down, "PeerDown")
	a.mu.Lock()
	defer a.mu.Unlock()
	if want := []string{"up", "fetched", "down"}; !slices.Equal(a.trace, want) {
		t.Error(a.trace)
	}
}

func TestDuplicateOfAnOlderHelloIsTurnedAway(t *testing.T) {
	a, b := joined(t)
	// A hello of b that was sent before the one of the session, on another connection.
	l, err := b.dialLink(context.Background(), a.ID(), a.ListenAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	st, err := l.open(context.Background(), protoMesh)
	if err != nil {
		t.Fatal(err)
	}
	if err := wire.WriteMessage(st, b.ourHello(0)); err != nil {
		t.Fatal(err)
	}
	if m := readFrom(t, st); m != wire.NewGoodbye(wire.CodeDuplicate, "duplicate connection") {
		t.Errorf("%+v", m)
	}
	if len(a.down)+len(b.down) != 0 {
		t.Error("the session ended")
	}
}

func TestNotAdmittedIsToldToBoth(t *testing.T) {
	member, stranger := newMachine(t), newMachine(t, asStranger)
	if _, err := stranger.Connect(context.Background(), member.ID(), member.ListenAddr()); !errors.Is(err, ErrNotAdmitted) {
		t.Error("the stranger dials:", err)
	}
	if _, err := member.Connect(context.Background(), stranger.ID(), stranger.ListenAddr()); !errors.Is(err, errNotInvited) {
		t.Error("the stranger is dialled:", err)
	}
	if len(member.up)+len(stranger.up) != 0 {
		t.Error("PeerUp for a stranger")
	}
}

func TestSilentPeerIsDroppedAndIdleOnesAreNot(t *testing.T) {
	a, b := joined(t)
	p := puppet(t, a)
	if d := await(t, a.down, "PeerDown"); d.id != p.id || !errors.Is(d.why, ErrSilent) {
		t.Error(d)
	}
	if len(a.down)+len(b.down) != 0 || len(a.Peers()) != 1 {
		t.Error("a peer that only pings was dropped")
	}
}

func TestCloseLeavesNoGoroutineAndEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		a, b, c := newMachine(t), newMachine(t), newMachine(t)
		join(t, a, b)
		join(t, c, a)
		a.dataAfter = 1
		c.serving(make([]byte, chunkBytes))
		a.fetchWell(c, chunkBytes)
		eventually(t, "a data connection", func() bool { return a.dataOf(c) != nil })
		stuck, _ := fetchOne(a, b.ID(), chunkBytes)
		await(t, b.asked, "ask")
		gossip, err := c.DialGossip(context.Background(), a.ID(), a.ListenAddr())
		if err != nil {
			t.Fatal(err)
		}
		idle := rawDial(t, a)
		puppet(t, a)
		if mdns, err := a.StartMDNS(func(string, string) {}, func() int { return 0 }); err != nil {
			t.Error(err)
		} else if len(idle.LocalAddr().String())%2 == 0 {
			_ = mdns.Close() // and sometimes Close of the host alone must do
		}
		for _, m := range []*machine{a, b, c} {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if err := m.Close(); err != nil {
				t.Error("twice:", err)
			}
		}
		_ = gossip.Close()
		if err := await(t, stuck, "end of the fetch"); !errors.Is(err, ErrGone) {
			t.Error(err)
		}
		if d := await(t, b.down, "PeerDown"); !errors.Is(d.why, ErrGone) && !errors.Is(d.why, ErrClosed) {
			t.Error(d.why)
		}
		if _, err := a.Connect(context.Background(), b.ID(), b.ListenAddr()); !errors.Is(err, ErrClosed) {
			t.Error("connect after close:", err)
		}
		if _, err := a.StartMDNS(nil, nil); !errors.Is(err, ErrClosed) {
			t.Error("mdns after close:", err)
		}
		got, _ := fetchOne(a, b.ID(), 1)
		if err := await(t, got, "answer"); !errors.Is(err, ErrGone) {
			t.Error("fetch after close:", err)
		}
	}
	puppets.closeAll()
	for end := time.Now().Add(10 * time.Second); ; {
		if now := runtime.NumGoroutine(); now <= before {
			return
		} else if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after\n%s", before, now, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
		time.Sleep(5 * time.Millisecond)
	}
}

func TestChunkStreamThatOvertakesTheHandshakeIsServed(t *testing.T) {
	for range 20 {
		a, b := newMachine(t), newMachine(t)
		b.serving(make([]byte, chunkBytes))
		if _, err := a.Connect(context.Background(), b.ID(), b.ListenAddr()); err != nil {
			t.Fatal(err)
		}
		got, _ := fetchOne(a, b.ID(), chunkBytes)
		if err := await(t, got, "chunk"); err != nil {
			t.Fatal(err)
		}
		_, _ = a.Close(), b.Close()
	}
}

func TestHandlerMayCallTheHost(t *testing.T) {
	a, b := newMachine(t), newMachine(t)
	b.mu.Lock()
	b.serve = func(ref uint64, _ content.ID, _ int) {
		b.Disconnect(a.ID(), errors.New("from within"))
		b.RefuseChunk(ref, wire.StatusBusy)
	}
	b.mu.Unlock()
	join(t, a, b)
	got, _ := fetchOne(a, b.ID(), chunkBytes)
	if err := await(t, got, "answer"); !errors.Is(err, ErrGone) && !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	if d := await(t, a.down, "PeerDown"); !strings.Contains(d.why.Error(), "from within") {
		t.Error(d.why)
	}
}
