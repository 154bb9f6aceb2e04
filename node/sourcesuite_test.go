package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/node/api"
	"patchmesh/node/origin"
	"patchmesh/node/state"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/rate"
	"patchmesh/swarm/wire"
)

// The suite that every source of chunks passes: whoever gives a chunk, and however badly, the core hears of
// it exactly once, with the class that says what to do, and nothing is stored that was not verified.

// manner is how a source behaves for one chunk.
type manner int

const (
	honest manner = iota
	wrongBytes
	otherChunk
	tooShort
	absent
	refusing
	breaksOff
	silent
)

// chunkSource is one kind of source under test: the other end, and how the driver asks it.
type chunkSource struct {
	name string
	tier string // on which its bytes count
	// open starts the other end and gives the action that asks it for a chunk.
	open func(t *testing.T, w *sourceWorld) func(req swarm.Req, index int) swarm.Action
}

// sourceWorld is a driver without a core, and the payload.
type sourceWorld struct {
	n      *Node
	m      *content.PayloadMap
	plain  []byte
	stored *disk.Store // at the other end
	manner manner
	hold   chan struct{} // closed at the end: what silent sources wait for
}

func TestEverySourceOfChunks(t *testing.T) {
	for _, s := range []chunkSource{{"peer", api.TierSubnet, openPeerSource("s", false)}, {"seed", api.TierSeed, openPeerSource("hq", true)}, {"neighbour site", api.TierNeighbour, openPeerSource("next", false)}, {"web host", api.TierOrigin, openWebSource}} {
		t.Run(s.name, func(t *testing.T) {
			for _, c := range []struct {
				name   string
				manner manner
				want   []swarm.Class // any of; none: stored
				reason policy.Reason // empty: any
			}{
				{"gives it", honest, nil, ""},
				{"wrong bytes", wrongBytes, []swarm.Class{swarm.Refuse}, policy.ReasonTrustBadChunk},
				{"another chunk", otherChunk, []swarm.Class{swarm.Refuse}, policy.ReasonTrustBadChunk},
				{"less than it", tooShort, []swarm.Class{swarm.Retry, swarm.Absent}, ""},
				{"does not have it", absent, []swarm.Class{swarm.Absent}, ""},
				{"does not give it", refusing, []swarm.Class{swarm.Absent}, ""},
				{"breaks off", breaksOff, []swarm.Class{swarm.Retry}, policy.ReasonNetTimeout},
				{"falls silent", silent, []swarm.Class{swarm.Retry}, policy.ReasonNetTimeout},
			} {
				t.Run(c.name, func(t *testing.T) { oneManner(t, s, c.manner, c.want, c.reason) })
			}
			t.Run("withdrawn", func(t *testing.T) { withdrawn(t, s) })
		})
	}
}

func oneManner(t *testing.T, s chunkSource, how manner, want []swarm.Class, reason policy.Reason) {
	w := newSourceWorld(t)
	w.manner = how
	ask := s.open(t, w)
	for i, index := range []int{0, 3, 3} { // a compressed one, the short last one, and that once more
		req := swarm.Req(i + 1)
		if err := w.n.do(context.Background(), ask(req, index)); err != nil {
			t.Fatal(err)
		}
		ev := w.next(t)
		if want == nil {
			got, ok := ev.(swarm.ChunkStored)
			if !ok || got.Req != req || got.Bytes != int64(w.m.Chunks[index].StoredBytes) || got.Fresh != (i < 2) {
				t.Fatalf("chunk %d: %+v", index, ev)
			}
			w.same(t, index)
			continue
		}
		got, ok := ev.(swarm.Failed)
		known := false
		for _, class := range want {
			known = known || got.Class == class
		}
		known = known || i > 0 && got.Class == swarm.Retry && reason == policy.ReasonTrustBadChunk // not read any more: it was caught
		if !ok || got.Req != req || !known || (reason != "" && got.Reason != reason) {
			t.Fatalf("chunk %d: %+v, want class %v for %s", index, ev, want, reason)
		}
		if have, err := w.n.store.Have(w.m.ID()); err != nil || have.Count() != 0 {
			t.Fatalf("something was stored: %v, %v", have, err)
		}
		if how == silent || how == breaksOff {
			break // the other end is gone or takes its time: once will do
		}
	}
	w.quiet(t)
	if sh, err := w.n.ledger.shares(w.m.ID(), w.n.store); want == nil && (err != nil || len(sh.sources) != 1 || sh.sources[0].Tier != s.tier) {
		t.Errorf("the books say %+v, %v; want tier %s", sh.sources, err, s.tier)
	}
}

