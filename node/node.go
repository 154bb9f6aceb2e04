package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"patchmesh/content/disk"
	"patchmesh/node/api"
	"patchmesh/node/control"
	"patchmesh/node/enrol"
	"patchmesh/node/gossip"
	"patchmesh/node/install"
	"patchmesh/node/state"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// Node is one running node.
type Node struct {
	cfg     Config
	log     *slog.Logger
	ctx     context.Context // ends when the node stops
	cancel  context.CancelFunc
	ready   chan struct{} // closed once every part is built
	started time.Time

	// Set once before anything runs, then read only.
	dir       *folder
	id        string
	key       ed25519.PrivateKey
	member    membership
	people    people
	stock     stockroom
	restarts  restarts
	db        *state.DB
	store     *disk.Store
	owed      publishing
	copying   earlyCopy
	copies    *install.Early // of the apply role in this process; nil: it has none
	looks     looks
	docs      *library
	believer  *believer
	seed      *seed // nil on an ordinary machine
	host      *transport.Host
	gossip    *gossip.Gossip // nil without a key
	connector *connector
	links     *links
	adjacents *adjacents
	limits    *limits
	role      ownRole
	sources   []string // see sourceNames
	web       *web
	mule      *mule
	metrics   *metrics
	renewal   *renewal
	errands   *errands
	asking    asking
	events    events
	reach     atomic.Pointer[reach] // what may be dialled
	foreign   foreigners            // peers of other sites that knocked lately
	locked    atomic.Pointer[lockout]
	alarmed   alarmbook

	outsideNoted atomic.Bool
	handingOver  atomic.Bool // another version takes this one's place
	budgetSet    atomic.Bool
	leftOut      atomic.Int64                 // updates that the last report had no room for
	unreadable   atomic.Pointer[swarm.PeerID] // see tellUnreadable
	gossipKeys   gossipKeys
	roots        rootChase
	joining      atomic.Bool // the first members are being fetched, see gossipMeet

	strangers, relays *enrol.Limiter // of requests to join or renew
	orders            orders         // the apply role

	keeper   storekeeper
	ledger   *ledger
	receipts *receipts
	diary    diary
	contacts contacts
	names    payloadNames

	core  *swarm.Core // owned by the loop
	saved savedForm   // too

	view    atomic.Pointer[swarm.View]
	trouble atomic.Pointer[trouble]
	running sync.WaitGroup // requests under way

	fetchMu    sync.Mutex
	fetches    map[swarm.Req]func() // how to withdraw a fetch
	fetchEnded map[swarm.Req]bool   // ended before its way was known

	refusalMu sync.Mutex
	refusals  []api.Refusal
}

// Open opens the data folder and the mesh port. The node does nothing until Run.
func Open(cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, api.Errorf(api.ClassUsage, "%v", err)
	}
	if err := cfg.StandAside(); err != nil {
		return nil, err
	}
	f, err := waitFolder(cfg.DataDir, cfg.Now, 2*time.Second)
	if err != nil {
		return nil, err
	}
	cfg.Now = f.now // never behind what is proven
	n := &Node{
		cfg: cfg, log: cfg.Log, dir: f, id: f.id, key: f.key, member: f.member, db: f.db, store: f.store, docs: f.docs,
		believer: f.believer, seed: f.seed, ready: make(chan struct{}), started: cfg.Now(),
		fetches: map[swarm.Req]func(){}, fetchEnded: map[swarm.Req]bool{},
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.events = events{ch: make(chan swarm.Event, eventQueue), done: n.ctx.Done()}
	if err := n.openStorekeeping(); err != nil {
		f.close()
		return nil, err
	}
	n.connector, n.links, n.limits = newConnector(n), &links{n: n}, newLimits(n)
	n.web, n.mule, n.adjacents = newWeb(n), newMule(n), newAdjacents(n)
	n.metrics = newMetrics(n)
	n.renewReach()
	n.errands = n.newErrands()
	n.limitEnrolment()
	if err = errors.Join(n.openPeople(), n.openStock()); err == nil {
		n.renewal, err = newRenewal(n)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	n.limits.look()
	n.limits.apply(cfg.Now())
	n.tuneStore()
	n.openApply()
	if n.host, err = n.openHost(); err != nil {
		f.close()
		return nil, err
	}
	if n.core, err = n.newCore(); err != nil {
		_ = n.host.Close()
		f.close()
		return nil, err
	}
	n.publishView()
	return n, nil
}

func (n *Node) openHost() (*transport.Host, error) {
	h, err := transport.New(transport.Config{
		Key: n.key, Listen: n.cfg.Listen, Hello: n.hello, Admit: n.admit, Handler: sessions{n}, Log: n.log,
		Allow: n.allowed, Farewell: n.farewell, MayDial: n.mayDial, Pacing: n.pacing(),
		Visiting: transport.Visiting{Admit: n.admitVisitor, Serve: n.serveVisitor},
	})
	switch {
	case errors.Is(err, transport.ErrAddrInUse):
		return nil, api.Errorf(api.ClassFailed, "the mesh port %s is in use", n.cfg.Listen).WithHint("another program listens there; choose another one with --listen IP:PORT")
	case err != nil:
		return nil, fmt.Errorf("open the mesh port: %w", err)
	}
	return h, nil
}

func (n *Node) newCore() (*swarm.Core, error) {
	last, err := lastSaved(n.db)
	if err != nil {
		return nil, fmt.Errorf("saved state: %w", err)
	}
	cfg := swarm.DefaultConfig()
	order, err := n.cfg.sources()
	if err != nil {
		return nil, err
	}
	cfg.Sources, n.sources = order, n.sourceNames(order)
	n.cfg.Gates.apply(&cfg)
	return swarm.New(cfg, swarm.Self{
		Peer: swarm.PeerID(n.id), Site: swarm.SiteID(n.member.Site), Seed: n.seed != nil, Egress: n.mayEgress(), Cache: n.cfg.Cache, Machine: n.machineFacts(),
	}, last, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), n.cfg.Now())
}

