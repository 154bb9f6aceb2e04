package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// Orchestrations: the seed signs who takes turns and how many at once; the members settle the rest among themselves
// (swarm/orchestration.go), with the seed away too.

// Orchestrations implements api.Orchestrator.
func (n *Node) Orchestrations(ctx context.Context, q api.OrchestrationQuery) (*api.Orchestrations, error) {
	m := n.believer.current().Manifest()
	if m == nil {
		return nil, api.Errorf(api.ClassFailed, "this node has lost its approvals and waits for those of the mesh")
	}
	out := &api.Orchestrations{Epoch: m.Epoch, Orchestrations: []api.OrchestrationInfo{}}
	view := n.view.Load()
	for _, o := range m.Orchestrations {
		if q.Name != "" && o.Name != q.Name {
			continue
		}
		info := api.OrchestrationInfo{Orchestration: o, Slots: o.Slots()}
		if v := view.Orch; v != nil && v.Policy.Name == o.Name {
			info.Here = n.orchestrationHere(v, view.At)
		}
		if n.seed != nil {
			var err error
			if info.NotMembers, info.Unsettled, err = n.seed.orchestrationGaps(m, &o); err != nil {
				return nil, err
			}
			if info.Stopped, err = n.stoppedBy(ctx, &o); err != nil {
				return nil, err
			}
		} else if info.Here != nil && info.Here.Locked {
			info.Stopped = info.Here.Why
		}
		out.Orchestrations = append(out.Orchestrations, info)
	}
	if q.Name != "" && len(out.Orchestrations) == 0 {
		return nil, errNoOrchestration(m.Orchestrations, q.Name)
	}
	return out, nil
}

func errNoOrchestration(all []policy.Orchestration, name string) error {
	var known []string
	for _, o := range all {
		known = append(known, o.Name)
	}
	return api.Errorf(api.ClassNotFound, "no orchestration %q", api.Clean(name)).WithHint("in force: %s", first(strings.Join(known, ", "), "none"))
}

func (n *Node) orchestrationHere(v *swarm.OrchView, at time.Time) *api.OrchestrationHere {
	names := func(ids []string) []string {
		out := []string{}
		for _, id := range ids {
			out = append(out, v.Policy.MemberName(id))
		}
		return out
	}
	h := &api.OrchestrationHere{
		Machine: n.member.Name, Phase: v.Phase.String(), Place: v.Place, Ahead: names(v.Ahead), Holders: names(v.Holders), Passed: names(v.Passed), Silent: names(v.Silent),
		Locked: v.Locked, Votes: v.Votes, Quorum: v.Quorum, LeftSeconds: v.Left.Seconds(), GroupLeft: v.GroupLeft.Seconds(), AsOf: at.UTC(),
	}
	if v.LockedBy != "" {
		h.LockedBy = v.Policy.MemberName(v.LockedBy)
	}
	if v.Place > 0 || v.Locked || !v.Member {
		h.Why = v.Why(v.Policy.MemberName)
	}
	return h
}

// explainOrchestration tells the orchestration that binds a machine; of this one, how it stands.
func (n *Node) explainOrchestration(e *explanation, man *policy.Manifest, facts policy.Machine) {
	o := man.OrchestrationOf(facts)
	if o == nil {
		return
	}
	after := "a failure stops all until 'patchmesh orchestration reset " + o.Name + "'"
	if o.GoOn {
		after = "a failure does not stop the others"
	}
	e.add(time.Time{}, "orchestration", "%s: %d of %d members at once, each within %s; %s", o.Name, o.Slots(), len(o.Members), o.MemberLimit(), after)
	v := n.view.Load().Orch
	if facts.ID != n.id || v == nil {
		return
	}
	h := n.orchestrationHere(v, time.Time{})
	text := "this machine is " + h.Phase
	if h.Place > 0 {
		text += fmt.Sprintf(", number %d in line", h.Place)
	}
	if h.LeftSeconds > 0 {
		text += fmt.Sprintf(", its slot ends in %s", time.Duration(h.LeftSeconds*float64(time.Second)).Round(time.Second))
	}
	if len(h.Holders) > 0 {
		text += "; slots are held by " + strings.Join(h.Holders, ", ")
	}
	if len(h.Passed) > 0 {
		text += "; waited for long enough: " + strings.Join(h.Passed, ", ")
	}
	e.add(time.Time{}, "orchestration", "%s", text)
}

