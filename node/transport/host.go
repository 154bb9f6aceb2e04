package transport

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lptransport "github.com/libp2p/go-libp2p/core/transport"

	"patchmesh/swarm/wire"
)

// Host is this machine in the mesh. All methods are safe for concurrent use.
type Host struct {
	cfg   Config
	t     Timing
	log   *slog.Logger
	stack *stack
	id    string
	boot  uint64 // names this run, in hellos
	clock *clock
	door  *door

	farewells *farewells

	ln   lptransport.GatedMaListener
	addr string
	port int

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	bytesIn, bytesOut atomic.Int64
	visits            atomic.Int32  // under way
	dataAfter         int64         // see dataAfterBytes
	dataRetry         time.Duration // see dataRetry
	dataAgain         time.Duration // see dataRetry

	mu     sync.Mutex
	closed bool
	seq    uint64
	peers  map[string]*peerState
	links  map[*link]struct{}

	recent recent

	refMu   sync.Mutex
	refs    map[uint64]*waitingAsk
	nextRef uint64
}

// New opens the port and starts to accept peers. ErrAddrInUse if another program has it.
func New(cfg Config) (*Host, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	var boot [8]byte
	if _, err := rand.Read(boot[:]); err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	h := &Host{
		cfg: cfg, t: cfg.Timing.withDefaults(), log: cfg.Log, boot: binary.BigEndian.Uint64(boot[:]),
		clock: &clock{start: time.Now()}, dataAfter: dataAfterBytes, dataRetry: dataRetry, dataAgain: dataAgain,
		peers: map[string]*peerState{}, links: map[*link]struct{}{}, refs: map[uint64]*waitingAsk{},
	}
	var err error
	h.farewells = &farewells{clock: h.clock, text: cfg.Farewell, given: map[string]farewell{}}
	if h.stack, err = newStack(&cfg, h.t, h.farewells); err != nil {
		return nil, err
	}
	h.id = h.stack.id.String()
	h.door = newDoor(h.clock, h.t.Hello)
	if err := h.listen(cfg.Listen); err != nil {
		_ = h.stack.rcmgr.Close()
		return nil, err
	}
	if ap, err := netip.ParseAddrPort(h.addr); err == nil {
		h.port = int(ap.Port())
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.wg.Go(h.acceptLoop)
	h.wg.Go(h.keeper)
	return h, nil
}

// ID is this machine's peer ID.
func (h *Host) ID() string { return h.id }

// ListenAddr is "ip:port" of the open port.
func (h *Host) ListenAddr() string { return h.addr }

// Peers are the ends of all sessions, ordered by ID.
func (h *Host) Peers() []Peer {
	sessions := h.sessions()
	out := make([]Peer, 0, len(sessions))
	for _, s := range sessions {
		p := s.peer
		p.BytesIn, p.BytesOut = s.bytesIn.Load(), s.bytesOut.Load()
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Version is that of a peer's hello; 0 without a session.
func (h *Host) Version(id string) int {
	if s := h.sessionOf(id); s != nil {
		return s.peer.Version
	}
	return 0
}

// Traffic is the bytes of chunks moved since the start, over all sessions.
func (h *Host) Traffic() (in, out int64) { return h.bytesIn.Load(), h.bytesOut.Load() }

func (h *Host) sessions() []*session {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*session, 0, len(h.peers))
	for id := range h.peers {
		if s := h.sessionLocked(id); s != nil {
			out = append(out, s)
		}
	}
	return out
}

// Close says goodbye to all peers, ends everything and waits for it: when it returns, no goroutine
// of the host is left and PeerDown was called for every session.
func (h *Host) Close() error {
	h.mu.Lock()
	already := h.closed
	h.closed = true
	h.mu.Unlock()
	if already {
		h.wg.Wait()
		return nil
	}
	err := h.ln.Close()
	bye := wire.NewGoodbye(wire.CodeClosing, "stopping")
	h.mu.Lock()
	var over []*session
	for _, p := range h.peers {
		if p.session != nil {
			over = append(over, p.session)
		}
	}
	h.mu.Unlock()
	for _, s := range over {
		s.shut(ErrClosed, &bye)
	}
	h.cancel()
	h.mu.Lock()
	var rest []*link
	for l := range h.links {
		if l.member() == nil {
			rest = append(rest, l)
		}
	}
	h.mu.Unlock()
	for _, l := range rest {
		l.close()
	}
	h.wg.Wait()
	if rerr := h.stack.rcmgr.Close(); err == nil {
		err = rerr
	}
	return err
}

// keepLink remembers a link so that Close ends it; false when Close has begun.
func (h *Host) keepLink(l *link) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.links[l] = struct{}{}
	return true
}

func (h *Host) forgetLink(l *link) {
	h.mu.Lock()
	delete(h.links, l)
	h.mu.Unlock()
}

// spawn runs f; Close waits for it. Only for callers that Close waits for too, or that hold mu and
// have seen that the host is open.
func (h *Host) spawn(f func()) { h.wg.Go(f) }

// spawnAlways is spawn for callers from outside, at any time.
func (h *Host) spawnAlways(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		go f() // Close is waiting for everybody else; f is short
		return
	}
	h.wg.Go(f)
}

// keeper looks at seats, silence and pings. One goroutine for all sessions.
func (h *Host) keeper() {
	t := time.NewTicker(h.t.Tick)
	defer t.Stop()
	last := h.clock.now()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-t.C:
		}
		now := h.clock.now()
		h.door.expire()
		h.recent.expire(now)
		expireSpares(time.Now())
		// After a pause of this whole program the peers look silent though it was us who did not
		// read: give the readers a round first.
		if now-last < 2*h.t.Tick+time.Second {
			for _, s := range h.sessions() {
				s.keep(now)
			}
		}
		last = now
	}
}
