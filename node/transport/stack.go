package transport

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	lptransport "github.com/libp2p/go-libp2p/core/transport"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
)

// The protocols. Their numbers are the version of the bytes in swarm/wire.
const (
	protoMesh   protocol.ID = "/patchmesh/mesh/1"
	protoChunk  protocol.ID = "/patchmesh/chunk/1"
	protoDoc    protocol.ID = "/patchmesh/doc/1"
	protoEnrol  protocol.ID = "/patchmesh/enrol/1"
	protoGossip protocol.ID = "/patchmesh/gossip/1"
	protoVisit  protocol.ID = "/patchmesh/visit/1"
)

// stack is libp2p as far as it is used: identity, TLS 1.3, yamux and the resource manager.
type stack struct {
	id        peer.ID
	tls       *libp2ptls.Transport
	in        lptransport.Upgrader // of what is accepted: sessions and data connections
	out       lptransport.Upgrader // of sessions
	data      lptransport.Upgrader // of data connections
	rcmgr     network.ResourceManager
	protocols *multistream.MultistreamMuxer[protocol.ID]
}

func newStack(cfg *Config, t Timing, bye *farewells) (*stack, error) {
	key, err := crypto.UnmarshalEd25519PrivateKey(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("identity key: %w", err)
	}
	s := &stack{protocols: multistream.NewMultistreamMuxer[protocol.ID]()}
	if s.id, err = peer.IDFromPrivateKey(key); err != nil {
		return nil, fmt.Errorf("identity key: %w", err)
	}
	for _, p := range []protocol.ID{protoMesh, protoChunk, protoDoc, protoEnrol, protoGossip, protoVisit} {
		s.protocols.AddHandler(p, nil)
	}
	session := upgrader.StreamMuxer{ID: yamux.ID, Muxer: eager{muxer(cfg.Window)}}
	data := upgrader.StreamMuxer{ID: protoData, Muxer: direct{}}
	if s.rcmgr, err = newResources(); err != nil {
		return nil, fmt.Errorf("resource manager: %w", err)
	}
	upgrade := func(muxers ...upgrader.StreamMuxer) (lptransport.Upgrader, *libp2ptls.Transport, error) {
		tls, err := libp2ptls.New(libp2ptls.ID, key, muxers)
		if err != nil {
			return nil, nil, fmt.Errorf("tls identity: %w", err)
		}
		up, err := upgrader.New([]sec.SecureTransport{tls}, muxers, nil, s.rcmgr, gater{cfg.Allow, bye}, upgrader.WithAcceptTimeout(t.Hello))
		if err != nil {
			return nil, nil, fmt.Errorf("libp2p upgrader: %w", err)
		}
		return up, tls, nil
	}
	var inErr, outErr, dataErr error
	s.in, _, inErr = upgrade(session, data)
	s.out, s.tls, outErr = upgrade(session)
	s.data, _, dataErr = upgrade(data)
	if err := errors.Join(inErr, outErr, dataErr); err != nil {
		return nil, errors.Join(err, s.rcmgr.Close())
	}
	return s, nil
}

// muxer tunes yamux for bulk: large frames save system calls, and the small window bounds what a
// peer that never reads can pin in our memory. Pings are ours (keeper.go), they see every byte.
func muxer(window int) *yamux.Transport {
	if window <= 0 {
		window = defaultWindowBytes
	}
	cfg := *yamux.DefaultTransport.Config()
	cfg.MaxMessageSize = maxMuxMessageBytes
	cfg.MaxStreamWindowSize = uint32(max(window, int(cfg.InitialStreamWindowSize)))
	// The window is open from the start: yamux grows it only by a round trip measured while the link
	// was idle, and a queue of 50 ms in front of a WAN line would hold a stream to 40 Mbit/s for ever.
	cfg.InitialStreamWindowSize = cfg.MaxStreamWindowSize
	cfg.WriteCoalesceDelay = 0
	cfg.EnableKeepAlive = false
	cfg.AcceptBacklog = peerStreams
	cfg.MaxIncomingStreams = peerStreams
	return (*yamux.Transport)(&cfg)
}

// newResources states every limit; nothing is left to defaults, which grow with the machine.
func newResources() (network.ResourceManager, error) {
	conns := func(n int) rcmgr.ResourceLimits {
		return rcmgr.ResourceLimits{
			Conns: rcmgr.LimitVal(2 * n), ConnsInbound: rcmgr.LimitVal(n), ConnsOutbound: rcmgr.LimitVal(n),
			FD: rcmgr.LimitVal(2 * n),
		}
	}
	with := func(l rcmgr.ResourceLimits, streams int, memory int64) rcmgr.ResourceLimits {
		l.Streams, l.StreamsInbound = rcmgr.LimitVal(2*streams), rcmgr.LimitVal(streams)
		l.StreamsOutbound, l.Memory = rcmgr.LimitVal(streams), rcmgr.LimitVal64(memory)
		return l
	}
	limits := rcmgr.PartialLimitConfig{
		System:      with(conns(systemConns), systemConns*peerStreams, systemMemoryBytes),
		Transient:   with(conns(systemConns), systemConns, systemMemoryBytes/4),
		PeerDefault: with(conns(peerConns), peerStreams, peerMemoryBytes),
		Conn:        with(conns(1), peerStreams, peerMemoryBytes),
		Stream:      with(conns(1), 1, peerMemoryBytes),
	}
	perAddr := []rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: connsPerAddr}, {PrefixLength: 24, ConnCount: connsPerSubnet}}
	perNet6 := []rcmgr.ConnLimitPerSubnet{{PrefixLength: 64, ConnCount: 4 * connsPerAddr}, {PrefixLength: 56, ConnCount: connsPerSubnet}}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.Build(rcmgr.InfiniteLimits)),
		rcmgr.WithMetricsDisabled(), rcmgr.WithLimitPerSubnet(perAddr, perNet6), rcmgr.WithConnRateLimiters(newConnRate()))
}

// newConnRate bounds new connections per address: many for a site behind one address translator,
// few for a flood of TLS handshakes. Loopback is left alone.
func newConnRate() *rate.Limiter {
	perSecond := rate.Limit{RPS: 16, Burst: 2 * connsPerAddr}
	return &rate.Limiter{
		NetworkPrefixLimits: []rate.PrefixLimit{
			{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, {Prefix: netip.MustParsePrefix("::1/128")},
		},
		SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: perSecond}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 64, Limit: perSecond}},
		},
	}
}

// gater asks Config.Allow as soon as the identity is proven, before yamux starts. Whom it refuses is
// cut there, but for those who dialled and are due to hear why.
type gater struct {
	allow func(peerID string) bool
	bye   *farewells
}

func (g gater) may(p peer.ID) bool                                            { return g.allow == nil || g.allow(p.String()) }
func (g gater) InterceptPeerDial(p peer.ID) bool                              { return g.may(p) }
func (gater) InterceptAddrDial(peer.ID, ma.Multiaddr) bool                    { return true }
func (gater) InterceptAccept(network.ConnMultiaddrs) bool                     { return true }
func (gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
func (g gater) InterceptSecured(dir network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return g.may(p) || dir == network.DirInbound && g.bye.due(p.String())
}

// PeerID is the peer ID text of a public key; empty if it is none.
func PeerID(pub ed25519.PublicKey) string {
	key, err := crypto.UnmarshalEd25519PublicKey(pub)
	if err != nil {
		return ""
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		return ""
	}
	return id.String()
}
