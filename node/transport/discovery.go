package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// mdnsService is the name under which machines find each other in a subnet.
const mdnsService = "_patchmesh._udp"

// mdnsEvery is how often the interfaces are looked at: cables and wireless networks come and go.
const mdnsEvery = 20 * time.Second

// maxFoundAddrs bounds the addresses taken from one mDNS answer.
const maxFoundAddrs = 8

// StartMDNS announces this machine to its subnets and calls found for each address that others
// announce. found must return soon; what it gets is a hint that anybody can forge. A machine without
// a usable interface is not an error: it is tried again whenever the interfaces change.
func (h *Host) StartMDNS(found func(id, addr string)) (io.Closer, error) {
	if h.ctx.Err() != nil {
		return nil, ErrClosed
	}
	ctx, cancel := context.WithCancel(h.ctx)
	d := &discovery{h: h, found: found, cancel: cancel, done: make(chan struct{})}
	h.spawnAlways(func() { d.run(ctx) })
	return d, nil
}

type discovery struct {
	h      *Host
	found  func(id, addr string)
	cancel context.CancelFunc
	done   chan struct{}
}

// Close stops announcing and listening.
func (d *discovery) Close() error {
	d.cancel()
	<-d.done
	return nil
}

// run keeps one mDNS service for the addresses of the moment.
func (d *discovery) run(ctx context.Context) {
	defer close(d.done)
	t := time.NewTicker(mdnsEvery)
	defer t.Stop()
	var svc mdns.Service
	var announced []ma.Multiaddr
	for {
		if now := d.addrs(); svc == nil || !slices.EqualFunc(now, announced, ma.Multiaddr.Equal) {
			if svc != nil {
				_ = svc.Close()
			}
			svc, announced = d.start(now), now
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			if svc != nil {
				_ = svc.Close()
			}
			return
		}
	}
}

// start gives nil when it cannot be: no network yet, or no multicast on it.
func (d *discovery) start(addrs []ma.Multiaddr) mdns.Service {
	if len(addrs) == 0 {
		return nil
	}
	svc := mdns.NewMdnsService(mdnsHost{id: d.h.stack.id, net: mdnsNetwork{addrs: addrs}}, mdnsService, d)
	if err := svc.Start(); err != nil {
		_ = svc.Close()
		d.h.log.Debug("mdns not started", "err", err)
		return nil
	}
	return svc
}

// HandlePeerFound hands over the dialable ones of what somebody announced.
func (d *discovery) HandlePeerFound(p peer.AddrInfo) {
	for _, a := range p.Addrs[:min(len(p.Addrs), maxFoundAddrs)] {
		na, err := manet.ToNetAddr(a)
		if tcp, ok := na.(*net.TCPAddr); ok && err == nil && tcp.Port > 0 {
			if ap, err := parseAddr(tcp.AddrPort().String()); err == nil {
				d.found(p.ID.String(), ap.String())
			}
		}
	}
}

// addrs are the addresses at which others of the subnet may reach this machine.
func (d *discovery) addrs() []ma.Multiaddr {
	listen, err := netip.ParseAddrPort(d.h.addr)
	if err != nil {
		return nil
	}
	ips := []netip.Addr{listen.Addr().Unmap()}
	if listen.Addr().IsUnspecified() {
		ips = interfaceAddrs(listen.Addr().Is4())
	}
	var out []ma.Multiaddr
	for _, ip := range ips {
		if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			continue
		}
		if a, err := manet.FromNetAddr(net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, listen.Port()))); err == nil {
			out = append(out, a)
		}
	}
	return out
}

func interfaceAddrs(only4 bool) []netip.Addr {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, n := range nets {
		p, err := netip.ParsePrefix(n.String())
		if err == nil && (p.Addr().Is4() || !only4) {
			out = append(out, p.Addr())
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// mdnsHost and mdnsNetwork are as much of a libp2p host as its mDNS service looks at: the identity
// and the addresses. Any other method would be a nil call, which the test of this file would show.
type mdnsHost struct {
	host.Host
	id  peer.ID
	net mdnsNetwork
}

func (m mdnsHost) ID() peer.ID              { return m.id }
func (m mdnsHost) Network() network.Network { return m.net }

type mdnsNetwork struct {
	network.Network
	addrs []ma.Multiaddr
}

func (m mdnsNetwork) InterfaceListenAddresses() ([]ma.Multiaddr, error) {
	if len(m.addrs) == 0 {
		return nil, fmt.Errorf("no address to announce: %w", ErrAddress)
	}
	return m.addrs, nil
}
