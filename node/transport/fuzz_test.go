package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	lptransport "github.com/libp2p/go-libp2p/core/transport"
	manet "github.com/multiformats/go-multiaddr/net"

	"patchmesh/swarm/wire"
)

// told is a peer's side of a stream: it says what it was told to say and hangs up.
type told struct {
	network.MuxedStream
	in *bytes.Reader
}

func (s told) Read(b []byte) (int, error)                   { return s.in.Read(b) }
func (s told) Write(b []byte) (int, error)                  { return len(b), nil }
func (s told) Close() error                                 { return nil }
func (s told) CloseWrite() error                            { return nil }
func (s told) Reset() error                                 { return nil }
func (s told) ResetWithError(network.StreamErrorCode) error { return nil }
func (s told) SetDeadline(time.Time) error                  { return nil }
func (s told) SetReadDeadline(time.Time) error              { return nil }
func (s told) SetWriteDeadline(time.Time) error             { return nil }

// toldScope is a place in the resource manager that costs nothing.
type toldScope struct{ network.StreamManagementScope }

func (toldScope) Done() {}

// toldConn is the connection below: its identity is proven.
type toldConn struct {
	lptransport.CapableConn
	id peer.ID
}

func (c toldConn) RemotePeer() peer.ID { return c.id }
func (c toldConn) Close() error        { return nil }

// toldSocket is the socket below that.
type toldSocket struct{ manet.Conn }

func (toldSocket) Close() error         { return nil }
func (toldSocket) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 9} }

// ears notes what reaches the node, in order.
type ears struct {
	Handler // what strangers never reach is not there
	mu      sync.Mutex
	events  []string
}

func (e *ears) note(s string) {
	e.mu.Lock()
	e.events = append(e.events, s)
	e.mu.Unlock()
}

// take gives what was noted since the last call.
func (e *ears) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.events
	e.events = nil
	return all
}

func (e *ears) PeerUp(Peer)                  { e.note("up") }
func (e *ears) PeerDown(string, error)       { e.note("down") }
func (e *ears) Message(string, wire.Message) { e.note("message") }
func (e *ears) Enrol(context.Context, string, string, []byte) ([]byte, error) {
	e.note("enrol")
	return nil, errNotInvited
}

// listening is a host that admits the certificate "member", and another peer's identity.
func listening(f *testing.F) (*Host, *ears, peer.ID) {
	e := &ears{}
	var hosts []*Host
	for range 2 {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			f.Fatal(err)
		}
		timing := short
		timing.Goodbye = time.Nanosecond
		h, err := New(Config{
			Key: key, Listen: "127.0.0.1:0", Handler: e, Timing: timing,
			Hello: func() wire.Hello { return wire.Hello{Version: 1, Cert: []byte("member")} },
			Admit: func(_ string, h wire.Hello) (Peer, error) {
				if string(h.Cert) != "member" {
					return Peer{}, errNotInvited
				}
				return Peer{}, nil
			},
		})
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { _ = h.Close() })
		hosts = append(hosts, h)
	}
	return hosts[0], e, hosts[1].stack.id
}

// saying is an incoming link on which the peer has opened a stream and says b.
func saying(t *testing.T, h *Host, id peer.ID, b []byte) (*link, *stream) {
	t.Helper()
	raw := newRawConn(toldSocket{}, h.clock, h.t.Stall)
	l := h.newLink(toldConn{id: id}, raw, true)
	if !h.keepLink(l) {
		t.Fatal("the host is closed")
	}
	return l, &stream{MuxedStream: told{in: bytes.NewReader(b)}, scope: toldScope{}, raw: raw}
}

func framesOf(f *testing.F, all ...wire.Message) []byte {
	var b bytes.Buffer
	for _, m := range all {
		if err := wire.WriteMessage(&b, m); err != nil {
			f.Fatal(err)
		}
	}
	return b.Bytes()
}

