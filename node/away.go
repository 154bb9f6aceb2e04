package node

import (
	"fmt"
	"net/netip"
	"slices"

	"patchmesh/policy"
)

// awayAt is the other site at which this machine is now; empty: it is at none that is known.
func (n *Node) awayAt() string {
	if n.believer == nil || n.reach.Load().loopback {
		return ""
	}
	return siteAway(n.believer.current().Roster(), n.member.Site, n.cfg.SitePrefixes, ownLegs())
}

// siteAway is the site in whose stated prefixes a machine has an address, while it has none in those of its own. Of prefixes of
// several sites that hold an address the narrowest counts, as in a routing table, and of equal ones that of its own site. Where its
// own site has stated none, or not all, nobody can tell, and it counts as at home.
func siteAway(r *policy.Roster, home string, more []string, own []netip.Prefix) string {
	at := slices.Concat(r.SitePrefixes(home), more)
	if len(at) == 0 {
		return ""
	}
	away, awayBits := "", -1
	for _, leg := range own {
		here, hereBits := "", -1
		for _, s := range r.Sites {
			if bits := narrowest(s.Prefixes, leg.Addr()); s.Site != home && bits > hereBits {
				here, hereBits = s.Site, bits
			}
		}
		if bits := narrowest(at, leg.Addr()); bits >= 0 && bits >= hereBits {
			return ""
		}
		if hereBits > awayBits {
			away, awayBits = here, hereBits
		}
	}
	return away
}

// narrowest is the length of the narrowest of some stated prefixes that hold an address; -1: none does. The address counts and not
// its subnet: a site may be a part of one.
func narrowest(stated []string, addr netip.Addr) int {
	bits := -1
	for _, s := range stated {
		if p, err := parseSitePrefix(s); err == nil && p.Contains(addr) {
			bits = max(bits, p.Bits())
		}
	}
	return bits
}

// siteOverlaps says in words which prefixes of a site and of others hold the same addresses, and whose they are then.
func siteOverlaps(r *policy.Roster, site string) (out []string) {
	for _, mine := range r.SitePrefixes(site) {
		p, err := parseSitePrefix(mine)
		if err != nil {
			continue
		}
		for _, o := range r.Sites {
			for _, theirs := range o.Prefixes {
				q, err := parseSitePrefix(theirs)
				if o.Site == site || err != nil || !p.Overlaps(q) {
					continue
				}
				whose := "the narrower one counts: a machine there is at site " + o.Site
				switch {
				case p.Bits() == q.Bits():
					whose = "a machine of either is at home there, and one of a third site at the first by name"
				case p.Bits() > q.Bits():
					whose = "the narrower one counts: a machine there is at site " + site
				}
				out = append(out, fmt.Sprintf("%s overlaps %s of site %s: %s", p, q, o.Site, whose))
			}
		}
	}
	return out
}
