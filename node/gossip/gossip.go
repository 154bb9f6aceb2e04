package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"patchmesh/swarm/wire"
)

// Limits.
const (
	maxMeta    = 512  // memberlist.MetaMaxSize
	maxRumour  = 1200 // fits one packet with label, encryption and compound headers
	queueItems = 256
)

// ErrTooLarge: a rumour that would never be sent.
var ErrTooLarge = errors.New("does not fit one gossip packet")

// Config is what Start needs.
type Config struct {
	Self   string // peer ID of this node
	Listen string // ip:port, UDP
	Org    string
	Site   string
	Key    []byte // 32 bytes; SetKeys changes it later
	// MayReach judges every address that a packet is about to go to: members name addresses for each
	// other, and even ask for probes of third ones. Nil allows all.
	MayReach func(addr netip.AddrPort) error
	// Dial opens a stream to a member through the authenticated transport.
	Dial func(ctx context.Context, peerID, addr string) (net.Conn, error)
	// Meta is what this node shows, at most 512 bytes; CheckMeta judges what others show.
	Meta      func() []byte
	CheckMeta func(peerID, addr string, meta []byte) error
	// The callbacks run on one goroutine of this package, in order.
	MemberUp   func(peerID, addr string, meta []byte)
	MemberDown func(peerID string)
	Heard      func(timestamp []byte)
	Head       func() []byte // for push and pull; nil: none
	Log        *slog.Logger

	GossipInterval time.Duration // zero: memberlist's 200 ms
	ProbeInterval  time.Duration // zero: 1 s
}

// Member is one live member.
type Member struct{ ID, Addr string }

// Gossip is one running membership.
type Gossip struct {
	cfg    Config
	list   *memberlist.Memberlist
	ring   *memberlist.Keyring
	ringMu sync.Mutex
	trans  *packets
	alive  table
	queue  *memberlist.TransmitLimitedQueue
	heard  chan func()
	done   chan struct{}
	worker sync.WaitGroup

	closing sync.Once
}

// Start listens and gossips until Close.
func Start(cfg Config) (*Gossip, error) {
	if len(cfg.Key) != 32 {
		return nil, fmt.Errorf("gossip key of %d bytes, want 32", len(cfg.Key))
	}
	if m := cfg.Meta(); len(m) > maxMeta {
		return nil, fmt.Errorf("member metadata of %d bytes: %w", len(m), ErrTooLarge)
	}
	t, err := listen(cfg)
	if err != nil {
		return nil, err
	}
	g := &Gossip{cfg: cfg, trans: t, heard: make(chan func(), queueItems), done: make(chan struct{})}
	g.queue = &memberlist.TransmitLimitedQueue{NumNodes: g.members, RetransmitMult: 4}
	if g.ring, err = memberlist.NewKeyring(nil, cfg.Key); err != nil {
		_ = t.Shutdown()
		return nil, fmt.Errorf("gossip key: %w", err)
	}
	g.list, err = memberlist.Create(g.settings())
	if err != nil {
		_ = t.Shutdown()
		return nil, fmt.Errorf("start gossip: %w", err)
	}
	g.worker.Add(1)
	go g.deliver()
	return g, nil
}

// settings are memberlist's, for a site: LAN timings with node names that are identities.
func (g *Gossip) settings() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = g.cfg.Self
	c.RequireNodeNames = true
	c.Label = label(g.cfg.Org, g.cfg.Site)
	c.Keyring = g.ring
	c.GossipVerifyIncoming, c.GossipVerifyOutgoing = true, true
	c.Transport = g.trans
	c.Delegate, c.Events, c.Alive, c.Merge = delegate{g}, events{g}, checks{g}, checks{g}
	c.DisableTcpPings = true
	c.DeadNodeReclaimTime = 2 * time.Second // a machine that comes back under another address is itself again
	c.EnableCompression = false             // rumours are small and signed bytes do not shrink
	c.Logger = log.New(logWriter{g.cfg.Log}, "", 0)
	if g.cfg.GossipInterval > 0 {
		c.GossipInterval = g.cfg.GossipInterval
	}
	if g.cfg.ProbeInterval > 0 {
		c.ProbeInterval = g.cfg.ProbeInterval
	}
	return c
}

// label tells organisations and sites apart before anything is decrypted. It is bounded by
// memberlist to 255 bytes; both names are shorter by their own rules.
func label(org, site string) string { return "patchmesh/" + org + "/" + site }

func (g *Gossip) members() int {
	if g.list == nil {
		return 1
	}
	return g.list.NumMembers()
}

// Size is how many members there are, this node included, as far as it knows.
func (g *Gossip) Size() int { return g.members() }

// Join makes contact with members given as "peerID/ip:port" and says how many answered. It may be
// called again at any time.
func (g *Gossip) Join(peers []string) (int, error) { return g.list.Join(peers) }

// Accept takes a stream that a member opened over the transport.
func (g *Gossip) Accept(_ string, c net.Conn) { g.trans.accept(c) }

// Announce spreads a head as rumour. ErrTooLarge if it would never leave.
func (g *Gossip) Announce(timestamp []byte) error {
	b, err := wire.EncodeRumour(wire.Rumour{Site: g.cfg.Site, Timestamp: timestamp})
	if err != nil {
		return fmt.Errorf("rumour: %w", err)
	}
	if len(b) > maxRumour {
		return fmt.Errorf("rumour of %d bytes: %w", len(b), ErrTooLarge)
	}
	g.queue.QueueBroadcast(rumour{b})
	return nil
}

// Members lists who is alive, this node aside.
func (g *Gossip) Members() []Member { return g.alive.list() }

// Has says whether a member is alive, as far as is known here.
func (g *Gossip) Has(id string) bool {
	_, ok := g.alive.find(id)
	return ok
}

// Leave tells the others, waiting no longer than d.
func (g *Gossip) Leave(d time.Duration) {
	if err := g.list.Leave(d); err != nil {
		g.cfg.Log.Debug("left gossip without saying so", "err", err)
	}
}

// Close ends everything. It may be called again.
func (g *Gossip) Close() error {
	var err error
	g.closing.Do(func() {
		err = g.list.Shutdown()
		close(g.done)
		g.worker.Wait()
	})
	return err
}

// deliver runs the callbacks, so that memberlist's goroutines never wait for anybody.
func (g *Gossip) deliver() {
	defer g.worker.Done()
	for {
		select {
		case f := <-g.heard:
			f()
		case <-g.done:
			return
		}
	}
}

// later queues a callback; what does not fit is dropped and comes again with push and pull.
func (g *Gossip) later(f func()) {
	select {
	case g.heard <- f:
	default:
	}
}

func addrOf(n *memberlist.Node) string {
	return net.JoinHostPort(n.Addr.String(), strconv.Itoa(int(n.Port)))
}

// rumour is one broadcast: a newer head replaces an older one in the queue.
type rumour struct{ b []byte }

func (rumour) Invalidates(memberlist.Broadcast) bool { return true }
func (r rumour) Message() []byte                     { return r.b }
func (rumour) Finished()                             {}

// logWriter turns memberlist's log lines into debug records: they tell of every lost packet.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	if w.log != nil {
		w.log.Debug("gossip", "line", string(p[:min(len(p), 500)]))
	}
	return len(p), nil
}

var _ io.Writer = logWriter{}
