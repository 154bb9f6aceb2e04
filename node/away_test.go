package node

import (
	"net/netip"
	"testing"

	"patchmesh/policy"
)

// C-67: a laptop that has roamed to another office is no source for its old one.
func TestC67WhereAMachineHasRoamed(t *testing.T) {
	r := &policy.Roster{Sites: []policy.SiteEntry{
		{Site: "berlin", Prefixes: []string{"10.1.0.0/16"}}, {Site: "paris", Prefixes: []string{"10.2.0.0/16", "fd12:3456::/48"}}, {Site: "ship"},
	}}
	for _, c := range []struct {
		home string
		more []string
		own  []string
		want string
	}{
		{"berlin", nil, []string{"10.1.3.0/24"}, ""},
		{"berlin", nil, []string{"10.2.3.0/24"}, "paris"},
		{"berlin", nil, []string{"fd12:3456:0:7::/64", "192.168.1.0/24"}, "paris"},
		{"berlin", nil, []string{"10.1.3.0/24", "10.2.3.0/24"}, ""}, // at home, with a leg elsewhere
		{"berlin", nil, []string{"192.168.1.0/24"}, ""},             // nobody says where that is
		{"berlin", []string{"10.2.3.0/24"}, []string{"10.2.3.0/24"}, ""},
		{"berlin", nil, nil, ""},
		{"ship", nil, []string{"10.2.3.0/24"}, ""}, // its site has stated nothing
	} {
		var own []netip.Prefix
		for _, s := range c.own {
			own = append(own, netip.MustParsePrefix(s))
		}
		if got := siteAway(r, c.home, c.more, own); got != c.want {
			t.Errorf("a machine of %s at %v is away at %q, want %q", c.home, c.own, got, c.want)
		}
	}
}
