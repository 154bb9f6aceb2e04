package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
)

// Baseline is the set of updates that every machine of a group must have, a new or rebuilt one first of all. It
// approves nothing: it is what machines are measured by. A machine is measured by the baselines of all of its
// groups.
type Baseline struct {
	Group   string     `json:"group"`
	Updates []UpdateID `json:"updates"` // sorted
	At      time.Time  `json:"at"`
}

// Limits of baselines.
const (
	maxBaselines       = 1000
	maxBaselineUpdates = 5000
)

// Validate says what is wrong with a baseline. ErrFormat, ErrTooLarge.
func (b *Baseline) Validate() error {
	if err := checkName("group", b.Group); err != nil {
		return fmt.Errorf("baseline: %w", err)
	}
	if len(b.Updates) > maxBaselineUpdates {
		return fmt.Errorf("baseline of group %s with %d updates: %w", b.Group, len(b.Updates), ErrTooLarge)
	}
	if len(b.Updates) == 0 {
		return fmt.Errorf("baseline of group %s asks for nothing: %w", b.Group, ErrFormat)
	}
	for i, u := range b.Updates {
		if _, err := ParseUpdateID(string(u)); err != nil {
			return fmt.Errorf("baseline of group %s: %w", b.Group, err)
		}
		if i > 0 && b.Updates[i-1] >= u {
			return fmt.Errorf("baseline of group %s: %s is out of order or double: %w", b.Group, u, ErrFormat)
		}
	}
	return nil
}

func (m *Manifest) sortBaselines() {
	slices.SortFunc(m.Baselines, func(a, b Baseline) int { return strings.Compare(a.Group, b.Group) })
	for i := range m.Baselines {
		u := slices.Clone(m.Baselines[i].Updates)
		slices.Sort(u)
		m.Baselines[i].Updates = slices.Compact(u)
	}
}

func (m *Manifest) checkBaselines() error {
	if len(m.Baselines) > maxBaselines {
		return fmt.Errorf("%d baselines: %w", len(m.Baselines), ErrTooLarge)
	}
	for i := range m.Baselines {
		if err := m.Baselines[i].Validate(); err != nil {
			return err
		}
		if i > 0 && m.Baselines[i-1].Group >= m.Baselines[i].Group {
			return fmt.Errorf("baseline of group %s is out of order or double: %w", m.Baselines[i].Group, ErrFormat)
		}
	}
	return nil
}

// String says all of a baseline in one line, for people.
func (b Baseline) String() string {
	text := make([]string, len(b.Updates))
	for i, u := range b.Updates {
		text[i] = string(u)
	}
	return fmt.Sprintf("of group %s: %s", b.Group, strings.Join(text, ", "))
}

// BaselineOf is what machines in these groups must have: the baselines of all of them, sorted, without doubles.
func (m *Manifest) BaselineOf(groups []string) []UpdateID {
	if len(m.Baselines) == 0 {
		return nil
	}
	in := m.depths(groups)
	var out []UpdateID
	for _, b := range m.Baselines {
		if _, addressed := in[b.Group]; addressed {
			out = append(out, b.Updates...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Standing is what a machine has said of one update.
type Standing struct {
	Compliance Compliance
	Reason     Reason
}

// Replacers is which updates replace which, and which of them may be installed somewhere.
type Replacers struct {
	chains
	offered map[UpdateID]bool
}

// Replacers finds them by what is approved; describe gives descriptors that are at hand, nil for others.
func (m *Manifest) Replacers(describe func(content.ID) *Descriptor) Replacers {
	r := Replacers{offered: map[UpdateID]bool{}}
	for _, a := range m.Approvals {
		r.add(a.Update)
		r.offered[a.Update] = r.offered[a.Update] || a.offers()
	}
	r.complete(0, m.decided(describe, func(Approval) bool { return true }))
	return r
}

// Lacking are the updates of a baseline that a machine does not have: neither the update itself nor one that
// replaces it is installed, and the machine has not found that it is none of its own. That somebody declined it,
// or has approved it for nobody, does not excuse anything; nor does a replacement that is not for the machine. What a machine
// has not said it does not have.
func (r Replacers) Lacking(baseline []UpdateID, said map[UpdateID]Standing) []UpdateID {
	has := r.Has(said)
	return slices.DeleteFunc(append([]UpdateID{}, baseline...), has)
}

// Has is what Lacking asks of one machine, for many updates.
func (r Replacers) Has(said map[UpdateID]Standing) func(UpdateID) bool {
	var replaced []bool
	return func(u UpdateID) bool {
		s := said[u]
		if s.Compliance.There() || s.Compliance == NotApplicable && foreign(s.Reason) {
			return true
		}
		if replaced == nil {
			replaced = r.replacedBySuch(func(n UpdateID) bool { return r.offered[n] && said[n].Compliance.There() })
		}
		n, known := r.node[u]
		return known && replaced[n]
	}
}

// foreign: the update is for other machines.
func foreign(r Reason) bool {
	return r == ReasonCompatArch || r == ReasonCompatOS || r == ReasonCompatEdition
}

// Approved are the updates that a baseline of a group would hold by what is approved now: those that are
// installed on all of its machines, not merely on those of the rings that were reached, without what others
// among them replace.
func (m *Manifest) Approved(group string, describe func(content.ID) *Descriptor) []UpdateID {
	var all []UpdateID
	descs := map[UpdateID]*Descriptor{}
	for _, w := range effective(m, m.around([]string{group}), time.Time{}) {
		a := m.Approvals[w.index]
		if p := m.RingPlan(a.RingPlan); a.Action != ActionInstall || p != nil && !a.Expedite && len(a.RingsOpened) < len(p.Rings) {
			continue
		}
		d := describe(a.Descriptor)
		if d != nil && d.Mitigates != "" {
			continue // it goes again
		}
		all, descs[a.Update] = append(all, a.Update), d
	}
	r := m.Replacers(describe)
	gone := r.replacedForAll(func(u UpdateID) *Descriptor { return descs[u] }, func(u UpdateID) bool { return descs[u] != nil })
	return slices.DeleteFunc(all, gone)
}
