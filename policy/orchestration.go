package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
)

// Orchestration lets only so many machines of a group and a site be changed at once. The machines settle that among
// themselves (package swarm/orch), by votes of a majority of the members that are listed here: the list, and not
// the group, says who votes, since everybody must go by the same one. A machine of the group that is not on the
// list is changed by nobody.
type Orchestration struct {
	Name string `json:"name"`
	// Group and Site: which machines are bound. Its members live in one site, since votes do not leave it.
	Group string `json:"group"`
	Site  string `json:"site"`
	// Generation grows with every change, also with a reset.
	Generation uint64 `json:"generation"`
	// Since is the generation that it was set in first. One that was dropped and set anew is another one: what
	// members have said in the one before must not count, and it is signed and may be brought along by anybody.
	Since   uint64 `json:"since,omitempty"`
	Count   int    `json:"count,omitempty"`   // machines at once, or
	Percent int    `json:"percent,omitempty"` // of the members, see Slots
	Ordered bool   `json:"ordered,omitempty"` // members go in the order of the list
	// MemberMinutes is how long one may hold a slot: its install, its signed scripts and its restart. GroupMinutes
	// is how long all may take together; 0: as long as they need.
	MemberMinutes int  `json:"member_minutes"`
	GroupMinutes  int  `json:"group_minutes,omitempty"`
	GoOn          bool `json:"go_on,omitempty"`  // also after a member has failed; else all stops until a reset
	Bypass        bool `json:"bypass,omitempty"` // what the user of a machine accepts by hand does not wait for a slot
	Reset         int  `json:"reset,omitempty"`  // how often it was reset
	Liars         int  `json:"liars,omitempty"`  // members whose false votes must change nothing, see package orch

	Members []OrchMember `json:"members"`
	// Earlier are lists of members before, the newest first, whose machines may not all know of a newer one yet.
	Earlier []EarlierMembers `json:"earlier,omitempty"`
}

// OrchMember is a machine that votes and takes turns.
type OrchMember struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// EarlierMembers is a list that was in force until some epoch.
type EarlierMembers struct {
	Until   uint64   `json:"until"`   // the epoch that put another one in its place
	Minutes int      `json:"minutes"` // Orchestration.MemberMinutes of then
	Members []string `json:"members"`
}

// Limits of orchestrations. MaxOrchSlots is orch.MaxSlots: a member's card has a vote for each.
const (
	MaxOrchMembers = 1000
	MaxOrchSlots   = 128
	MaxOrchEarlier = 4

	maxOrchestrations = 200
	maxOrchMinutes    = 7 * 24 * 60
)

// Slots is how many members may be at work at once: a share is rounded down, is at least one, and is all of them
// only for 100 %.
func (o *Orchestration) Slots() int {
	n := len(o.Members)
	switch {
	case o.Percent == 0:
		return min(o.Count, n)
	case o.Percent == 100:
		return n
	}
	return max(1, min(n*o.Percent/100, n-1))
}

// MemberLimit is how long a member may hold a slot.
func (o *Orchestration) MemberLimit() time.Duration {
	return time.Duration(o.MemberMinutes) * time.Minute
}

// Lease is how long a vote may stand, and what an earlier list of members may still have given lasts.
func (o *Orchestration) Lease() time.Duration {
	return o.MemberLimit() + o.MemberLimit()/8 + time.Minute
}

// Rolls are the lists of which a slot needs a majority each.
func (o *Orchestration) Rolls() [][]string {
	out := [][]string{o.MemberIDs()}
	for _, e := range o.Earlier {
		out = append(out, e.Members)
	}
	return out
}

// MemberIDs are the present members, in order.
func (o *Orchestration) MemberIDs() []string {
	ids := make([]string, len(o.Members))
	for i, m := range o.Members {
		ids[i] = m.ID
	}
	return ids
}

// MemberName is what people call a member; its id where the list does not say.
func (o *Orchestration) MemberName(id string) string {
	for _, m := range o.Members {
		if m.ID == id {
			return m.Name
		}
	}
	return id
}

