package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/policy"
)

// WhatIf implements api.Prophet.
func (n *Node) WhatIf(ctx context.Context, r api.ApproveRequest) (*api.Prospect, error) {
	p, err := onSeed(n.seed, func(s *seed) (*api.Prospect, error) { return s.prospect(r) })
	if err != nil {
		return nil, err
	}
	f, err := n.statusInDetail(api.StatusQuery{})
	if err != nil {
		return nil, err
	}
	roster := n.believer.current().Roster()
	for _, m := range f.Machines {
		if m.Reason == string(policy.ReasonHostRevoked) || m.Reason == reasonReimaged && !m.Online {
			continue
		}
		if !slices.ContainsFunc(roster.Seeds, func(e policy.SeedEntry) bool { return e.Peer == m.ID }) {
			p.Machines = append(p.Machines, m)
			if zone, told := n.factsFor(m).Inventory.ClockOf(time.Local); told {
				if p.Zones == nil {
					p.Zones = map[string]string{}
				}
				p.Zones[m.ID] = zone.String()
			}
		}
	}
	zone, _ := n.machineFacts().Inventory.ClockOf(time.Local) // as it tells others, else maybe without a name
	p.SeedSite, p.Zone = n.member.Site, zone.String()
	p.Sites = prospectSites(p.Machines, roster, p.SeedSite, p.AsOf)
	if info, err := n.Node(ctx); err == nil { // a node that is not running sees no peers
		for i := range p.Sites {
			p.Sites[i].RTTSeconds = leastRTT(info.Peers, p.Sites[i].Site)
		}
	}
	return p, nil
}

