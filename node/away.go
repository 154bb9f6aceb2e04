package node

import (
	"net/netip"
	"slices"

	"patchmesh/policy"
)

// awayAt is the other site at which this machine is now; empty: it is at none that is known.
func (n *Node) awayAt() string {
	if n.believer == nil || n.reach.Load().loopback {
		return ""
	}
	return siteAway(n.believer.current().Roster(), n.member.Site, n.cfg.SitePrefixes, ownSubnets())
}

// siteAway is the site in whose stated prefixes a machine has an address, while it has none in those of its own. Where its
// own site has stated none, or not all, nobody can tell, and it counts as at home.
func siteAway(r *policy.Roster, home string, more []string, own []netip.Prefix) string {
	inside := func(stated []string) bool {
		return slices.ContainsFunc(stated, func(s string) bool {
			p, err := parseSitePrefix(s)
			return err == nil && slices.ContainsFunc(own, p.Overlaps)
		})
	}
	at := slices.Concat(r.SitePrefixes(home), more)
	if len(at) == 0 || inside(at) {
		return ""
	}
	for _, s := range r.Sites {
		if s.Site != home && inside(s.Prefixes) {
			return s.Site
		}
	}
	return ""
}