// Validate says what is wrong with an orchestration. ErrFormat, ErrTooLarge.
func (o *Orchestration) Validate() error {
	for _, x := range [][2]string{{"orchestration", o.Name}, {"group", o.Group}, {"site", o.Site}} {
		if err := checkName(x[0], x[1]); err != nil {
			return fmt.Errorf("orchestration %.70q: %w", o.Name, err)
		}
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("orchestration %s: %s: %w", o.Name, fmt.Sprintf(format, args...), ErrFormat)
	}
	switch {
	case (o.Count == 0) == (o.Percent == 0):
		return bad("it allows either a number of machines or a share of them")
	case o.Count < 0 || o.Percent < 0 || o.Percent > 100:
		return bad("%d machines or %d %% at once", o.Count, o.Percent)
	case o.Generation < 1 || o.Generation > maxEpoch || o.Since > o.Generation || o.Reset < 0 || o.Reset > 1<<30:
		return bad("generation %d since %d, reset %d", o.Generation, o.Since, o.Reset)
	case o.MemberMinutes < 1 || o.MemberMinutes > maxOrchMinutes:
		return bad("a member has %d minutes, it may have 1 to %d", o.MemberMinutes, maxOrchMinutes)
	case o.GroupMinutes != 0 && o.GroupMinutes < o.MemberMinutes || o.GroupMinutes > 100*maxOrchMinutes:
		return bad("all together have %d minutes", o.GroupMinutes)
	case len(o.Members) == 0 || len(o.Members) > MaxOrchMembers || len(o.Earlier) > MaxOrchEarlier:
		return bad("%d members and %d earlier lists, at most %d and %d", len(o.Members), len(o.Earlier), MaxOrchMembers, MaxOrchEarlier)
	case o.Slots() > MaxOrchSlots:
		return bad("%d machines at once, at most %d", o.Slots(), MaxOrchSlots)
	case o.Liars < 0 || o.Liars > 0 && o.Liars > len(o.Members)-2:
		return bad("%d false votes among %d members", o.Liars, len(o.Members))
	}
	return o.checkMembers()
}

