package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Group is a named set of machines; Parent nests it. GroupAll and GroupUnassigned are built in. A machine is
// in a group because it was enrolled into it, because the group's query fits its inventory, or because
// it says so itself where the group lets it. All of these are signed with the manifest, but the first: that
// is the word of the seed.
type Group struct {
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"`
	// Query finds members by their inventory: a Condition without files, registry and commands.
	Query *Condition `json:"query,omitempty"`
	// SelfJoin: a machine may say itself that it is in the group.
	SelfJoin bool `json:"self_join,omitempty"`
}

// Limits of groups with a query: every plan asks all of them.
const maxQueries = 1000

func (g Group) check() error {
	if g.Query == nil {
		return nil
	}
	if err := g.Query.CheckQuery(); err != nil {
		return fmt.Errorf("query of group %s: %w", g.Name, err)
	}
	return nil
}

// String says all of a group in one line, for people.
func (g Group) String() string {
	s := fmt.Sprintf("%s (in %s)", g.Name, firstText(g.Parent, GroupAll))
	if g.SelfJoin {
		s += ", machines may join it by themselves"
	}
	if g.Query != nil {
		b, err := json.Marshal(g.Query)
		if err != nil {
			return s + ", with a query that cannot be shown"
		}
		s += ", and whatever fits " + string(b)
	}
	return s
}

// Membership is one group of a machine with why it is in it.
type Membership struct {
	Group string `json:"group"`
	// Source is all, enrolled, query, claimed, nested or unassigned; unknown: whether it is in the group
	// cannot be found out; refused: it says that it is, and the group does not let it; no-such-group; and unlisted: it was
	// enrolled into it, and nothing that is signed lists it.
	Source string `json:"source"`
	Detail string `json:"detail,omitempty"` // for people
}

// Sources of a membership.
const (
	MemberAll        = "all"
	MemberEnrolled   = "enrolled"
	MemberQuery      = "query"
	MemberClaimed    = "claimed"
	MemberNested     = "nested"
	MemberUnassigned = "unassigned"
	MemberUnknown    = "unknown"
	MemberRefused    = "refused"
	MemberNoGroup    = "no-such-group"
	MemberUnlisted   = "unlisted"
)

// Counts says whether the machine is in the group.
func (m Membership) Counts() bool {
	return m.Source != MemberUnknown && m.Source != MemberRefused && m.Source != MemberNoGroup && m.Source != MemberUnlisted
}

// Memberships tells every group of a machine, and what became of its own claims, sorted by group.
func (m *Manifest) Memberships(mach Machine) []Membership {
	b := m.belongs(mach)
	out := slices.Clone(b.sources)
	listed := map[string]bool{}
	for _, s := range out {
		listed[s.Group] = listed[s.Group] || s.Counts()
	}
	for g := range b.in {
		switch {
		case listed[g]:
		case g == GroupAll:
			out = append(out, Membership{Group: g, Source: MemberAll})
		case g == GroupUnassigned:
			out = append(out, Membership{Group: g, Source: MemberUnassigned})
		default:
			out = append(out, Membership{Group: g, Source: MemberNested})
		}
	}
	for g, a := range b.doubt {
		if !listed[g] {
			out = append(out, Membership{Group: g, Source: MemberUnknown, Detail: a.Detail})
		}
	}
	slices.SortStableFunc(out, func(x, y Membership) int {
		return cmp.Or(strings.Compare(x.Group, y.Group), strings.Compare(x.Source, y.Source))
	})
	return out
}

// GroupsOf names the groups that a machine is in by itself: enrolled, by query or claimed; not those in which
// they are nested, nor the built-in ones. Sorted.
func (m *Manifest) GroupsOf(mach Machine) []string {
	out := []string{}
	for _, s := range m.Memberships(mach) {
		if s.Source == MemberEnrolled || s.Source == MemberQuery || s.Source == MemberClaimed {
			out = append(out, s.Group)
		}
	}
	return slices.Compact(out)
}

// AsksPackages says whether a query of any group asks for packages.
func (m *Manifest) AsksPackages() bool {
	for _, g := range m.Groups {
		if g.Query != nil && g.Query.walk(func(n *Condition) error {
			if n.Package != nil {
				return errAsked
			}
			return nil
		}) != nil {
			return true
		}
	}
	return false
}

var errAsked = errors.New("asked") // never leaves this file

// belonging is which groups a machine is in.
type belonging struct {
	in map[string]int // by depth, see depths
	// doubt are groups of which that cannot be found out, and why. What such a group forbids must count, what
	// it allows must not.
	doubt   map[string]Answer
	sources []Membership // neither nested nor built in
}

// either are the groups that a machine is or may be in.
func (b belonging) either() map[string]int {
	if len(b.doubt) == 0 {
		return b.in
	}
	all := maps.Clone(b.in)
	for g := range b.doubt {
		all[g] = max(all[g], 1)
	}
	return all
}