// Run works until ctx ends. Everything that was acknowledged is durable at any moment; Run's end only
// tidies up.
func (n *Node) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, n.cancel)()
	defer n.stop()
	if err := os.RemoveAll(filepath.Join(n.cfg.DataDir, "work")); err != nil { // always safe to delete
		return fmt.Errorf("clear work folder: %w", err)
	}
	n.rememberRun()
	n.reportInterrupted()
	if err := n.openGossip(); err != nil {
		return err
	}
	if err := n.serveMetrics(n.ctx); err != nil {
		return err
	}
	if err := n.serveConsole(n.ctx); err != nil {
		return err
	}
	if err := n.prepareSeed(); err != nil {
		return err
	}
	close(n.ready)
	n.begin(n.ctx)
	n.record(state.EventRow{Kind: api.EventStarted, Detail: "patchmesh " + n.cfg.Version})
	n.log.Info("running", "id", n.id, "name", n.member.Name, "site", n.member.Site, "seed", n.seed != nil, "listen", n.host.ListenAddr(), "epoch", n.believer.current().Epoch())
	if err := n.loop(n.ctx); err != nil || !n.handingOver.Load() {
		return err
	}
	return ErrHandover
}

// begin starts everything that runs beside the loop.
func (n *Node) begin(ctx context.Context) {
	n.work(func() { n.connector.run(ctx) })
	n.work(func() { n.links.run(ctx) })
	n.work(func() { n.limits.run(ctx) })
	n.work(func() { n.watchConditions(ctx) })
	n.work(func() { n.rejoin(ctx) })
	n.work(func() { n.keepAdmission(ctx) })
	n.work(func() { n.renewal.run(ctx) })
	n.work(func() { n.believer.keepTime(ctx, n.log) })
	n.work(func() { n.serveControl(ctx) })
	n.work(func() { n.watchLocal(ctx) })
	n.work(func() { n.watchStock(ctx) })
	n.work(func() { n.watchRestarts(ctx) })
	n.work(func() { n.watchAgent(ctx) })
	n.work(func() { n.keepStore(ctx) })
	n.work(func() { n.mendMaps(ctx) })
	n.work(func() { n.keepReceipts(ctx) })
	if n.seed == nil {
		n.work(func() { n.mule.run(ctx) })
		n.work(func() { n.adjacents.run(ctx) })
	}
	if n.seed != nil {
		n.work(func() { n.freshen(ctx) })
		n.work(func() { n.turnRings(ctx) })
		n.work(func() { n.turnRules(ctx) })
	}
	if n.cfg.MDNS && n.seed == nil {
		n.startMDNS(ctx)
	}
	for _, a := range append(append([]string{}, n.cfg.Peers...), n.member.Peers...) {
		if n.cfg.Egress != EgressNo || !n.isSeedAddr(a) {
			n.connector.add("", a, true)
		}
	}
	n.recallPeers()
	n.work(n.tellCarried)
	if err := n.believer.missing(); err != nil {
		// The core begins without approvals: it asks for those of the mesh, and starts nothing before.
		n.log.Error("trust was damaged on disk; nothing new is installed until the mesh has confirmed it", "lost", err)
	} else if t := n.believer.current(); t.Manifest() != nil {
		n.work(func() { n.events.send(n.manifestEvent(0, t)) })
	}
}

