package node

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// A seed that finds that machines fail stops an update twice: by its brake at once, and by a halt that approvers sign,
// which takes the brake's place. Who opens the one for a machine means the stop, not the document that it stands in: so
// the exception is made from both, each in words that approvers sign, and goes on when the halt is made later. Other
// holds of the update are another matter; who is still held by one is told of it.

// stem is what the ids of exceptions that were asked for as one have in common.
func stem(id string) string {
	const length = len("x-0f3a5c2b9d11")
	if strings.HasPrefix(id, "x-") && len(id) > length && id[length] == '-' {
		return id[:length]
	}
	return id
}

// twin is an exception for the same machines, time and reason from another hold.
func twin(e policy.HoldException, hold string, all []policy.HoldException) policy.HoldException {
	base := stem(e.ID)
	for n := 2; ; n++ {
		id := fmt.Sprintf("%s-%d", base, n)
		if !slices.ContainsFunc(all, func(o policy.HoldException) bool { return o.ID == id }) {
			e.ID, e.Hold = id, hold
			return e
		}
	}
}

// standing are the holds of a draft, with those that are in force by the word of others.
func (s *seed) standing(m *sheet) []policy.Hold {
	holds := slices.Clone(m.holds)
	if man := s.believer.current().Manifest(); man != nil {
		for _, h := range man.Holds {
			known := slices.ContainsFunc(holds, func(o policy.Hold) bool { return o.ID == h.ID })
			if !known && h.Role() != m.role { // what the draft has dropped of its own is gone
				holds = append(holds, h)
			}
		}
	}
	return holds
}

// beside puts the exceptions into a draft that are meant with one from a brake or a halt.
func (m *sheet) beside(e policy.HoldException, holds []policy.Hold) {
	i := slices.IndexFunc(holds, func(h policy.Hold) bool { return h.ID == e.Hold })
	if i < 0 || m.role != "" {
		return
	}
	for _, o := range holds {
		if o.ID != e.Hold && holds[i].SameStop(o) {
			m.exceptions = append(m.exceptions, twin(e, o.ID, m.exceptions))
		}
	}
}

// carry lets machines that were excepted from a revision's brake go past the halt that takes its place.
func (m *sheet) carry(halt policy.Hold, a policy.Approval, now time.Time) {
	brake := policy.Brake{Update: a.Update, Revision: a.Revision}.ID()
	for _, e := range slices.Clone(m.exceptions) {
		if e.Hold == brake && now.Before(e.Until) {
			m.exceptions = append(m.exceptions, twin(e, halt.ID, m.exceptions))
		}
	}
}

// draft is a sheet as the manifest that it would be, for questions about its holds.
func (m *sheet) draft() *policy.Manifest {
	return &policy.Manifest{Holds: m.holds, HoldExceptions: m.exceptions}
}

// stillHeld tells what stops the update where an exception has just opened one hold, and what ends that. inForce has the
// groups.
func (s *seed) stillHeld(e policy.HoldException, m *sheet, inForce *policy.Manifest) (out []string) {
	holds := s.standing(m)
	i := slices.IndexFunc(holds, func(h policy.Hold) bool { return h.ID == e.Hold })
	if i < 0 || inForce == nil {
		return nil
	}
	groups := []string{e.Group}
	if e.Machine != "" {
		groups = s.groupsByID(e.Machine)
	}
	for _, o := range holds {
		elsewhere := o.Group != "" && o.Group != policy.GroupAll && !inForce.InGroup(groups, o.Group)
		if o.ID == e.Hold || o.Over(s.now()) || elsewhere || o.Update != holds[i].Update && o.Update != policy.AllUpdates {
			continue
		}
		opened := func(x policy.HoldException) bool {
			return x.Hold == o.ID && s.now().Before(x.Until) && (x.Machine != "" && x.Machine == e.Machine || x.Group != "" && (x.Group == policy.GroupAll || inForce.InGroup(groups, x.Group)))
		}
		if slices.ContainsFunc(m.exceptions, opened) {
			continue
		}
		what, how := "stops", fmt.Sprintf("'patchmesh release %s' ends it", o.ID)
		if o.Exceptable() {
			how = fmt.Sprintf("'patchmesh hold except %s' opens it too", o.ID)
		}
		if o.Match != nil || o.Revision() != 0 {
			what = "may stop"
		}
		out = append(out, api.Clean(fmt.Sprintf("%s is not free to go on: hold %s (%s, by %s, for %s) %s it there as well; %s", e.For(), o.ID, o.Kind, holdsBy(o), holdScopeText(o), what, how)))
	}
	return out
}

func (s *seed) groupsByID(id string) []string {
	members, err := s.db.Members()
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(members, func(k state.MemberRow) bool { return k.ID == id })
	if i < 0 {
		return nil
	}
	return s.groupsOf(members[i])
}