func (o *Orchestration) checkMembers() error {
	marks := map[[8]byte]string{} // as votes name members, see orch.MarkOf
	for i, list := range o.Rolls() {
		seen := map[string]bool{}
		if len(list) == 0 || len(list) > MaxOrchMembers {
			return fmt.Errorf("orchestration %s: earlier list of %d members: %w", o.Name, len(list), ErrFormat)
		}
		for _, id := range list {
			if id == "" || seen[id] {
				return fmt.Errorf("orchestration %s: member %.70q twice or empty: %w", o.Name, id, ErrFormat)
			}
			if err := checkText("member", id, 128); err != nil {
				return err
			}
			seen[id] = true
			sum := content.Sum([]byte(id)).SHA256()
			mark := [8]byte(sum[:8])
			if other, taken := marks[mark]; taken && other != id {
				return fmt.Errorf("orchestration %s: members %s and %s cannot be told apart: %w", o.Name, id, other, ErrFormat)
			}
			marks[mark] = id
		}
		if i > 0 && (o.Earlier[i-1].Until < 1 || o.Earlier[i-1].Minutes < 1 || o.Earlier[i-1].Minutes > maxOrchMinutes || i > 1 && o.Earlier[i-1].Until > o.Earlier[i-2].Until) {
			return fmt.Errorf("orchestration %s: earlier lists are out of order: %w", o.Name, ErrFormat)
		}
	}
	for _, m := range o.Members {
		if err := checkText("name of a member", m.Name, 128); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) checkOrchestrations() error {
	if len(m.Orchestrations) > maxOrchestrations {
		return fmt.Errorf("%d orchestrations: %w", len(m.Orchestrations), ErrTooLarge)
	}
	of := map[string]string{}
	for i := range m.Orchestrations {
		o := &m.Orchestrations[i]
		if err := o.Validate(); err != nil {
			return err
		}
		if i > 0 && m.Orchestrations[i-1].Name >= o.Name {
			return fmt.Errorf("orchestration %s is out of order or double: %w", o.Name, ErrFormat)
		}
		for _, member := range o.Members { // two slots for one change could wait for each other in a circle
			if other, taken := of[member.ID]; taken {
				return fmt.Errorf("machine %s is a member of orchestrations %s and %s: %w", member.ID, other, o.Name, ErrFormat)
			}
			of[member.ID] = o.Name
		}
	}
	return nil
}

func (m *Manifest) sortOrchestrations() {
	slices.SortFunc(m.Orchestrations, func(a, b Orchestration) int { return strings.Compare(a.Name, b.Name) })
}

// Orchestration finds one by name, nil if there is none.
func (m *Manifest) Orchestration(name string) *Orchestration {
	for i := range m.Orchestrations {
		if m.Orchestrations[i].Name == name {
			return &m.Orchestrations[i]
		}
	}
	return nil
}

// OrchestrationOf is the one that binds a machine: it is a member, or else of the group and the site, or may be. nil:
// none does.
func (m *Manifest) OrchestrationOf(mach Machine) *Orchestration {
	for i := range m.Orchestrations {
		o := &m.Orchestrations[i]
		if slices.ContainsFunc(o.Members, func(x OrchMember) bool { return x.ID == mach.ID }) {
			return o
		}
	}
	if len(m.Orchestrations) == 0 {
		return nil
	}
	in := m.belongs(mach).either()
	for i := range m.Orchestrations {
		o := &m.Orchestrations[i]
		if _, is := in[o.Group]; is && o.Site == mach.Site {
			return o
		}
	}
	return nil
}

// Bypasses says whether the user of a machine has accepted an update by hand where that need not wait for a slot.
func (o *Orchestration) Bypasses(mach Machine, v Verdict) bool {
	w := mach.Wishes[v.Update]
	return o.Bypass && w.Accepted && w.Revision == v.Revision
}

// Needs is how long an update is taken to need of a slot: to install, with its signed scripts.
func (m *Manifest) Needs(mach Machine, d *Descriptor) time.Duration {
	set := m.settingsFor(m.belongs(mach).in, mach)
	q := question{desc: d, circumstances: &circumstances{machine: &mach, settings: &set}}
	return q.need()
}

// RestartNeeds is how long a restart is taken to need of a slot, with its warning.
func (m *Manifest) RestartNeeds(mach Machine) time.Duration { return restartRun + m.RestartDelay(mach) }

// RestartsItself says whether policy lets the machine restart without people.
func (m *Manifest) RestartsItself(mach Machine) bool {
	return m.settingsFor(m.belongs(mach).in, mach).restart != RestartNever
}

// String says all of an orchestration in one line, for people.
func (o Orchestration) String() string {
	s := fmt.Sprintf("%s for group %s in site %s: %d of %d at once", o.Name, o.Group, o.Site, o.Slots(), len(o.Members))
	if o.Percent > 0 {
		s += fmt.Sprintf(" (%d %%)", o.Percent)
	}
	if o.Ordered {
		s += ", in order"
	}
	s += fmt.Sprintf(", each within %d minutes", o.MemberMinutes)
	if o.GroupMinutes > 0 {
		s += fmt.Sprintf(", all within %d", o.GroupMinutes)
	}
	if o.GoOn {
		s += ", a failure does not stop it"
	}
	if o.Bypass {
		s += ", users need not wait"
	}
	if o.Liars > 0 {
		s += fmt.Sprintf(", %d false vote(s) change nothing", o.Liars)
	}
	var names []string
	for _, m := range o.Members {
		names = append(names, fmt.Sprintf("%s (%s)", m.Name, m.ID))
	}
	s += fmt.Sprintf(", generation %d, reset %d; members %s", o.Generation, o.Reset, strings.Join(names, ", "))
	for _, e := range o.Earlier {
		s += fmt.Sprintf("; until epoch %d %s", e.Until, strings.Join(e.Members, ", "))
	}
	return s
}

func (c Change) orchestrationText(sign string) string {
	if c.Orchestration != nil && c.WasOrchestration != nil {
		return fmt.Sprintf("%s orchestration %s\n            was: %s", sign, c.Orchestration, c.WasOrchestration)
	}
	return fmt.Sprintf("%s orchestration %s", sign, firstOf(c.Orchestration, c.WasOrchestration))
}

// OrchestrationNames says whether a machine is on a list of members, present or earlier, of an orchestration.
func (m *Manifest) OrchestrationNames(name, machine string) bool {
	o := m.Orchestration(name)
	return o != nil && slices.ContainsFunc(o.Rolls(), func(r []string) bool { return slices.Contains(r, machine) })
}