// restartAwaitsSlot: an orchestration binds this machine, and gives it no slot that a restart would fit into. The core
// asks for one as soon as a restart is due.
func (n *Node) restartAwaitsSlot() bool {
	m := n.believer.current().Manifest()
	if m == nil {
		return true
	}
	facts := n.machineFacts()
	if m.OrchestrationOf(facts) == nil {
		return false
	}
	return slotLeft(n.view.Load(), n.cfg.Now()) < m.RestartNeeds(facts)
}

// slotLeft is how long a restart that begins now may take. A view is of when the core last moved: what has passed
// since is not left, and a machine that slept meanwhile may have lost its slot to another one.
func slotLeft(v *swarm.View, now time.Time) time.Duration {
	if v.Orch == nil {
		return 0
	}
	return v.Orch.RestartFor - max(0, now.Sub(v.At))
}

// SetOrchestration implements api.Orchestrator.
func (n *Node) SetOrchestration(_ context.Context, r api.OrchestrationRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.setOrchestration(r) })
}

func (s *seed) setOrchestration(r api.OrchestrationRequest) (*api.Published, error) {
	w := wish{passphrase: r.Passphrase, reason: r.Reason, summary: "orchestration " + r.Name}
	switch {
	case r.Drop:
		w.summary = "drop orchestration " + r.Name
	case r.Reset:
		w.summary = "reset orchestration " + r.Name
	case r.Refresh:
		w.summary = "members of orchestration " + r.Name
	}
	t := s.believer.current()
	if t.Manifest() == nil {
		return nil, api.Errorf(api.ClassFailed, "the seed has lost its approvals and waits for those of the mesh")
	}
	return s.change(w, func(m *sheet) error {
		at := slices.IndexFunc(m.orchestrations, func(o policy.Orchestration) bool { return o.Name == r.Name })
		if at < 0 && (r.Drop || r.Reset || r.Refresh) {
			return errNoOrchestration(m.orchestrations, r.Name)
		}
		if r.Drop {
			m.orchestrations = slices.Delete(slices.Clone(m.orchestrations), at, at+1)
			return nil
		}
		o := policy.Orchestration{
			Name: r.Name, Group: r.Group, Site: r.Site, Count: r.Count, Percent: r.Percent, Ordered: len(r.Order) > 0,
			MemberMinutes: cmp.Or(r.MemberMinutes, 60), GroupMinutes: r.GroupMinutes, GoOn: r.GoOn, Bypass: r.Bypass, Liars: r.Liars,
		}
		if r.Reset || r.Refresh {
			o = m.orchestrations[at]
		}
		now := t.Manifest().Orchestration(r.Name) // what machines may go by; a draft that waits nobody does
		o.Generation = t.Epoch() + 1
		o.Since = o.Generation
		if now != nil {
			o.Since, o.Reset = now.Since, now.Reset
		}
		if r.Reset {
			o.Reset++
		}
		if err := s.needGroup(m, o.Group); err != nil {
			return err
		}
		if !r.Reset {
			if err := s.fillOrchestration(m, &o, r.Order); err != nil {
				return err
			}
		}
		if err := s.keepEarlier(&o, now, t.Epoch()+1); err != nil {
			return err
		}
		if err := o.Validate(); err != nil {
			return api.Errorf(api.ClassUsage, "%v", err).WithHint("'patchmesh orchestration set --help' shows examples")
		}
		m.orchestrations = slices.DeleteFunc(slices.Clone(m.orchestrations), func(x policy.Orchestration) bool { return x.Name == r.Name })
		m.orchestrations = append(m.orchestrations, o)
		return nil
	})
}

