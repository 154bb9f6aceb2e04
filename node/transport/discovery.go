package transport

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/zeroconf/v2"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// mdnsService is the name under which machines find each other in a subnet.
const (
	mdnsService = "_patchmesh._udp"
	mdnsDomain  = "local"
	// mdnsAddr is what stands before an address in a TXT record, as libp2p's own discovery has it.
	mdnsAddr = "dnsaddr="
	// mdnsPort must be stated, and is not what anybody dials: that stands in the addresses.
	mdnsPort = 4001
)

// mdnsEvery is how often the interfaces are looked at: cables and wireless networks come and go.
const mdnsEvery = 20 * time.Second

// maxFoundAddrs bounds the addresses taken from one mDNS answer.
const maxFoundAddrs = 8

// StartMDNS announces this machine to its subnets, answers whoever asks there, and asks itself; near is how many
// machines it has sessions with already, see seek. It calls found for each address that others announce. found must
// return soon; what it gets is a hint that anybody can forge. A machine without a usable interface is not an error:
// it is tried again whenever the interfaces change.
func (h *Host) StartMDNS(found func(id, addr string), near func() int) (io.Closer, error) {
	if h.ctx.Err() != nil {
		return nil, ErrClosed
	}
	ctx, cancel := context.WithCancel(h.ctx)
	d := &discovery{h: h, found: found, near: near, ask: browse, moved: NewBell(), cancel: cancel}
	d.done.Add(2)
	h.spawnAlways(func() { defer d.done.Done(); d.run(ctx) })
	h.spawnAlways(func() { defer d.done.Done(); d.seek(ctx) })
	return d, nil
}

type discovery struct {
	h      *Host
	found  func(id, addr string)
	near   func() int
	ask    func(ctx context.Context, answer func(text []string)) error
	moved  Bell // other interfaces than before
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Close stops announcing and listening.
func (d *discovery) Close() error {
	d.cancel()
	d.done.Wait()
	return nil
}

// run announces the addresses of the moment and answers for them.
func (d *discovery) run(ctx context.Context) {
	t := time.NewTicker(mdnsEvery)
	defer t.Stop()
	var server *zeroconf.Server
	var announced []netip.AddrPort
	for {
		if now := d.addrs(); server == nil || !slices.Equal(now, announced) {
			if server != nil {
				server.Shutdown()
				d.moved.Ring()
			}
			server, announced = d.start(now), now
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			if server != nil {
				server.Shutdown()
			}
			return
		}
	}
}

// start gives nil when it cannot be: no network yet, or no multicast on it. The name is drawn anew, so that it
// tells nobody whose machine this is.
func (d *discovery) start(addrs []netip.AddrPort) *zeroconf.Server {
	if len(addrs) == 0 {
		return nil
	}
	ips, texts := d.records(addrs)
	name := strings.ToLower(rand.Text())
	server, err := zeroconf.RegisterProxy(name, mdnsService, mdnsDomain, mdnsPort, name, ips, texts, nil)
	if err != nil {
		d.h.log.Debug("mdns not started", "err", err)
		return nil
	}
	return server
}

// records are an address of each family for the A and AAAA records that the protocol wants, and the text of all.
func (d *discovery) records(addrs []netip.AddrPort) (ips, texts []string) {
	for _, six := range []bool{false, true} {
		if i := slices.IndexFunc(addrs, func(a netip.AddrPort) bool { return a.Addr().Is6() == six }); i >= 0 {
			ips = append(ips, addrs[i].Addr().String())
		}
	}
	for _, a := range addrs {
		if m, err := manet.FromNetAddr(net.TCPAddrFromAddrPort(a)); err == nil {
			texts = append(texts, mdnsAddr+m.String()+"/p2p/"+d.h.id)
		}
	}
	return ips, texts
}

// heard hands over the dialable ones of what somebody announced.
func (d *discovery) heard(text []string) {
	for _, s := range text[:min(len(text), maxFoundAddrs)] {
		s, ok := strings.CutPrefix(s, mdnsAddr)
		m, err := ma.NewMultiaddr(s)
		if !ok || err != nil {
			continue
		}
		p, err := peer.AddrInfoFromP2pAddr(m)
		if err != nil || p.ID == d.h.stack.id || len(p.Addrs) != 1 {
			continue
		}
		na, err := manet.ToNetAddr(p.Addrs[0])
		if tcp, ok := na.(*net.TCPAddr); ok && err == nil && tcp.Port > 0 {
			if ap, err := parseAddr(tcp.AddrPort().String()); err == nil {
				d.found(p.ID.String(), ap.String())
			}
		}
	}
}

// addrs are the addresses at which others of the subnet may reach this machine.
func (d *discovery) addrs() []netip.AddrPort {
	listen, err := netip.ParseAddrPort(d.h.addr)
	if err != nil {
		return nil
	}
	ips := []netip.Addr{listen.Addr().Unmap()}
	if listen.Addr().IsUnspecified() {
		ips = interfaceAddrs(listen.Addr().Is4())
	}
	var out []netip.AddrPort
	for _, ip := range ips {
		if !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			out = append(out, netip.AddrPortFrom(ip, listen.Port()))
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