// prospect makes the manifest that would be in force, exactly as approve would, and signs nothing.
func (s *seed) prospect(r api.ApproveRequest) (*api.Prospect, error) {
	if len(r.Also) > 0 {
		return nil, api.Errorf(api.ClassUsage, "what would come of it is worked out for one update")
	}
	a, err := s.approval(&r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.whole(); err != nil {
		return nil, err
	}
	t := s.believer.current()
	_, by, err := s.judge(t)
	if err != nil {
		return nil, err
	}
	pending, err := s.pending(by, r.Role)
	if err == nil {
		pending, err = s.apart(wish{role: r.Role}, pending)
	}
	if err != nil {
		return nil, err
	}
	d, err := s.redraft(by, pending, wish{role: r.Role}, func(m *sheet) error { return s.putApprovals(m, []policy.Approval{a}) })
	if err != nil {
		return nil, err
	}
	m, err := wouldBe(t.Manifest(), d)
	if err != nil {
		return nil, err
	}
	body, err := m.Encode()
	if err != nil {
		return nil, err
	}
	p := &api.Prospect{AsOf: s.now().UTC(), Update: string(a.Update), Revision: a.Revision, Manifest: body, Pending: pending != nil, Machines: []api.Machine{}}
	seen := map[content.ID]bool{}
	for _, x := range m.Approvals {
		b, err := s.docs.document(x.Descriptor)
		if err != nil || seen[x.Descriptor] { // what even the seed lacks no machine will get
			continue
		}
		seen[x.Descriptor] = true
		p.Descriptors = append(p.Descriptors, b)
		if x.Update != a.Update {
			continue
		}
		if d, err := policy.DecodeDescriptor(b); err == nil {
			p.PayloadBytes = d.StoredBytes
		}
	}
	return p, nil
}

// wouldBe is what machines would go by: the draft in place of what its approvers decided before, and
// beside it what the others did. For one update and group the main approvers' word stands.
func wouldBe(now *policy.Manifest, d *policy.Draft) (*policy.Manifest, error) {
	m := *now
	var approvals []policy.Approval
	var holds []policy.Hold
	if d.Role() == "" {
		draft, err := policy.DecodeManifest(d.Manifest())
		if err != nil {
			return nil, err
		}
		m = *draft
		approvals, holds = draft.Approvals, draft.Holds
	} else {
		draft, err := policy.DecodeRoleManifest(d.Manifest())
		if err != nil {
			return nil, err
		}
		approvals, holds = draft.Approvals, draft.Holds
		m.HoldExceptions = draft.HoldExceptions
	}
	exceptions := m.HoldExceptions // of this draft's approvers, or all in force
	m.Approvals, m.Holds, m.HoldExceptions, m.Delegations = []policy.Approval{}, []policy.Hold{}, nil, nil
	said := map[string]bool{}
	add := func(a policy.Approval) {
		key := string(a.Update) + "\x00" + a.Group
		if !said[key] {
			said[key] = !a.Listed()
			m.Approvals = append(m.Approvals, a)
		}
	}
	inForce := func(role string) bool { return role != d.Role() }
	for _, main := range []bool{true, false} { // the main approvers first
		for _, a := range now.Approvals {
			if inForce(a.Role()) && (a.Role() == "") == main {
				add(a)
			}
		}
		if (d.Role() == "") == main {
			for _, a := range approvals {
				add(a)
			}
		}
	}
	for _, h := range now.Holds {
		if inForce(h.Role()) {
			holds = append(slices.Clip(holds), h)
		}
	}
	ids := map[string]bool{}
	for _, h := range holds {
		if !ids[h.ID] {
			ids[h.ID] = true
			if h, ok := h.AsSafeguard(m.Approvals); ok {
				m.Holds = append(m.Holds, h)
			}
		}
	}
	m.HoldExceptions = wouldExcept(now, d.Role(), exceptions)
	return &m, nil
}

// prospectSites is what reports and the roster say of each site with machines.
func prospectSites(machines []api.Machine, roster *policy.Roster, seedSite string, now time.Time) []api.ProspectSite {
	at := map[string]int{}
	var out []api.ProspectSite
	for _, m := range machines {
		i, known := at[m.Site]
		if !known {
			i = len(out)
			at[m.Site] = i
			out = append(out, api.ProspectSite{Site: m.Site})
			if b := roster.SiteBudget(m.Site); b != nil {
				s := &out[i]
				s.DayLimit, s.MonthLimit, s.Zone, s.Strict = b.DayBytes, b.MonthBytes, b.Zone, b.Strict
			}
		}
		s := &out[i]
		if t := m.Traffic; t != nil && t.Budget != nil && now.Before(t.Budget.DayEnd) {
			s.DayBytes, s.MonthBytes = max(s.DayBytes, t.Budget.DayBytes), max(s.MonthBytes, t.Budget.MonthBytes)
			s.DayLimit, s.MonthLimit = stricter(s.DayLimit, t.Budget.DayLimit), stricter(s.MonthLimit, t.Budget.MonthLimit) // it may be signed for its group
		}
		if m.Site != seedSite {
			measure(s, m)
		}
	}
	slices.SortFunc(out, func(a, b api.ProspectSite) int { return strings.Compare(a.Site, b.Site) })
	return out
}

// measureLeast is how much of a payload must have come, and for how long, for a rate to be worth anything.
const (
	measureLeast = 1 << 20
	measureFor   = 2 * time.Second
)

// measure takes the best rate at which a machine fetched a payload across its site's line. The first chunk is
// left out of the bytes: what it took lies before the first time that is known.
func measure(s *api.ProspectSite, m api.Machine) {
	for _, u := range m.Updates {
		for _, x := range u.Sources {
			took := x.LastAt.Sub(x.FirstAt)
			if x.Tier != api.TierSeed && x.Tier != api.TierOrigin || x.Bytes < measureLeast || x.Chunks < 2 || took < measureFor {
				continue
			}
			if rate := float64(x.Bytes) * float64(x.Chunks-1) / float64(x.Chunks) / took.Seconds(); rate > s.BytesPerSec {
				s.BytesPerSec, s.MeasuredBy = rate, u.Update
			}
		}
	}
}

func leastRTT(peers []api.PeerInfo, site string) float64 {
	least := 0.0
	for _, p := range peers {
		if p.Site == site && p.RTTSeconds > 0 && (least == 0 || p.RTTSeconds < least) {
			least = p.RTTSeconds
		}
	}
	return least
}

var _ api.Prophet = (*Node)(nil)

// wouldExcept are the exceptions beside a draft: its own, and those in force of everybody else.
func wouldExcept(now *policy.Manifest, role string, own []policy.HoldException) []policy.HoldException {
	var out []policy.HoldException
	ids := map[string]bool{}
	for _, e := range append(slices.Clone(own), now.HoldExceptions...) {
		if drafted := e.Role() == role; !ids[e.ID] && (!drafted || slices.Contains(own, e)) {
			ids[e.ID] = true
			out = append(out, e)
		}
	}
	return out
}
