package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// SetCarries says for which sites a machine that is carried about takes approvals and payloads along, and
// brings back what those sites report.
const SetCarries = "carries"

// maxCarried bounds the sites of one carrier.
const maxCarried = 16

var carryInfos = []SettingInfo{
	{SetCarries, "none", "sites, like north,south, to which a machine that goes round carries approvals and payloads, and from which it brings back reports, whenever it meets their machines; none", checkCarries, byFewerSites},
}

// carriedSites reads a value; nil is none.
func carriedSites(s string) []string {
	if s == "none" {
		return nil
	}
	return strings.Split(s, ",")
}

func checkCarries(s string) error {
	sites := carriedSites(s)
	if len(sites) > maxCarried {
		return fmt.Errorf("%d sites: %w", len(sites), ErrTooLarge)
	}
	for i, site := range sites {
		if !ValidName(site) || slices.Contains(sites[:i], site) {
			return fmt.Errorf("%.60q is no list of sites like north,south: %w", s, ErrFormat)
		}
	}
	return nil
}

func byFewerSites(a, b string) int {
	return cmp.Or(cmp.Compare(len(carriedSites(a)), len(carriedSites(b))), strings.Compare(a, b))
}

// Carries are the sites for which a machine of these groups is a carrier. The groups are those of its
// certificate: machines that it meets know no more of it, and both sides must come to the same answer.
func (m *Manifest) Carries(groups []string) []string {
	if m == nil {
		return nil
	}
	for _, e := range m.Effectives(Machine{Groups: groups}) {
		if e.Name == SetCarries {
			return carriedSites(e.Value)
		}
	}
	return nil
}
