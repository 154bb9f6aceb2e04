package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// withdraw takes the approval of an update for a group back: from then on the group has no word of its own about it,
// and what is said for the groups around it counts. What is installed stays. Nothing of the update itself is asked
// for: it may have gone from the catalogue.
func (s *seed) withdraw(r api.ApproveRequest) (*api.Published, error) {
	if r.Action != "" || r.Rings != "" || r.Revision != 0 || !r.NotBefore.IsZero() || !r.Deadline.IsZero() || r.DeadlineMinutes != 0 || r.Expedite || r.IgnoreWindows || r.IgnoreBudget || r.LocalTime {
		return nil, api.Errorf(api.ClassUsage, "an approval is withdrawn as a whole").WithHint("--withdraw goes with --group, --role and --reason alone")
	}
	w := wish{role: r.Role, passphrase: r.Passphrase, reason: r.Reason,
		summary: fmt.Sprintf("withdraw the approval of %s for group %s", api.Clean(r.Update), api.Clean(r.Group))}
	return s.change(w, func(m *sheet) error {
		if i := slices.IndexFunc(m.approvals, func(a policy.Approval) bool { return string(a.Update) == r.Update && a.Group == r.Group }); i >= 0 && r.Role == "" &&
			m.approvals[i].Listed() && (&policy.Manifest{Settings: m.settings}).ListsNew() {
			return api.Errorf(api.ClassNotFound, "nobody has decided about %s for group %s: it is only looked for, as all of the catalogue is", api.Clean(r.Update), api.Clean(r.Group)).
				WithHint("'patchmesh approve %s --group %s --action decline' ends that", api.Clean(r.Update), api.Clean(r.Group))
		}
		var of []string
		n := len(m.approvals)
		for _, a := range m.approvals {
			if string(a.Update) == r.Update && (r.Role != "" || !a.Listed()) { // to be looked for is no approval
				of = append(of, a.Group)
			}
		}
		m.approvals = slices.DeleteFunc(m.approvals, func(a policy.Approval) bool { return string(a.Update) == r.Update && a.Group == r.Group })
		if len(m.approvals) < n {
			return nil
		}
		e := api.Errorf(api.ClassNotFound, "no approval of %s for group %s", api.Clean(r.Update), api.Clean(r.Group))
		if len(of) > 0 {
			return e.WithHint("it is approved for: %s", strings.Join(of, ", "))
		}
		return e.WithHint("nothing is said about it%s", map[bool]string{true: " by role " + api.Clean(r.Role)}[r.Role != ""])
	})
}

// revision is the one of an update that an approval names; 0 is the newest.
func (s *seed) revision(id string, revision int) (state.CatalogueRow, error) {
	newest, err := s.update(id)
	if err != nil || revision == 0 || revision == newest.Revision {
		return newest, err
	}
	row, err := s.db.UpdateRevision(id, revision)
	if errors.Is(err, state.ErrNotFound) {
		return row, api.Errorf(api.ClassNotFound, "%s has no revision %d", api.Clean(id), revision).
			WithHint("the newest is %d; 'patchmesh catalogue show %s' lists them", newest.Revision, api.Clean(id))
	}
	return row, err
}