// belongs finds out the groups of a machine. Nobody but those who sign the manifest can widen them: a claim
// counts only where the signed group lets machines join, an inventory only in the words of a signed query.
func (m *Manifest) belongs(mach Machine) belonging {
	b := belonging{doubt: map[string]Answer{}}
	names, doubtful := slices.Clone(mach.Groups), map[string]Answer{}
	claims := slices.Clone(mach.Claims)
	facts := inventoryFacts{mach.Inventory, mach}
	for i := range m.Groups {
		g := &m.Groups[i]
		if slices.Contains(mach.Groups, g.Name) {
			b.sources = append(b.sources, Membership{Group: g.Name, Source: MemberEnrolled})
		}
		if g.Query != nil {
			switch a := g.Query.Evaluate(facts); a.Truth {
			case Yes:
				names = append(names, g.Name)
				b.sources = append(b.sources, Membership{Group: g.Name, Source: MemberQuery, Detail: a.Detail})
			case Uncertain:
				doubtful[g.Name] = a
			}
		}
		if at := slices.Index(claims, g.Name); at >= 0 {
			s := Membership{Group: g.Name, Source: MemberClaimed, Detail: "by the machine's own word"}
			if g.SelfJoin {
				names = append(names, g.Name)
			} else {
				s.Source, s.Detail = MemberRefused, "the machine says so, but the group does not let machines join by themselves"
			}
			b.sources = append(b.sources, s)
			claims = slices.DeleteFunc(claims, func(c string) bool { return c == g.Name })
		}
	}
	for _, c := range claims {
		b.sources = append(b.sources, Membership{Group: c, Source: MemberNoGroup, Detail: "the approvals list no such group"})
	}
	for _, g := range mach.Groups {
		if !slices.ContainsFunc(m.Groups, func(l Group) bool { return l.Name == g }) {
			b.sources = append(b.sources, Membership{Group: g, Source: MemberUnlisted, Detail: "it was enrolled into it, and the approvals do not list it yet"})
		}
	}
	b.in = m.depths(names)
	b.settleDoubt(m, names, doubtful)
	return b
}

// settleDoubt finds the groups that the machine would be in besides, or not be in, if doubtful queries fitted.
func (b *belonging) settleDoubt(m *Manifest, names []string, doubtful map[string]Answer) {
	for _, g := range slices.Sorted(maps.Keys(doubtful)) {
		with := m.depths(append(slices.Clone(names), g))
		for also := range with {
			if _, sure := b.in[also]; !sure {
				if _, told := b.doubt[also]; !told {
					b.doubt[also] = doubtful[g]
				}
			}
		}
		if _, still := with[GroupUnassigned]; !still {
			if _, was := b.in[GroupUnassigned]; was {
				b.doubt[GroupUnassigned] = doubtful[g]
			}
		}
	}
	if _, doubt := b.doubt[GroupUnassigned]; doubt {
		delete(b.in, GroupUnassigned)
	}
}

// depths gives every group that a machine is in its depth: 0 for "all", more the deeper it is nested.
// A machine in a group is in its parents too. Names that the manifest does not list are no groups.
func (m *Manifest) depths(machine []string) map[string]int {
	parent := m.parents()
	in := map[string]int{GroupAll: 0}
	listed := false
	for _, name := range machine {
		if _, known := parent[name]; !known {
			continue
		}
		listed = true
		for at := name; at != "" && at != GroupAll; at = parent[at] {
			in[at] = depth(parent, at)
		}
	}
	if !listed {
		in[GroupUnassigned] = 1
	}
	return in
}

// parents tells of each listed group what it lies in; empty: in all.
func (m *Manifest) parents() map[string]string {
	parent := make(map[string]string, len(m.Groups))
	for _, g := range m.Groups {
		parent[g.Name] = g.Parent
	}
	return parent
}

func depth(parent map[string]string, name string) int {
	d := 1
	for at := parent[name]; at != "" && at != GroupAll; at = parent[at] {
		d++
	}
	return d
}

// ruleGroups: while it is not known whether the machine is in a group, and that group has a say in when or
// whether this update is installed, nothing is: a closed window or a refusal may be what it would say.
func ruleGroups(q *question, v *Verdict) bool {
	if len(q.doubt) == 0 || q.approval.Action == ActionStageOnly {
		return false
	}
	for _, g := range slices.Sorted(maps.Keys(q.doubt)) {
		if a := q.doubt[g]; q.says(g) {
			v.Verb, v.Reason = VerbHold, cmp.Or(a.Reason, ReasonUnknownFirstScan)
			v.Detail = fmt.Sprintf("whether this machine is in group %s cannot be found out: %s", g, a.Detail)
			return true
		}
	}
	return false
}

// says: the group has an approval of this update, a window, an orchestration or a setting.
func (q *question) says(group string) bool {
	m := q.manifest
	return slices.ContainsFunc(m.Windows, func(w Window) bool { return w.Group == group }) ||
		slices.ContainsFunc(m.Orchestrations, func(o Orchestration) bool { return o.Group == group }) ||
		slices.ContainsFunc(m.Settings, func(s Setting) bool { return s.Group == group }) ||
		slices.ContainsFunc(m.Approvals, func(a Approval) bool { return a.Group == group && a.Update == q.approval.Update })
}
