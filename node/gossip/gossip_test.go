package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// wires joins members of a test in memory: what libp2p does between machines.
type wires struct {
	mu  sync.Mutex
	all map[string]*Gossip
}

func (w *wires) dial(_ context.Context, id, _ string) (net.Conn, error) {
	w.mu.Lock()
	g := w.all[id]
	w.mu.Unlock()
	if g == nil {
		return nil, errors.New("no such member")
	}
	a, b := net.Pipe()
	go g.Accept("", b)
	return a, nil
}

// member is one node of a test with what it has heard.
type member struct {
	*Gossip
	addr  string
	heard chan []byte
	up    chan string
	down  chan string
}

func (w *wires) start(t *testing.T, id string, key byte, refuse ...string) *member {
	t.Helper()
	m := &member{heard: make(chan []byte, 100), up: make(chan string, 100), down: make(chan string, 100)}
	c, err := net.ListenPacket("udp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	m.addr = c.LocalAddr().String()
	_ = c.Close()
	m.Gossip, err = Start(Config{
		Self: id, Listen: m.addr, Org: "acme", Site: "main", Key: bytes.Repeat([]byte{key}, 32), Dial: w.dial,
		Meta: func() []byte { return []byte("cert of " + id) },
		CheckMeta: func(peer, _ string, meta []byte) error {
			if slices.Contains(refuse, peer) || string(meta) != "cert of "+peer {
				return errors.New("no certificate")
			}
			return nil
		},
		MemberUp:   func(id, _ string, _ []byte) { m.up <- id },
		MemberDown: func(id string) { m.down <- id },
		Heard:      func(ts []byte) { m.heard <- ts },
		Head:       func() []byte { return []byte("head of " + id) },
		Log:        slog.New(slog.DiscardHandler), GossipInterval: 20 * time.Millisecond, ProbeInterval: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.all[id] = m.Gossip
	w.mu.Unlock()
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func (m *member) name(t *testing.T, id string) string { return fmt.Sprintf("%s/%s", id, m.addr) }

// await waits for a value on a channel.
func await[T comparable](t *testing.T, ch <-chan T, want T) {
	t.Helper()
	for end := time.After(20 * time.Second); ; {
		select {
		case got := <-ch:
			if got == want {
				return
			}
		case <-end:
			t.Fatalf("%v did not come", want)
		}
	}
}

func awaitHead(t *testing.T, m *member, want string) {
	t.Helper()
	for end := time.After(20 * time.Second); ; {
		select {
		case got := <-m.heard:
			if string(got) == want {
				return
			}
		case <-end:
			t.Fatalf("%s was not heard", want)
		}
	}
}

func TestRumourReachesEveryMemberAndDeathIsNoticed(t *testing.T) {
	w := &wires{all: map[string]*Gossip{}}
	a, b, c := w.start(t, "a", 1), w.start(t, "b", 1), w.start(t, "c", 1)
	if n, err := b.Join([]string{a.name(t, "a")}); n != 1 || err != nil {
		t.Fatalf("join: %d, %v", n, err)
	}
	awaitHead(t, a, "head of b") // push and pull carry heads both ways
	awaitHead(t, b, "head of a")
	if _, err := c.Join([]string{b.name(t, "b")}); err != nil {
		t.Fatal(err)
	}
	await(t, a.up, "c")
	if err := a.Announce([]byte("news")); err != nil {
		t.Fatal(err)
	}
	awaitHead(t, b, "news")
	awaitHead(t, c, "news")
	w.mu.Lock()
	delete(w.all, "c")
	w.mu.Unlock()
	if err := c.trans.Shutdown(); err != nil { // dies without a word
		t.Fatal(err)
	}
	await(t, a.down, "c")
}

func TestStrangersStayOut(t *testing.T) {
	w := &wires{all: map[string]*Gossip{}}
	a := w.start(t, "a", 1, "liar")
	wrongKey, liar := w.start(t, "wrong-key", 2), w.start(t, "liar", 1)
	if n, err := wrongKey.Join([]string{a.name(t, "a")}); err == nil || n != 0 {
		t.Errorf("a member with another key joined: %d, %v", n, err)
	}
	_, _ = liar.Join([]string{a.name(t, "a")})
	honest := w.start(t, "honest", 1)
	if _, err := honest.Join([]string{a.name(t, "a")}); err != nil {
		t.Fatal(err)
	}
	await(t, a.up, "honest") // whatever the liar has told has been told by now
	for _, m := range a.Members() {
		if m.ID != "honest" {
			t.Errorf("%s is a member", m.ID)
		}
	}
}

func TestRumourThatWouldNeverLeaveIsAnError(t *testing.T) {
	w := &wires{all: map[string]*Gossip{}}
	a := w.start(t, "a", 1)
	if err := a.Announce(bytes.Repeat([]byte("x"), 1300)); err == nil {
		t.Fatal("1,300 bytes were taken")
	}
}
