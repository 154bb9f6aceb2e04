package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// reach says which addresses this machine may dial. Addresses come from peers, from gossip, from
// mDNS and from a seed's hints, and whoever names one makes this machine open a connection: to a
// service that trusts it, to the metadata service of a cloud, to itself. So only addresses inside
// the site and on ports that carry a mesh count. What an admin gave by hand and what the signed
// roster says of seeds is fixed: those are always allowed.
type reach struct {
	loopback bool // this machine listens on loopback alone: a demo or a test, all in one computer
	prefixes []netip.Prefix
	beside   []netip.Prefix // of neighbour sites
	ports    []uint16
	fixed    map[netip.AddrPort]bool
}

// meshPort is the port of DefaultListen.
const meshPort = 7700

// Site prefixes given by hand are at least so narrow: anything wider is no site.
const (
	minBits4 = 8
	minBits6 = 16
)

// errOutside: an address that is none of this site's.
var errOutside = errors.New("is not an address of this site")

// check reads an address from outside: "ip:port" in its one form, and allowed.
func (r *reach) check(addr string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil || ap.String() != addr {
		return netip.AddrPort{}, fmt.Errorf("%.64q: %w", addr, errOutside)
	}
	if r.fixed[ap] {
		return ap, nil
	}
	return ap, r.judge(ap, r.prefixes)
}

// checkBeside reads the address of a machine of a neighbour site.
func (r *reach) checkBeside(addr string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil || ap.String() != addr {
		return netip.AddrPort{}, fmt.Errorf("%.64q: %w", addr, errOutside)
	}
	return ap, r.judge(ap, r.beside)
}

// may judges an address.
func (r *reach) may(ap netip.AddrPort) error {
	if r.fixed[ap] {
		return nil
	}
	return r.judge(ap, append(slices.Clone(r.prefixes), r.beside...))
}

func (r *reach) judge(ap netip.AddrPort, within []netip.Prefix) error {
	if why := r.refusal(ap, within); why != "" {
		return fmt.Errorf("%s %w: %s", ap, errOutside, why)
	}
	return nil
}

func (r *reach) refusal(ap netip.AddrPort, within []netip.Prefix) string {
	ip := ap.Addr()
	switch {
	case !ap.IsValid() || ip.Zone() != "" || ip.Is4In6():
		return "not in plain form"
	case ip.IsLoopback():
		if !r.loopback {
			return "loopback"
		}
		if ap.Port() < 1024 { // a mesh within one computer has a port per machine
			return "a port of the system"
		}
		return ""
	case never(ip):
		return "no machine can have it"
	case !slices.Contains(r.ports, ap.Port()):
		return fmt.Sprintf("port %d carries no mesh here", ap.Port())
	}
	for _, p := range within {
		if p.Contains(ip) {
			if edge(p, ip) {
				return "the subnet itself or all of it"
			}
			return ""
		}
	}
	return "outside the site's prefixes"
}

// neverPrefixes are where no machine of a site is, whatever prefixes are configured: there are
// metadata services of clouds, and addresses that translators turn into others.
var neverPrefixes = func() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "240.0.0.0/4", "192.0.0.0/24", "192.88.99.0/24", "100.100.100.200/32", "168.63.129.16/32",
		"fd00:ec2::/32", "fd20:ce::/32", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "::/96", "100::/64", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

func never(ip netip.Addr) bool {
	return ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || !ip.IsGlobalUnicast() ||
		slices.ContainsFunc(neverPrefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// edge: the address of an IPv4 subnet itself, or its broadcast address.
func edge(p netip.Prefix, ip netip.Addr) bool {
	if !ip.Is4() || p.Bits() > 30 {
		return false
	}
	if ip == p.Masked().Addr() {
		return true
	}
	b := ip.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	host := uint32(1)<<(32-p.Bits()) - 1
	return v&host == host
}

// parseSitePrefix reads one --site-prefix, or one of the roster's.
func parseSitePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("site prefix %q is not like 10.1.0.0/16", s)
	case p != p.Masked():
		return p, fmt.Errorf("site prefix %q has bits behind its length; %s is meant", s, p.Masked())
	case p.Addr().Is4In6(), p.Addr().Is4() && p.Bits() < minBits4, p.Addr().Is6() && p.Bits() < minBits6:
		return p, fmt.Errorf("site prefix %q is too wide for a site", s)
	}
	return p, nil
}

// reachNow builds the rules of this moment: interfaces come and go, seeds move.
func (n *Node) reachNow() *reach {
	r := &reach{ports: []uint16{meshPort}, fixed: map[netip.AddrPort]bool{}}
	fix := func(addr string) {
		if ap, err := netip.ParseAddrPort(addr); err == nil {
			ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
			r.fixed[ap] = true
			r.ports = append(r.ports, ap.Port())
		}
	}
	if own, err := netip.ParseAddrPort(n.listenAddr()); err == nil {
		r.loopback = own.Addr().IsLoopback()
		r.ports = append(r.ports, own.Port())
	}
	for _, a := range append(slices.Clone(n.cfg.Peers), n.member.Peers...) {
		fix(a)
	}
	roster := n.believer.current().Roster()
	for _, s := range roster.Seeds {
		for _, a := range s.Addrs {
			fix(a)
		}
	}
	for _, s := range append(slices.Clone(n.cfg.SitePrefixes), roster.SitePrefixes(n.member.Site)...) {
		if p, err := parseSitePrefix(s); err == nil {
			r.prefixes = append(r.prefixes, p)
		}
	}
	for _, o := range roster.Neighbours(n.member.Site) {
		for _, s := range roster.SitePrefixes(o) {
			if p, err := parseSitePrefix(s); err == nil {
				r.beside = append(r.beside, p)
			}
		}
	}
	if len(n.cfg.SitePrefixes) == 0 && !r.loopback {
		r.prefixes = append(r.prefixes, ownSubnets()...)
	}
	return r
}

func (n *Node) listenAddr() string {
	if n.host != nil {
		return n.host.ListenAddr()
	}
	return n.cfg.Listen
}

// ownLegs are the addresses of this machine's interfaces, each with the length of its subnet.
func ownLegs() (out []netip.Prefix) {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range nets {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && !never(p.Addr().Unmap()) && !p.Addr().IsLoopback() {
			out = append(out, p)
		}
	}
	return out
}

// ownSubnets are the subnets of this machine's interfaces.
func ownSubnets() (out []netip.Prefix) {
	for _, p := range ownLegs() {
		out = append(out, p.Masked())
	}
	return out
}

// mayDial is asked by the transport before every socket.
func (n *Node) mayDial(ap netip.AddrPort) error { return n.reach.Load().may(ap) }

// renewReach follows the interfaces and the roster.
func (n *Node) renewReach() { n.reach.Store(n.reachNow()) }