func (n *Node) recallPeers() {
	known, err := n.db.KnownPeers(64)
	if err != nil {
		n.log.Warn("remembered peers not read", "err", err)
		return
	}
	for _, p := range known {
		n.connector.add(p.ID, p.Addr, false)
	}
	if n.seed != nil {
		return
	}
	for _, s := range n.believer.current().Roster().Seeds {
		for _, a := range s.Addrs {
			if n.cfg.Egress != EgressNo || s.Site == n.member.Site {
				n.connector.add(s.Peer, a, false)
			}
		}
	}
}

func (n *Node) stop() {
	n.cancel()
	if n.gossip != nil {
		n.gossip.Leave(500 * time.Millisecond)
		_ = n.gossip.Close()
	}
	_ = n.host.Close()
	n.owed.stop()
	n.store.Interrupt()
	n.running.Wait()
	n.flushLedger() // chunks came and went until the port was closed
	n.dir.close()
}

// serveControl offers the local socket. Without it the node still works, so it only complains.
func (n *Node) serveControl(ctx context.Context) {
	if err := control.Serve(ctx, n.cfg.localAPI(n)); err != nil && ctx.Err() == nil {
		n.log.Error("the local socket does not work: 'patchmesh status' cannot reach this node", "err", err)
	}
}

func (n *Node) startMDNS(ctx context.Context) {
	found := func(id, addr string) {
		if n.cfg.Egress != EgressNo || !n.isSeed(id) {
			n.connector.add(id, addr, false)
		}
	}
	m, err := n.host.StartMDNS(found, func() int {
		if n.gossip == nil {
			return 0 // its neighbours name nobody to it
		}
		_, _, neighbours := n.sessionsNow()
		return neighbours
	})
	if err != nil {
		n.log.Info("no discovery by mDNS", "err", err)
		return
	}
	n.work(func() {
		<-ctx.Done()
		_ = m.Close()
	})
}

// freshen renews the online signatures long before they expire, and the roster when the seed's
// addresses change.
func (n *Node) freshen(ctx context.Context) {
	t := time.NewTicker(10 * time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := n.seed.readyGossip(""); err != nil {
			n.log.Error("the gossip keys were not renewed", "err", err)
		}
		if err := n.seed.retireEnrolKeys(); err != nil {
			n.log.Error("an enrolment key that has served was not taken out of the roster", "err", err)
		}
		cur := n.believer.current()
		if cur.ExpiresAt().Sub(n.cfg.Now()) > n.seed.life()-min(24*time.Hour, n.seed.life()/4) {
			continue
		}
		if err := n.seed.renew(nil); err != nil {
			n.log.Error("the approvals' freshness was not renewed", "err", err, "expires", cur.ExpiresAt())
		}
	}
}

// prepareSeed tells machines where this seed is, if that has changed, and hears of own publications.
func (n *Node) prepareSeed() error {
	if n.seed == nil {
		return nil
	}
	n.seed.connected = n.connected
	n.seed.published = func(t *policy.Trust) {
		n.trustChanged(t)
		n.events.send(n.manifestEvent(0, t))
	}
	if n.believer.missing() != nil {
		if n.seed.whole() != nil {
			return nil // the machines of the mesh have what this seed has lost, and will bring it
		}
		// Its documents are whole, and nobody else could sign a newer head: so this seed does.
		if err := n.seed.renew(nil); err != nil {
			return err
		}
	}
	if n.renewal.due() { // before anybody is shown a certificate that has lapsed
		if err := n.renewal.renewSeed(); err != nil {
			return fmt.Errorf("renew the seed's own membership: %w", err)
		}
	}
	if err := n.seed.readyGossip(""); err != nil {
		return err
	}
	return n.seed.moved(n.id, ownAddrs(n.host.ListenAddr()))
}

// ownAddrs are the addresses under which others may reach a listener.
func ownAddrs(listen string) []string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
		return []string{listen}
	}
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []string
	for _, a := range nets {
		if ipn, ok := a.(*net.IPNet); ok && !ipn.IP.IsLoopback() && !ipn.IP.IsLinkLocalUnicast() && len(out) < 16 {
			out = append(out, net.JoinHostPort(ipn.IP.String(), port))
		}
	}
	if len(out) == 0 {
		out = append(out, net.JoinHostPort("127.0.0.1", port))
	}
	return out
}