// groupMachines are the enrolled machines of a group that may take part, sorted by name.
func (s *seed) groupMachines(groups []policy.Group, group string) ([]api.Machine, error) {
	fleet, err := s.fleet(nil)
	if err != nil {
		return nil, err
	}
	man := &policy.Manifest{Groups: groups}
	seeds := s.believer.current().Roster().Seeds
	fleet = slices.DeleteFunc(fleet, func(m api.Machine) bool {
		return m.Reason == string(policy.ReasonHostRevoked) || m.Reason == reasonReimaged || !man.InGroup(m.Groups, group) ||
			slices.ContainsFunc(seeds, func(e policy.SeedEntry) bool { return e.Peer == m.ID })
	})
	slices.SortFunc(fleet, func(a, b api.Machine) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return fleet, nil
}

// fillOrchestration makes the list of members: the machines that the group has in the site now.
func (s *seed) fillOrchestration(m *sheet, o *policy.Orchestration, order []string) error {
	machines, err := s.groupMachines(m.groups, o.Group)
	if err != nil {
		return err
	}
	var sites []string
	for _, x := range machines {
		if !slices.Contains(sites, x.Site) {
			sites = append(sites, x.Site)
		}
	}
	slices.Sort(sites)
	if o.Site == "" {
		if len(sites) > 1 { // votes do not leave a site: a number for several would be a number for each
			return api.Errorf(api.ClassRefused, "group %s has machines in the sites %s", o.Group, api.Clean(strings.Join(sites, ", "))).
				WithHint("make one orchestration for each, with --site: the machines of a site settle their turns among themselves")
		}
		o.Site = first(strings.Join(sites, ""), "none")
	}
	was := o.MemberIDs()
	o.Members = nil
	for _, x := range machines {
		if x.Site == o.Site {
			o.Members = append(o.Members, policy.OrchMember{ID: x.ID, Name: x.Name})
		}
	}
	if len(o.Members) == 0 {
		return api.Errorf(api.ClassRefused, "group %s has no machine in site %s", api.Clean(o.Group), api.Clean(o.Site)).WithHint("'patchmesh status --group %s' lists its machines", api.Clean(o.Group))
	}
	if !o.Ordered {
		return nil
	}
	if len(order) == 0 { // refreshed: new ones come last
		order = was
		for _, x := range o.Members {
			if !slices.Contains(was, x.ID) {
				order = append(order, x.ID)
			}
		}
		order = slices.DeleteFunc(slices.Clone(order), func(id string) bool {
			return !slices.ContainsFunc(o.Members, func(x policy.OrchMember) bool { return x.ID == id })
		})
	}
	return orderMembers(o, order)
}

// orderMembers brings the members into the order that is asked for, which has to name each of them once.
func orderMembers(o *policy.Orchestration, order []string) error {
	var sorted []policy.OrchMember
	for _, name := range order {
		var found []policy.OrchMember
		for _, x := range o.Members {
			if x.ID == name || x.Name == name {
				found = append(found, x)
			}
		}
		if len(found) != 1 || slices.Contains(sorted, found[0]) {
			return api.Errorf(api.ClassUsage, "order: %q names %d machine(s) of group %s in site %s, or one twice", api.Clean(name), len(found), o.Group, o.Site).
				WithHint("name each machine once; use its id where two have one name")
		}
		sorted = append(sorted, found[0])
	}
	for _, x := range o.Members {
		if !slices.Contains(sorted, x) {
			return api.Errorf(api.ClassUsage, "order: %s is not in it", api.Clean(x.Name)).WithHint("name every machine of the group in the site")
		}
	}
	o.Members = sorted
	return nil
}
