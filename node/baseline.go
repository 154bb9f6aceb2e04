package node

import (
	"context"
	"fmt"
	"slices"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// Baselines implements api.Measurer.
func (n *Node) Baselines(ctx context.Context, q api.BaselineQuery) (*api.Baselines, error) {
	m := n.believer.current().Manifest()
	if m == nil {
		return nil, api.Errorf(api.ClassFailed, "this node has lost its approvals and waits for those of the mesh")
	}
	f, err := n.statusInDetail(api.StatusQuery{Group: q.Group})
	if err != nil {
		return nil, err
	}
	out := &api.Baselines{Epoch: m.Epoch, Baselines: []api.BaselineInfo{}, Machines: []api.BaselineMachine{}}
	for _, b := range m.Baselines {
		if q.Group != "" && b.Group != q.Group {
			continue
		}
		approved := m.Approved(b.Group, n.describer())
		info := api.BaselineInfo{Baseline: b, Unapproved: []string{}}
		for _, u := range b.Updates {
			if !slices.Contains(approved, u) {
				info.Unapproved = append(info.Unapproved, string(u))
			}
		}
		out.Baselines = append(out.Baselines, info)
	}
	if q.Group != "" && len(out.Baselines) == 0 {
		return nil, api.Errorf(api.ClassNotFound, "group %s has no baseline of its own", api.Clean(q.Group)).WithHint("'patchmesh baseline show' lists all, 'patchmesh baseline set' makes one")
	}
	for _, k := range f.Machines {
		if asked := m.BaselineOf(k.Groups); len(asked) > 0 {
			out.Machines = append(out.Machines, api.BaselineMachine{Machine: k.Name, ID: k.ID, Asked: len(asked), Missing: nonNil(k.BaselineMissing), LastReport: k.LastReport})
		}
	}
	return out, nil
}

// measureBaseline says of every machine what it lacks of the baselines of its groups. What a report claims about
// that does not count.
func (n *Node) measureBaseline(machines []api.Machine) {
	m := n.believer.current().Manifest()
	measured := m != nil && len(m.Baselines) > 0
	var replacers policy.Replacers
	if measured {
		replacers = m.Replacers(n.describer())
	}
	for i := range machines {
		k := &machines[i]
		k.BaselineMissing = nil
		if !measured {
			continue
		}
		for _, u := range replacers.Lacking(m.BaselineOf(k.Groups), standing(*k)) {
			k.BaselineMissing = append(k.BaselineMissing, string(u))
		}
	}
}

// SetBaseline implements api.Measurer.
func (n *Node) SetBaseline(_ context.Context, r api.BaselineRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.setBaseline(r) })
}

func (s *seed) setBaseline(r api.BaselineRequest) (*api.Published, error) {
	w := wish{passphrase: r.Passphrase, reason: r.Reason, summary: fmt.Sprintf("baseline of group %s", r.Group)}
	b := policy.Baseline{Group: r.Group, At: s.stamp()}
	switch {
	case r.Drop:
		w.summary = "drop the baseline of group " + r.Group
	case r.FromApprovals:
		m := s.believer.current().Manifest()
		if m == nil {
			return nil, api.Errorf(api.ClassFailed, "the seed has lost its approvals and waits for those of the mesh")
		}
		b.Updates = m.Approved(r.Group, s.descriptor)
		if len(b.Updates) == 0 {
			return nil, api.Errorf(api.ClassRefused, "nothing is approved for installation on all machines of group %s", api.Clean(r.Group)).WithHint("name the updates with 'patchmesh baseline set'")
		}
	default:
		for _, x := range r.Updates {
			row, err := s.update(x)
			if err != nil {
				return nil, err
			}
			b.Updates = append(b.Updates, policy.UpdateID(row.Update))
		}
	}
	slices.Sort(b.Updates)
	b.Updates = slices.Compact(b.Updates)
	if !r.Drop {
		if err := b.Validate(); err != nil {
			return nil, api.Errorf(api.ClassUsage, "%v", err).WithHint("'patchmesh baseline set --help' shows examples")
		}
	}
	return s.change(w, func(m *sheet) error {
		n := len(m.baselines)
		m.baselines = slices.DeleteFunc(m.baselines, func(o policy.Baseline) bool { return o.Group == r.Group })
		if r.Drop {
			if len(m.baselines) == n {
				return api.Errorf(api.ClassNotFound, "group %s has no baseline", api.Clean(r.Group)).WithHint("'patchmesh baseline show' lists them")
			}
			return nil
		}
		if err := s.needGroup(m, r.Group); err != nil {
			return err
		}
		m.baselines = append(m.baselines, b)
		return nil
	})
}

var _ api.Measurer = (*Node)(nil)
