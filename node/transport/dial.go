package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	lptransport "github.com/libp2p/go-libp2p/core/transport"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"
)

// parseAddr takes literal addresses only: a name that somebody else controls could point anywhere.
func parseAddr(addr string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil || ap.Addr().Zone() != "" {
		return ap, fmt.Errorf("%q: %w", addr, ErrAddress)
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// maxIDBytes bounds the text of a peer ID; that of an Ed25519 key has 52 bytes.
const maxIDBytes = 128

// parseID takes the IDs of Ed25519 keys only, in their one text form.
func parseID(id string) (peer.ID, error) {
	if len(id) > maxIDBytes {
		return "", fmt.Errorf("peer id of %d characters: %w", len(id), ErrAddress)
	}
	p, err := peer.Decode(id)
	if err == nil && p.String() == id {
		if key, err := p.ExtractPublicKey(); err == nil && key.Type() == pb.KeyType_Ed25519 {
			return p, nil
		}
	}
	return "", fmt.Errorf("peer id %q: %w", id, ErrAddress)
}

// dialLink connects to a peer whose identity is known and proves it.
func (h *Host) dialLink(ctx context.Context, id, addr string) (*link, error) {
	return h.dialWith(ctx, h.stack.out, id, addr)
}

// dialWith is dialLink for any kind of link.
func (h *Host) dialWith(ctx context.Context, up lptransport.Upgrader, id, addr string) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, h.t.Dial)
	defer cancel()
	p, err := parseID(id)
	if err != nil {
		return nil, err
	}
	ap, err := parseAddr(addr)
	if err != nil {
		return nil, err
	}
	if p == h.stack.id {
		return nil, ErrSelf
	}
	if !(gater{allow: h.cfg.Allow}).may(p) {
		return nil, fmt.Errorf("dial %s: %w", id, ErrForbidden)
	}
	maddr, err := manet.FromNetAddr(net.TCPAddrFromAddrPort(ap))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", addr, ErrAddress)
	}
	scope, err := h.stack.rcmgr.OpenConnection(network.DirOutbound, true, maddr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	raw, err := h.dialTCP(ctx, ap)
	if err == nil {
		if err = scope.SetPeer(p); err != nil {
			_ = raw.Close()
		}
	}
	if err != nil {
		scope.Done()
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	conn, err := up.Upgrade(ctx, nil, raw, network.DirOutbound, p, scope) // releases scope when it fails or is closed
	if err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("dial %s at %s: %w", id, addr, errors.Join(err, ctx.Err()))
	}
	l := h.newLink(conn, raw, false)
	if !h.keepLink(l) {
		l.close()
		return nil, ErrClosed
	}
	return l, nil
}

// dialTCP opens every socket of this package that goes out, so it is where addresses are judged,
// whoever named them.
func (h *Host) dialTCP(ctx context.Context, ap netip.AddrPort) (*rawConn, error) {
	if h.cfg.MayDial != nil {
		if err := h.cfg.MayDial(ap); err != nil {
			return nil, errors.Join(ErrOutside, err)
		}
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", ap.String())
	if err != nil {
		return nil, err
	}
	mc, err := manet.WrapNetConn(c)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return newRawConn(mc, h.clock, h.t.Stall), nil
}

// Probe learns who listens at addr: it runs a TLS handshake with whoever answers, and hangs up. The
// answer is proven but says nothing of membership.
func (h *Host) Probe(ctx context.Context, addr string) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.t.Dial)
	defer cancel()
	ap, err := parseAddr(addr)
	if err != nil {
		return "", err
	}
	raw, err := h.dialTCP(ctx, ap)
	if err != nil {
		return "", fmt.Errorf("probe %s: %w", addr, err)
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	raw.limit(strangerBytes)
	_ = raw.SetReadDeadline(time.Now().Add(h.t.Dial))
	if _, err := multistream.SelectOneOf([]protocol.ID{libp2ptls.ID}, raw); err != nil {
		return "", fmt.Errorf("probe %s: %w", addr, errors.Join(ErrProtocol, err))
	}
	sec, err := h.stack.tls.SecureOutbound(ctx, raw, "")
	if err != nil {
		return "", fmt.Errorf("probe %s: %w", addr, err)
	}
	return sec.RemotePeer().String(), nil
}
