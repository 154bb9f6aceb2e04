package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// SetWindow implements api.Service.
func (n *Node) SetWindow(_ context.Context, r api.WindowRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.setWindow(r) })
}

// setWindow puts a maintenance window into the draft, or takes it out.
func (s *seed) setWindow(r api.WindowRequest) (*api.Published, error) {
	w := wish{passphrase: r.Passphrase, reason: r.Reason, summary: "window " + r.Window.ID}
	if r.Drop {
		w.summary = "drop window " + r.Window.ID
	} else if err := r.Window.Validate(); err != nil {
		return nil, api.Errorf(api.ClassUsage, "%v", err).WithHint("'patchmesh windows set --help' shows examples")
	}
	p, err := s.change(w, func(m *sheet) error {
		var known []string
		for _, o := range m.windows {
			known = append(known, o.ID)
		}
		n := len(m.windows)
		m.windows = slices.DeleteFunc(m.windows, func(o policy.Window) bool { return o.ID == r.Window.ID })
		if r.Drop {
			if len(m.windows) == n {
				return api.Errorf(api.ClassNotFound, "no window %q", api.Clean(r.Window.ID)).WithHint("windows in force: %s", first(strings.Join(known, ", "), "none"))
			}
			return nil
		}
		if err := s.needGroup(m, r.Window.Group); err != nil {
			return err
		}
		m.windows = append(m.windows, r.Window)
		return nil
	})
	if err == nil && !r.Drop {
		p.Warnings = append(p.Warnings, r.Window.Doubts(s.now())...)
	}
	return p, err
}

// openingsTold bounds the answer of Windows.
const openingsTold = 100

// Windows implements api.Service.
func (n *Node) Windows(ctx context.Context, q api.WindowsQuery) (*api.Windows, error) {
	m := n.believer.current().Manifest()
	if m == nil {
		return nil, api.Errorf(api.ClassFailed, "this node has lost its approvals and waits for those of the mesh")
	}
	if q.Count < 0 || q.Count > openingsTold {
		return nil, api.Errorf(api.ClassUsage, "%d openings", q.Count).WithHint("ask for 1 to %d", openingsTold)
	}
	facts, own, err := n.factsOf(ctx, q.Machine)
	if err != nil {
		return nil, err
	}
	now := n.cfg.Now()
	a := &api.Windows{
		Windows: nonNil(m.Windows), Machine: facts.Name, Groups: nonNil(facts.Groups), Zone: facts.Zone.String(), AsOf: now.UTC(), Epoch: m.Epoch,
	}
	count := q.Count
	if count == 0 {
		count = 5
	}
	a.Openings, a.Anytime = m.Openings(facts, now, count)
	a.Openings = nonNil(a.Openings)
	a.UnknownZones = m.LostZones(facts)
	// Where a machine has not told where its clock hangs, its local times can only be read by the clock here.
	_, told := facts.Inventory.ClockOf(time.Local)
	a.ZoneAssumed = !own && !told && slices.ContainsFunc(a.Openings, func(o policy.Opening) bool {
		return slices.ContainsFunc(m.Windows, func(w policy.Window) bool { return w.Zone == policy.ZoneLocal && slices.Contains(o.Windows, w.ID) })
	})
	return a, nil
}
