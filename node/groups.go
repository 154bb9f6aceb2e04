package node

import (
	"cmp"
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// ownMemberships are the groups of this machine, worked out from its own inventory.
func (n *Node) ownMemberships() []policy.Membership {
	m := n.believer.current().Manifest()
	if m == nil {
		return nil
	}
	return m.Memberships(n.machineFacts())
}

// ownGroups names the groups that this machine is in.
func (n *Node) ownGroups() []string { return withMemberships(n.member.Groups, n.ownMemberships()) }

// Inventory implements api.Surveyor.
func (n *Node) Inventory(_ context.Context, q api.InventoryQuery) (*api.Inventories, error) {
	if _, err := path.Match(q.Package, ""); err != nil {
		return nil, api.Errorf(api.ClassUsage, "%q is no pattern of package names", api.Clean(q.Package)).WithHint("such as 'openssl' or 'lib*'")
	}
	out := &api.Inventories{AsOf: n.cfg.Now().UTC(), Machines: []api.MachineInventory{}}
	own := q.Machine == "" || q.Machine == n.id || q.Machine == n.member.Name
	if own || q.All {
		m := api.MachineInventory{ID: n.id, Name: n.member.Name, Site: n.member.Site, Groups: nonNil(n.ownMemberships()), Inventory: n.stock.now.Load()}
		if m.Inventory == nil {
			m.Detail = "this machine was not looked at yet"
		}
		out.Machines = append(out.Machines, m)
	}
	if n.seed != nil && (q.All || !own) {
		rows, err := n.seed.db.Members()
		if err != nil {
			return nil, err
		}
		for _, k := range rows {
			if k.ID == n.id || k.ReplacedBy != "" || !q.All && k.ID != q.Machine && k.Name != q.Machine {
				continue
			}
			m := api.MachineInventory{ID: k.ID, Name: k.Name, Site: k.Site, Groups: nonNil(n.seed.membershipsOf(k))}
			m.Inventory, _, m.Detail = n.seed.inventoryOf(k.ID)
			out.Machines = append(out.Machines, m)
		}
	}
	if len(out.Machines) == 0 {
		return nil, n.noMachine(q.Machine)
	}
	for i := range out.Machines {
		out.Machines[i].Inventory = narrowPackages(out.Machines[i].Inventory, q.Package)
	}
	slices.SortStableFunc(out.Machines, func(a, b api.MachineInventory) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return out, nil
}

func (n *Node) noMachine(name string) error {
	e := api.Errorf(api.ClassNotFound, "no machine %q is known here", api.Clean(name))
	if n.seed == nil {
		return e.WithHint("an ordinary machine knows itself alone: ask on the seed")
	}
	return e.WithHint("'patchmesh status' lists the machines by name and id")
}

// narrowPackages keeps the packages of a pattern, in a copy.
func narrowPackages(v *policy.Inventory, pattern string) *policy.Inventory {
	if v == nil || pattern == "" {
		return v
	}
	c := *v
	c.Packages = []policy.Package{}
	for _, p := range v.Packages {
		if ok, err := path.Match(pattern, p.Name); ok && err == nil {
			c.Packages = append(c.Packages, p)
		}
	}
	return &c
}

// surveyed are the machines that this node knows, with their groups.
func (n *Node) surveyed() ([]api.MachineInventory, error) {
	if n.seed == nil {
		return []api.MachineInventory{{ID: n.id, Name: n.member.Name, Groups: n.ownMemberships()}}, nil
	}
	rows, err := n.seed.db.Members()
	if err != nil {
		return nil, err
	}
	var out []api.MachineInventory
	for _, k := range rows {
		if k.ReplacedBy == "" {
			out = append(out, api.MachineInventory{ID: k.ID, Name: k.Name, Groups: n.seed.membershipsOf(k)})
		}
	}
	slices.SortFunc(out, func(a, b api.MachineInventory) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return out, nil
}

// Groups implements api.Surveyor.
func (n *Node) Groups(_ context.Context, q api.GroupsQuery) (*api.Groups, error) {
	m := n.believer.current().Manifest()
	if m == nil {
		return nil, api.Errorf(api.ClassFailed, "this node has lost its approvals and waits for those of the mesh")
	}
	machines, err := n.surveyed()
	if err != nil {
		return nil, err
	}
	if q.Machine != "" {
		machines = slices.DeleteFunc(machines, func(k api.MachineInventory) bool { return k.ID != q.Machine && k.Name != q.Machine })
		if len(machines) == 0 {
			return nil, n.noMachine(q.Machine)
		}
	}
	out := &api.Groups{Epoch: m.Epoch, Claims: []api.GroupClaim{}}
	at := map[string]int{}
	add := func(g api.GroupInfo) {
		at[g.Name] = len(out.Groups)
		out.Groups = append(out.Groups, g)
	}
	add(api.GroupInfo{Group: policy.Group{Name: policy.GroupAll}, BuiltIn: true, Machines: []api.GroupMember{}})
	add(api.GroupInfo{Group: policy.Group{Name: policy.GroupUnassigned}, BuiltIn: true, Machines: []api.GroupMember{}})
	for _, g := range m.Groups {
		add(api.GroupInfo{Group: g, Machines: []api.GroupMember{}})
	}
	for _, k := range machines {
		for _, s := range k.Groups {
			i, known := at[s.Group]
			if !s.Counts() && s.Source != policy.MemberUnknown || !known {
				out.Claims = append(out.Claims, api.GroupClaim{Machine: k.Name, ID: k.ID, Group: s.Group, Source: s.Source, Detail: api.Clean(s.Detail)})
				continue
			}
			g := &out.Groups[i]
			if last := len(g.Machines) - 1; last >= 0 && g.Machines[last].ID == k.ID {
				continue // for a second reason
			}
			g.Machines = append(g.Machines, api.GroupMember{Machine: k.Name, ID: k.ID, Source: s.Source, Detail: api.Clean(s.Detail)})
		}
	}
	if q.Machine != "" {
		out.Groups = slices.DeleteFunc(out.Groups, func(g api.GroupInfo) bool { return len(g.Machines) == 0 })
	}
	return out, nil
}

// SetGroup implements api.Surveyor.
func (n *Node) SetGroup(_ context.Context, r api.GroupRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.setGroup(r) })
}

func (s *seed) setGroup(r api.GroupRequest) (*api.Published, error) {
	g := r.Group
	w := wish{passphrase: r.Passphrase, reason: r.Reason, summary: "group " + g.String()}
	if r.Drop {
		w.summary = "drop group " + api.Clean(g.Name)
	} else if err := checkNewGroup(g); err != nil {
		return nil, err
	}
	return s.change(w, func(m *sheet) error {
		at := slices.IndexFunc(m.groups, func(o policy.Group) bool { return o.Name == g.Name })
		if r.Drop {
			if at < 0 {
				return api.Errorf(api.ClassNotFound, "the approvals list no group %q", api.Clean(g.Name)).WithHint("'patchmesh group list' tells them")
			}
			if err := m.unused(g.Name); err != nil {
				return err
			}
			m.groups = slices.Delete(m.groups, at, at+1)
			return s.forgetGroup(g.Name)
		}
		if g.Parent == policy.GroupAll {
			g.Parent = ""
		}
		if g.Parent != "" {
			if err := s.needGroup(m, g.Parent); err != nil {
				return err
			}
			at = slices.IndexFunc(m.groups, func(o policy.Group) bool { return o.Name == g.Name })
		}
		if at >= 0 {
			m.groups[at] = g
		} else {
			m.groups = append(m.groups, g)
		}
		if err := s.db.PutGroup(g.Name, g.Parent); err != nil { // so that machines can be invited into it
			return err
		}
		return nil
	})
}

func checkNewGroup(g policy.Group) error {
	if !policy.ValidName(g.Name) || g.Parent != "" && !policy.ValidName(g.Parent) {
		return api.Errorf(api.ClassUsage, "%q in %q: no valid name for a group", api.Clean(g.Name), api.Clean(g.Parent)).
			WithHint("use letters, digits, dot, dash and underscore, 1 to 63 of them")
	}
	if g.Name == policy.GroupAll || g.Name == policy.GroupUnassigned {
		return api.Errorf(api.ClassUsage, "group %q is built in: machines are in it by themselves", g.Name)
	}
	if g.Parent == g.Name || g.Parent == policy.GroupUnassigned {
		return api.Errorf(api.ClassUsage, "group %s cannot lie in %s", g.Name, g.Parent)
	}
	if g.Query != nil {
		if err := g.Query.CheckQuery(); err != nil {
			return api.Errorf(api.ClassUsage, "query: %v", err).WithHint("'patchmesh group set --help' shows queries")
		}
	}
	return nil
}

// forgetGroup takes a dropped group out of the seed's books, so that a slip of a hand does not make it again; its name stays
// there, at the top, while machines are enrolled into it.
func (s *seed) forgetGroup(name string) error {
	members, err := s.db.Members()
	if err != nil {
		return err
	}
	if err := s.db.DropGroup(name); err != nil {
		return err
	}
	if slices.ContainsFunc(members, func(k state.MemberRow) bool { return k.ReplacedBy == "" && slices.Contains(k.Groups, name) }) {
		return s.db.PutGroup(name, "")
	}
	return nil
}

// listEnrolled lists every group into which a machine was enrolled: what is said for unassigned machines is not meant for
// those, and would come to them, and go again once somebody says something for their group.
func (s *seed) listEnrolled(m *sheet) error {
	members, err := s.db.Members()
	if err != nil {
		return err
	}
	groups, err := s.db.Groups()
	if err != nil {
		return err
	}
	parents := parentsOf(groups)
	var names []string
	for _, k := range members {
		if k.ReplacedBy == "" {
			names = append(names, k.Groups...)
		}
	}
	slices.Sort(names)
	for _, g := range slices.Compact(names) {
		m.list(g, parents)
	}
	return nil
}

// parentsOf tells of each group in the seed's books what it lies in.
func parentsOf(groups []state.GroupRow) map[string]string {
	parents := map[string]string{}
	for _, g := range groups {
		parents[g.Name] = g.Parent
	}
	return parents
}

// list lists a group that the books know, and those that it lies in: the draft that was to list them may have come to nothing.
func (m *sheet) list(name string, parents map[string]string) {
	listed := func(name string) bool {
		return slices.ContainsFunc(m.groups, func(o policy.Group) bool { return o.Name == name })
	}
	for !listed(name) {
		parent, known := parents[name]
		if !known {
			return
		}
		if _, there := parents[parent]; !there && !listed(parent) {
			parent = ""
		}
		m.groups = append(m.groups, policy.Group{Name: name, Parent: parent})
		name = parent
	}
}

// unused refuses to drop a group that something is about: dropping it would change what that means.
func (m *sheet) unused(name string) error {
	var by []string
	for _, a := range m.approvals {
		if a.Group == name {
			by = append(by, "the approval of "+string(a.Update))
		}
	}
	for _, h := range m.holds {
		if h.Group == name {
			by = append(by, "hold "+h.ID)
		}
	}
	for _, e := range m.exceptions {
		if e.Group == name {
			by = append(by, "exception "+e.ID)
		}
	}
	for _, w := range m.windows {
		if w.Group == name {
			by = append(by, "window "+w.ID)
		}
	}
	for _, s := range m.settings {
		if s.Group == name {
			by = append(by, "setting "+s.Name)
		}
	}
	for _, p := range m.ringPlans {
		for _, r := range p.Rings {
			if slices.Contains(r.Groups, name) {
				by = append(by, "ring plan "+p.Name)
			}
		}
	}
	for _, r := range m.rules {
		if r.Group == name {
			by = append(by, "approval rule "+r.Name)
		}
	}
	for _, o := range m.orchestrations {
		if o.Group == name {
			by = append(by, "orchestration "+o.Name)
		}
	}
	for _, b := range m.baselines {
		if b.Group == name {
			by = append(by, "its baseline")
		}
	}
	for _, g := range m.groups {
		if g.Parent == name {
			by = append(by, "group "+g.Name+" in it")
		}
	}
	if len(by) > 0 {
		return api.Errorf(api.ClassRefused, "group %s is in use: %s", name, strings.Join(by[:min(len(by), 5)], ", ")).WithHint("take those back first")
	}
	return nil
}

// Claim implements api.Surveyor: client-side targeting. The claim counts where the signed group lets machines
// join, here as on the seed; the seed's people see it in any case.
func (n *Node) Claim(_ context.Context, r api.ClaimRequest) (*api.Claimed, error) {
	if !policy.ValidName(r.Group) || r.Group == policy.GroupAll || r.Group == policy.GroupUnassigned {
		return nil, api.Errorf(api.ClassUsage, "%q is no group that a machine can join", api.Clean(r.Group))
	}
	s := &n.stock
	s.mu.Lock()
	next := slices.DeleteFunc(slices.Clone(s.claims), func(c string) bool { return c == r.Group })
	if !r.Leave {
		next = append(next, r.Group)
		slices.Sort(next)
	}
	if len(next) > maxClaims {
		s.mu.Unlock()
		return nil, api.Errorf(api.ClassRefused, "this machine says of %d groups already that it is in them", maxClaims)
	}
	b, err := json.Marshal(nonNil(next))
	if err == nil {
		err = n.db.PutValue(claimsKey, b)
	}
	if err == nil {
		s.claims = next
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	n.events.send(swarm.InventoryChanged{Machine: n.machineFacts()})
	out := &api.Claimed{Machine: n.member.Name, Claims: nonNil(next)}
	for _, g := range n.ownMemberships() {
		if g.Group == r.Group {
			out.Counts, out.Detail = out.Counts || g.Source == policy.MemberClaimed, cmp.Or(out.Detail, api.Clean(g.Detail))
		}
	}
	if !r.Leave && !out.Counts && out.Detail == "" {
		out.Detail = "it is not known yet whether the group lets machines join"
	}
	return out, nil
}

// Query is a condition that an inventory can answer, see policy.Condition.
type Query = policy.Condition

// ParseQuery reads the query of a group as people write it.
func ParseQuery(b []byte) (*Query, error) {
	q, err := policy.ParseCondition(b)
	if err != nil {
		return nil, err
	}
	return q, q.CheckQuery()
}

var _ api.Surveyor = (*Node)(nil)