// FuzzHandshake: whatever a peer with a proven identity says on the stream that strangers have for
// it, nothing of it reaches the node unless its first word was a hello that is admitted and its second
// a Ready; and what came up goes down, once and last.
func FuzzHandshake(f *testing.F) {
	member := wire.Hello{Version: 1, Cert: []byte("member"), Port: 1, Boot: 1, Seq: 1}
	stranger := member
	stranger.Cert = []byte("forged")
	f.Add(framesOf(f, member, wire.Ready{}, wire.Synced{}, wire.Flags{Egress: true}))
	f.Add(framesOf(f, member, wire.Ready{}, member))
	f.Add(framesOf(f, member, wire.NewGoodbye(wire.CodeNotAdmitted, "no")))
	f.Add(framesOf(f, member, wire.Synced{}))
	f.Add(framesOf(f, stranger, wire.Ready{}, wire.Synced{}))
	f.Add(framesOf(f, wire.Ready{}, member))
	f.Add(framesOf(f, wire.Synced{}, wire.Synced{}))
	h, heard, id := listening(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		l, st := saying(t, h, id, b)
		l.acceptMesh(st)
		l.close()
		events := heard.take()
		if len(events) == 0 {
			return
		}
		if n := len(events); events[0] != "up" || events[n-1] != "down" || strings.Count(strings.Join(events, " "), "up") != 1 {
			t.Fatalf("the node heard %q", events)
		}
		r := bufio.NewReader(bytes.NewReader(b))
		first, err := wire.ReadMessage(r)
		if m, ok := first.(wire.Hello); err != nil || !ok || string(m.Cert) != "member" {
			t.Fatalf("a session began with %v, %v", first, err)
		}
		if second, err := wire.ReadMessage(r); err != nil || second.Kind() != wire.KindReady {
			t.Fatalf("a session began without a Ready: %v, %v", second, err)
		}
	})
}

// FuzzEnrolStream: a stranger's request reaches the node as it was sent, within its limit, or not at
// all; and there is one for each connection.
func FuzzEnrolStream(f *testing.F) {
	for _, request := range [][]byte{[]byte("a request"), bytes.Repeat([]byte("x"), 5000)} {
		var b bytes.Buffer
		if err := wire.WriteEnrolRequest(&b, request); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		f.Add(append(b.Bytes(), b.Bytes()...))
	}
	h, heard, id := listening(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		l, st := saying(t, h, id, b)
		l.acceptEnrol(st)
		l.acceptEnrol(st)
		l.close()
		events := heard.take()
		_, err := wire.ReadEnrolRequest(bytes.NewReader(b))
		if want := err == nil; want != (len(events) == 1) {
			t.Fatalf("the node heard %q of a request that is read with %v", events, err)
		}
	})
}

// FuzzAddresses: what is dialled is a literal address and an identity with an Ed25519 key, each in its
// one spelling. Names, zones and other keys are none.
func FuzzAddresses(f *testing.F) {
	for _, s := range []string{"10.0.0.1:7070", "[fe80::1%eth0]:1", "[::ffff:10.0.0.1]:80", "localhost:80", ":80"} {
		f.Add(s, "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN")
	}
	f.Add("", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
	f.Fuzz(func(t *testing.T, addr, id string) {
		if ap, err := parseAddr(addr); err == nil {
			if again, err := netip.ParseAddrPort(ap.String()); err != nil || again != ap || ap.Addr().Is4In6() || ap.Addr().Zone() != "" {
				t.Fatalf("%q is dialled as %s", addr, ap)
			}
		} else if !errors.Is(err, ErrAddress) {
			t.Fatal(err)
		}
		if p, err := parseID(id); err == nil && (p.String() != id || p.Validate() != nil) {
			t.Fatalf("%q is taken for %s", id, p)
		}
	})
}

// FuzzFound: anybody in the subnet may announce anything. What is taken of it are literal addresses,
// and no more than a few.
func FuzzFound(f *testing.F) {
	id := PeerID(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))
	for _, s := range []string{"/ip4/10.0.0.1/tcp/7070", "/dns4/evil.example/tcp/80", "/ip6/fe80::1/tcp/1", "/ip6zone/x/ip6/fe80::1/tcp/1", "/ip4/10.0.0.1/tcp/0", ""} {
		f.Add(mdnsAddr + s + "/p2p/" + id)
		f.Add(mdnsAddr + s + "\n" + s + "/p2p/" + id)
	}
	f.Fuzz(func(t *testing.T, announced string) {
		text, n := strings.Split(announced, "\n"), 0
		d := &discovery{h: &Host{stack: &stack{}}, found: func(id, addr string) {
			n++
			if ap, err := netip.ParseAddrPort(addr); err != nil || ap.Port() == 0 || ap.String() != addr || id == "" {
				t.Fatalf("%q was taken, of %q", addr, id)
			}
		}}
		d.heard(text)
		if n > min(len(text), maxFoundAddrs) {
			t.Fatalf("%d addresses of %d were taken", n, len(text))
		}
	})
}
