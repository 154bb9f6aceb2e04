package node

import (
	"cmp"
	"context"
	"slices"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// Site implements api.Service.
func (n *Node) Site(_ context.Context, r api.SiteRequest) (*api.Site, error) {
	return onSeed(n.seed, func(s *seed) (*api.Site, error) { return s.site(r) })
}

// site shows or states where the machines of a site may be. Machines dial what others name inside
// these prefixes and the subnets they see by themselves, see reach.go.
func (s *seed) site(r api.SiteRequest) (*api.Site, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !policy.ValidName(r.Site) {
		return nil, api.Errorf(api.ClassUsage, "%q is no valid name for a site", api.Clean(r.Site))
	}
	t := s.believer.current()
	now, neighbours := t.Roster().SitePrefixes(r.Site), t.Roster().Neighbours(r.Site)
	budget, stale := t.Roster().SiteBudget(r.Site), int(t.Roster().SiteStale(r.Site)/(24*time.Hour))
	if len(r.Prefixes) == 0 && len(r.WANBudget) == 0 && r.StaleDays == 0 && len(r.Neighbours) == 0 && !r.Clear {
		return siteRow(r.Site, t.Roster()), nil
	}
	if r.StaleDays > policy.MaxStaleDays {
		return nil, api.Errorf(api.ClassUsage, "a staleness budget of %d days: at most %d", r.StaleDays, policy.MaxStaleDays)
	}
	if r.StaleDays > 0 && slices.ContainsFunc(t.Roster().Seeds, func(e policy.SeedEntry) bool { return e.Site == r.Site }) {
		return nil, api.Errorf(api.ClassUsage, "site %s has a seed: it needs no staleness budget", r.Site)
	}
	if r.StaleDays != 0 {
		stale = max(r.StaleDays, 0)
	}
	if len(r.Neighbours) > 0 {
		var err error
		if neighbours, err = stateNeighbours(r.Site, r.Neighbours); err != nil {
			return nil, err
		}
	}
	if b, err := stateBudget(r.WANBudget, r.WANBudgetStrict); err != nil {
		return nil, err
	} else if b != nil {
		budget = b
	}
	if len(r.Prefixes) > 0 {
		now = r.Prefixes
	}
	if len(r.Prefixes) > policy.MaxSitePrefixes {
		return nil, api.Errorf(api.ClassUsage, "a site has at most %d prefixes", policy.MaxSitePrefixes)
	}
	for _, p := range r.Prefixes {
		if _, err := parseSitePrefix(p); err != nil {
			return nil, api.Errorf(api.ClassUsage, "%v", err).WithHint("give each as network/length, such as 10.1.0.0/16 or fd12:3456::/48")
		}
	}
	next := *t.Roster()
	next.Sites = slices.DeleteFunc(slices.Clone(next.Sites), func(e policy.SiteEntry) bool { return e.Site == r.Site })
	if !r.Clear && (len(now) > 0 || budget != nil || stale > 0 || len(neighbours) > 0) {
		next.Sites = append(next.Sites, policy.SiteEntry{Site: r.Site, Prefixes: nonNil(now), WAN: budget, StaleDays: stale, Neighbours: neighbours})
		slices.SortFunc(next.Sites, func(a, b policy.SiteEntry) int { return cmp.Compare(a.Site, b.Site) })
	}
	if err := s.publish(t, nil, &next); err != nil {
		return nil, err
	}
	return siteRow(r.Site, &next), nil
}

// stateNeighbours reads the neighbour sites from what an admin said.
func stateNeighbours(site string, names []string) ([]string, error) {
	if slices.Equal(names, []string{"none"}) {
		return nil, nil
	}
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	for _, o := range names {
		if !policy.ValidName(o) || o == site {
			return nil, api.Errorf(api.ClassUsage, "%q is no valid name for a neighbour of site %s", api.Clean(o), site).WithHint("give the name of another site, or none")
		}
	}
	if len(names) > policy.MaxNeighbours {
		return nil, api.Errorf(api.ClassUsage, "%d neighbour sites, at most %d", len(names), policy.MaxNeighbours)
	}
	return names, nil
}

func siteRow(site string, r *policy.Roster) *api.Site {
	b := r.SiteBudget(site)
	return &api.Site{
		Site: site, Prefixes: nonNil(r.SitePrefixes(site)), WANBudget: budgetTexts(b), WANBudgetStrict: b != nil && b.Strict,
		StaleDays: int(r.SiteStale(site) / (24 * time.Hour)), Neighbours: r.Neighbours(site),
		Overlaps: siteOverlaps(r, site),
	}
}
