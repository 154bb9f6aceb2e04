package transport

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	lptransport "github.com/libp2p/go-libp2p/core/transport"
)

// link is one libp2p connection: the peer's identity is proven, nothing else is known yet.
type link struct {
	h       *Host
	conn    lptransport.CapableConn
	raw     *rawConn
	peer    peer.ID
	id      string // peer as text
	inbound bool

	admitted chan struct{} // closed when PeerUp has returned
	closed   chan struct{}
	once     sync.Once

	mu       sync.Mutex
	helloing bool     // a hello is being exchanged
	enrolled bool     // its one enrolment was begun
	visiting bool     // a visit is under way
	session  *session // once admitted
	strange  int      // streams of a stranger being looked at
}

func (h *Host) newLink(c lptransport.CapableConn, raw *rawConn, inbound bool) *link {
	return &link{
		h: h, conn: c, raw: raw, peer: c.RemotePeer(), id: c.RemotePeer().String(), inbound: inbound,
		admitted: make(chan struct{}), closed: make(chan struct{}),
	}
}

// close ends the link and all its streams. The socket goes first: closing TLS politely would wait
// for a peer that does not read.
func (l *link) close() {
	l.once.Do(func() {
		close(l.closed)
		_ = l.raw.Close()
		_ = l.conn.Close()
		l.h.forgetLink(l)
	})
}

// addr is where the peer listens, by its own word on the port only: the address is the one seen.
func (l *link) addr(port int) string {
	ap, err := netip.ParseAddrPort(l.raw.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return net.JoinHostPort(ap.Addr().Unmap().WithZone("").String(), strconv.Itoa(port))
}

// serve accepts the streams of the other side until the link ends.
func (l *link) serve() {
	defer l.close()
	for {
		ms, err := l.conn.AcceptStream()
		if err != nil {
			return
		}
		if !l.strangerMay() {
			_ = ms.Reset()
			return
		}
		scope, err := l.h.stack.rcmgr.OpenStream(l.peer, network.DirInbound)
		if err != nil {
			l.strangerDone()
			_ = ms.Reset()
			continue
		}
		st := &stream{MuxedStream: ms, scope: scope, raw: l.raw}
		l.h.wg.Go(func() {
			proto := l.negotiate(st)
			l.strangerDone()
			if proto != "" {
				l.dispatch(proto, st)
			}
		})
	}
}

// strangerMay counts the streams of a peer that is not admitted; members are counted by libp2p.
func (l *link) strangerMay() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil && l.strange >= strangerStreams {
		return false
	}
	l.strange++
	return true
}

func (l *link) strangerDone() {
	l.mu.Lock()
	l.strange--
	l.mu.Unlock()
}

// negotiate finds out which protocol a new stream is for. Empty: none of ours, and a stranger that
// asks for nothing we speak loses its link.
func (l *link) negotiate(st *stream) protocol.ID {
	_ = st.SetDeadline(time.Now().Add(l.h.t.Hello))
	proto, _, err := l.h.stack.protocols.Negotiate(st.MuxedStream)
	if err == nil {
		err = st.scope.SetProtocol(proto)
	}
	if err != nil {
		_ = st.Reset()
		if l.member() == nil && l.inbound {
			l.close()
		}
		return ""
	}
	_ = st.SetDeadline(time.Time{})
	return proto
}

func (l *link) dispatch(proto protocol.ID, st *stream) {
	switch proto {
	case protoMesh:
		l.acceptMesh(st)
		return
	case protoEnrol:
		l.acceptEnrol(st)
		return
	case protoVisit:
		l.acceptVisit(st)
		return
	}
	s := l.waitMember()
	if s == nil { // no chunk, document or gossip for strangers
		_ = st.Reset()
		if l.inbound {
			l.close()
		}
		return
	}
	switch proto {
	case protoChunk:
		s.acceptChunks(st)
	case protoDoc:
		s.acceptDoc(st)
	case protoGossip:
		l.h.cfg.Handler.GossipStream(l.id, st)
	}
}

func (l *link) member() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

// waitMember gives the session of the link. A stream may overtake the last message of the hello, so
// while one is under way its end is waited for.
func (l *link) waitMember() *session {
	l.mu.Lock()
	wait := l.session != nil || l.helloing
	l.mu.Unlock()
	if !wait {
		return nil
	}
	t := time.NewTimer(l.h.t.Hello)
	defer t.Stop()
	select {
	case <-l.admitted:
		return l.member()
	case <-l.closed:
	case <-t.C:
	}
	return nil
}

// beginHello lets one hello be exchanged per link.
func (l *link) beginHello() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.helloing || l.session != nil {
		return false
	}
	l.helloing = true
	return true
}

// join makes the link the home of a session and gives back its seat at the door.
func (l *link) join(s *session) {
	l.mu.Lock()
	l.session = s
	l.mu.Unlock()
	l.h.door.leave(l.raw)
}

// sameSubnet: the address lies in a network of one of this machine's interfaces.
func sameSubnet(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	if err != nil || ip == nil {
		return false
	}
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(nets, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.Contains(ip)
	})
}