// withdrawn: a request that is taken back ends once, whatever is on its way.
func withdrawn(t *testing.T, s chunkSource) {
	w := newSourceWorld(t)
	w.manner = silent
	ask := s.open(t, w)
	for _, act := range []swarm.Action{ask(1, 0), swarm.CancelFetch{Req: 1}, swarm.CancelFetch{Req: 1}} {
		if err := w.n.do(context.Background(), act); err != nil {
			t.Fatal(err)
		}
	}
	if f, ok := w.next(t).(swarm.Failed); !ok || f.Req != 1 || f.Class != swarm.Retry {
		t.Errorf("%+v", f)
	}
	w.quiet(t)
}

func newSourceWorld(t *testing.T) *sourceWorld {
	t.Helper()
	w := &sourceWorld{hold: make(chan struct{})}
	// The first chunks shrink, the others do not, and the last is short.
	w.plain = append(bytes.Repeat([]byte("patch "), 2*content.MinChunkBytes/6+1)[:2*content.MinChunkBytes], make([]byte, content.MinChunkBytes+12345)...)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(w.plain[2*content.MinChunkBytes:])
	open := func(name string) *disk.Store {
		s, err := disk.Open(filepath.Join(t.TempDir(), name), disk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	w.stored = open("theirs")
	var err error
	if w.m, err = w.stored.Import(bytes.NewReader(w.plain), int64(len(w.plain))); err != nil {
		t.Fatal(err)
	}
	if w.m.Len() != 4 || !w.m.Chunks[0].Compressed() || w.m.Chunks[3].Compressed() {
		t.Fatalf("the payload is not as this test wants it: %+v", w.m.Chunks)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &Node{
		cfg: Config{Now: time.Now}, log: slog.New(slog.DiscardHandler), ctx: ctx, cancel: cancel, store: open("ours"),
		docs: newLibrary(nil), fetches: map[swarm.Req]func(){}, fetchEnded: map[swarm.Req]bool{},
	}
	db, err := state.Open(filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	n.db, n.ledger = db, &ledger{db: db, now: time.Now, name: func(content.ID) string { return "u" }, books: map[content.ID]*book{}, days: map[state.TrafficRow]int64{}}
	n.docs.maps[w.m.ID()] = w.m
	n.events = events{ch: make(chan swarm.Event, 64), done: ctx.Done()}
	n.limits = newLimits(n)
	n.web = newWeb(n)
	n.metrics = newMetrics(n)
	if _, err := n.store.Begin(w.m); err != nil {
		t.Fatal(err)
	}
	w.n = n
	t.Cleanup(func() { cancel(); n.running.Wait() })
	t.Cleanup(func() { close(w.hold) })
	return w
}

func (w *sourceWorld) next(t *testing.T) swarm.Event {
	t.Helper()
	select {
	case ev := <-w.n.events.ch:
		return ev
	case <-time.After(30 * time.Second):
		t.Fatal("the request does not end")
		return nil
	}
}

// quiet: nothing more comes, not even when everything is over.
func (w *sourceWorld) quiet(t *testing.T) {
	t.Helper()
	if w.n.host != nil {
		_ = w.n.host.Close() // it waits for all that runs
	}
	w.n.running.Wait()
	select {
	case ev := <-w.n.events.ch:
		t.Errorf("one more event: %+v", ev)
	default:
	}
}

// same: the chunk in our store is the one in theirs.
func (w *sourceWorld) same(t *testing.T, index int) {
	t.Helper()
	a, b := make([]byte, content.MaxChunkBytes), make([]byte, content.MaxChunkBytes)
	n, err1 := w.n.store.ReadChunk(w.m.ID(), index, a)
	o, err2 := w.stored.ReadChunk(w.m.ID(), index, b)
	if err1 != nil || err2 != nil || !bytes.Equal(a[:n], b[:o]) {
		t.Fatalf("chunk %d: %v, %v", index, err1, err2)
	}
}

// spoil is what a dishonest source sends for a chunk of n bytes.
func (w *sourceWorld) spoil(buf []byte) {
	if w.manner == wrongBytes {
		buf[len(buf)/2] ^= 1
	}
	if w.manner == otherChunk {
		copy(buf, w.plain[2*content.MinChunkBytes:])
	}
}

// peerSource answers asks for chunks as the world wants it.
type peerSource struct {
	w    *sourceWorld
	host *transport.Host
	up   chan struct{}
}

func openPeerSource(site string, seed bool) func(*testing.T, *sourceWorld) func(swarm.Req, int) swarm.Action {
	return func(t *testing.T, w *sourceWorld) func(swarm.Req, int) swarm.Action {
		other := &peerSource{w: w, up: make(chan struct{}, 2)}
		other.host = sourceHost(t, other, "s", false)
		w.n.host = sourceHost(t, &peerSource{w: w, up: other.up}, site, seed)
		if _, err := w.n.host.Connect(context.Background(), other.host.ID(), other.host.ListenAddr()); err != nil {
			t.Fatal(err)
		}
		<-other.up
		<-other.up
		from, id := swarm.PeerID(other.host.ID()), w.m.ID()
		return func(req swarm.Req, index int) swarm.Action {
			if site != "s" {
				return swarm.FetchOrigin{Req: req, From: from, Payload: id, Index: index}
			}
			return swarm.FetchChunk{Req: req, From: from, Payload: id, Index: index}
		}
	}
}

// sourceHost has sessions with peers that it takes for machines of a site, or for seeds there.
func sourceHost(t *testing.T, p *peerSource, site string, seed bool) *transport.Host {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := transport.New(transport.Config{
		Key: key, Listen: "127.0.0.1:0", Handler: p, Timing: transport.Timing{FetchSilent: 500 * time.Millisecond, Tick: 100 * time.Millisecond},
		Hello: func() wire.Hello { return wire.Hello{Version: 1, Cert: []byte("c")} },
		Admit: func(string, wire.Hello) (transport.Peer, error) { return transport.Peer{Site: site, Seed: seed}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func (p *peerSource) PeerUp(q transport.Peer) {
	p.w.n.contacts.met(q, "s", time.Now())
	p.up <- struct{}{}
}
func (*peerSource) PeerDown(string, error)                      {}
func (*peerSource) Message(string, wire.Message)                {}
func (*peerSource) ChunkCancelled(string, uint64)               {}
func (*peerSource) DocAsked(string, wire.DocAsk) ([]byte, bool) { return nil, false }
func (*peerSource) GossipStream(_ string, c net.Conn)           { _ = c.Close() }
func (*peerSource) Enrol(context.Context, string, string, []byte) ([]byte, error) {
	return nil, errors.New("no")
}

func (p *peerSource) ChunkAsked(from string, ref uint64, id content.ID, index int) {
	w := p.w
	size := int(w.m.Chunks[index].StoredBytes)
	switch w.manner {
	case absent:
		p.host.RefuseChunk(ref, wire.StatusNotFound)
		return
	case refusing:
		p.host.RefuseChunk(ref, wire.StatusRefused)
		return
	case breaksOff:
		p.host.Disconnect(from, nil)
		return
	case silent:
		return
	case tooShort:
		size--
	}
	p.host.SendChunk(ref, size, func(buf []byte) (int, error) {
		full := make([]byte, content.MaxChunkBytes)
		if _, err := w.stored.ReadChunk(id, index, full); err != nil {
			return 0, err
		}
		copy(buf, full)
		w.spoil(buf)
		return len(buf), nil
	}, func(error) {})
}

func openWebSource(t *testing.T, w *sourceWorld) func(swarm.Req, int) swarm.Action {
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, q *http.Request) { w.answerWeb(out, q) }))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	w.n.web.ranged = origin.NewRanged(origin.Config{Window: 300 * time.Millisecond, Wait: time.Second}, w.n.limits.pace[rate.WAN][rate.Down])
	w.n.web.learn(&policy.Descriptor{Payload: w.m.ID(), PlainBytes: w.m.PlainBytes, Origins: []string{s.URL + "/gone", s.URL + "/pool/x.deb"}})
	id := w.m.ID()
	return func(req swarm.Req, index int) swarm.Action {
		return swarm.FetchOrigin{Req: req, Payload: id, Index: index, Mirror: 1}
	}
}

// answerWeb is a vendor's web host in one of the manners.
func (w *sourceWorld) answerWeb(out http.ResponseWriter, q *http.Request) {
	var a, b int
	if _, err := fmt.Sscanf(q.Header.Get("Range"), "bytes=%d-%d", &a, &b); err != nil || q.URL.Path != "/pool/x.deb" {
		http.NotFound(out, q)
		return
	}
	body := bytes.Clone(w.plain[a : b+1])
	switch w.manner {
	case absent:
		http.NotFound(out, q)
		return
	case refusing:
		out.WriteHeader(http.StatusForbidden)
		return
	case breaksOff, silent, tooShort:
		out.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	w.spoil(body)
	out.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", a, b, len(w.plain)))
	out.WriteHeader(http.StatusPartialContent)
	switch w.manner {
	case tooShort:
		_, _ = out.Write(body[:len(body)-1])
	case breaksOff:
		_, _ = out.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	case silent:
		out.(http.Flusher).Flush()
		select {
		case <-w.hold:
		case <-q.Context().Done():
		}
	default:
		_, _ = out.Write(body)
	}
}
