package transport

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"patchmesh/content"
	"patchmesh/swarm/wire"
)

// Peer is who is at the other end of a session.
type Peer struct {
	ID     string // peer ID text
	Site   string
	Name   string
	Groups []string
	Seed   bool
	Egress bool
	// Addr is where the peer can be dialled: the address it was seen from and the port of its hello.
	Addr        string
	SameSubnet  bool // Addr lies in a network of one of this machine's interfaces
	HeadVersion int64
	Version     int // of its hello

	// Bytes of chunks moved in this session; filled by Peers.
	BytesIn, BytesOut int64
}

// Handler receives what peers send. Its methods run on the goroutines that read from the peer: one
// that blocks holds up that peer only. They may call any method of the Host.
type Handler interface {
	// PeerUp: a session is up. Exactly once per session, before anything else of it.
	PeerUp(p Peer)
	// PeerDown: the session is over, after everything else of it.
	PeerDown(id string, why error)
	// Message is any message but those of the session itself (Hello, Ready, Ping, Goodbye).
	Message(from string, m wire.Message)
	// ChunkAsked wants one SendChunk or RefuseChunk for ref, at any time later.
	ChunkAsked(from string, ref uint64, payload content.ID, index int)
	// ChunkCancelled: ref was withdrawn and needs no answer. After PeerDown all refs of that peer
	// are void without notice.
	ChunkCancelled(from string, ref uint64)
	// DocAsked gives a document or says that it is not here.
	DocAsked(from string, ask wire.DocAsk) ([]byte, bool)
	// Enrol answers a request to join. It is the only thing open to strangers. The text of an error
	// is sent to the stranger.
	Enrol(ctx context.Context, peerID, remoteAddr string, request []byte) ([]byte, error)
	// GossipStream is a stream opened by DialGossip at the other end; c belongs to the handler.
	GossipStream(from string, c net.Conn)
}

// Config is what New needs.
type Config struct {
	Key    ed25519.PrivateKey // identity; the peer ID is its public key
	Listen string             // "ip:port"; port 0 takes a free one
	// Hello makes the hello of this moment; Boot and Seq are filled in here. Port 0 stands for the
	// port of Listen.
	Hello func() wire.Hello
	// Admit decides whether a peer with that proven identity and that hello may have a session. ID,
	// Addr, SameSubnet and byte counts of the result are set here. Its error is not told to the peer.
	Admit   func(peerID string, h wire.Hello) (Peer, error)
	Handler Handler
	// Visiting is who may come from another site, and for what; see visit.go.
	Visiting Visiting
	Allow    func(peerID string) bool // asked as soon as an identity is proven; nil allows all
	// Farewell is the reason for a peer that Allow refuses: it is told once a minute, before its
	// connection is cut. Nil or an empty text: the connection is cut at once. See farewell.go.
	Farewell func(peerID string) string
	// MayDial judges every address right before a socket is opened to it; nil allows all. Its error
	// is joined with ErrOutside.
	MayDial func(addr netip.AddrPort) error
	Log     *slog.Logger // nil: nothing is logged
	Timing  Timing       // zero fields take defaults
	Pacing  Pacing       // how fast chunks go; see pace.go
	Window  int          // receive window of a stream in bytes; 0: 1 MiB. More for links of > 5 ms
}

// Timing holds the waits. The zero value of each field means its default.
type Timing struct {
	Dial        time.Duration // TCP and TLS: 3 s
	Hello       time.Duration // a stranger's life, and each step of a hello: 5 s
	Enrol       time.Duration // a stranger's life while it enrols: 30 s
	Stall       time.Duration // a write that moves no byte for so long ends the session: 10 s
	PeerSilence time.Duration // a session without any byte for so long is dead: 10 s
	Ping        time.Duration // something is sent at least so often: 3 s
	FetchSilent time.Duration // no byte for so long while asks are outstanding is ErrSilent: 5 s
	Goodbye     time.Duration // the time left to the peer to read why a session ends: 500 ms
	Tick        time.Duration // how often all of these are looked at: 500 ms
}

func (t Timing) withDefaults() Timing {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&t.Dial, 3*time.Second)
	set(&t.Hello, 5*time.Second)
	set(&t.Enrol, 30*time.Second)
	set(&t.Stall, 10*time.Second)
	set(&t.PeerSilence, 10*time.Second)
	set(&t.Ping, 3*time.Second)
	set(&t.FetchSilent, 5*time.Second)
	set(&t.Goodbye, 500*time.Millisecond)
	set(&t.Tick, 500*time.Millisecond)
	return t
}

// Limits that protect this machine. Formula for memory in the worst case: peers x (peerMemoryBytes
// for windows + maxQueueBytes for messages to a peer that does not read).
const (
	maxStrangers       = 16
	strangerBytes      = 16 << 10 // accepted from a stranger, TLS handshake included
	strangerStreams    = 2
	strangerEvictAge   = time.Second // a seat so old makes room when all are taken
	peerStreams        = 16
	docStreams         = 10 // for documents, of peerStreams: where thousands are asked for, chunks and gossip have room beside them
	peerConns          = 4
	peerMemoryBytes    = 8 << 20
	systemMemoryBytes  = 512 << 20
	systemConns        = 2048
	connsPerAddr       = 64
	connsPerSubnet     = systemConns / 2 // of one /24 or /56: nobody takes all there are
	maxChunkStreams    = 4               // of one peer: the live one and those being reset
	maxWaitingAsks     = 1024            // of one peer
	maxQueueBytes      = 8 << 20         // of messages to one peer: the have-lists of thousands of payloads
	maxQueueMessages   = 1 << 14
	defaultWindowBytes = 1 << 20
	maxMuxMessageBytes = 256 << 10
	readBufferBytes    = 4 << 10
	keptQueueBytes     = 64 << 10 // a larger queue buffer is given back after use
)

func (c *Config) validate() error {
	var errs []error
	missing := func(what string, is bool) {
		if is {
			errs = append(errs, errors.New(what+" is missing"))
		}
	}
	missing("Key", len(c.Key) != ed25519.PrivateKeySize)
	missing("Hello", c.Hello == nil)
	missing("Admit", c.Admit == nil)
	missing("Handler", c.Handler == nil)
	return errors.Join(errs...)
}
