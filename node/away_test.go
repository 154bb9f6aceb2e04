package node

import (
	"net/netip"
	"strings"
	"testing"

	"patchmesh/policy"
)

// C-67: a laptop that has roamed to another office is no source for its old one.
func TestC67WhereAMachineHasRoamed(t *testing.T) {
	r := &policy.Roster{Sites: []policy.SiteEntry{
		{Site: "berlin", Prefixes: []string{"10.1.0.0/16"}}, {Site: "paris", Prefixes: []string{"10.2.0.0/16", "fd12:3456::/48"}}, {Site: "ship"},
		{Site: "twin", Prefixes: []string{"10.2.0.0/16"}}, {Site: "whole", Prefixes: []string{"10.0.0.0/8"}}, {Site: "lab", Prefixes: []string{"10.1.5.0/24"}},
	}}
	for _, c := range []struct {
		home string
		more []string
		own  []string
		want string
	}{
		{"berlin", nil, []string{"10.1.3.7/24"}, ""},
		{"berlin", nil, []string{"10.2.3.7/24"}, "paris"},
		{"berlin", nil, []string{"fd12:3456:0:7::1/64", "192.168.1.7/24"}, "paris"},
		{"berlin", nil, []string{"10.1.3.7/24", "10.2.3.7/24"}, ""}, // at home, with a leg elsewhere
		{"berlin", nil, []string{"192.168.1.7/24"}, ""},             // nobody says where that is
		{"berlin", []string{"10.2.3.0/24"}, []string{"10.2.3.7/24"}, ""},
		{"berlin", nil, nil, ""},
		{"ship", nil, []string{"10.2.3.7/24"}, ""}, // its site has stated nothing
		// C-66: of prefixes that overlap the narrowest counts, and of equal ones that of the own site.
		{"whole", nil, []string{"10.2.3.7/24"}, "paris"},
		{"whole", nil, []string{"10.9.3.7/24"}, ""},
		{"paris", nil, []string{"10.2.3.7/24"}, ""},
		{"paris", nil, []string{"10.9.3.7/24"}, "whole"},
		{"twin", nil, []string{"10.2.3.7/24"}, ""},
		{"twin", nil, []string{"10.1.3.7/24"}, "berlin"},
		{"whole", nil, []string{"10.2.3.7/24", "10.9.3.7/24"}, ""}, // one leg is at home
		{"berlin", nil, []string{"10.2.3.7/24"}, "paris"},          // before twin, by name
		// A site may be a part of a subnet: who has no address in it is not there.
		{"berlin", nil, []string{"10.1.0.7/16"}, ""},
		{"berlin", nil, []string{"10.1.5.7/16"}, "lab"},
		{"lab", nil, []string{"10.1.0.7/16"}, "berlin"},
		{"whole", nil, []string{"10.9.3.7/8"}, ""},
		{"whole", nil, []string{"10.2.3.7/8"}, "paris"},
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

// C-66: who states a prefix that overlaps those of other sites is told which counts.
func TestC66OverlappingPrefixesAreToldWithWhichCounts(t *testing.T) {
	r := &policy.Roster{Sites: []policy.SiteEntry{
		{Site: "berlin", Prefixes: []string{"10.1.0.0/16"}}, {Site: "paris", Prefixes: []string{"10.2.0.0/16"}}, {Site: "twin", Prefixes: []string{"10.2.0.0/16"}},
		{Site: "whole", Prefixes: []string{"10.0.0.0/8"}}, {Site: "apart", Prefixes: []string{"192.168.0.0/16"}},
	}}
	for site, want := range map[string][]string{
		"apart": nil, "unknown": nil,
		"berlin": {"at site berlin"},
		"paris":  {"either is at home", "at site paris"},
		"whole":  {"at site berlin", "at site paris", "at site twin"},
	} {
		got := siteOverlaps(r, site)
		if len(got) != len(want) {
			t.Errorf("%s: %q", site, got)
			continue
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: %q, want %q", site, got[i], want[i])
			}
		}
	}
}
