package apply

import (
	"time"

	"patchmesh/policy"
)

// failures is a journal that remembers how the last work on a revision ended.
type failures interface {
	// JournalFailed says whether it failed, and when.
	JournalFailed(update string, revision int) (at time.Time, failed bool, err error)
}

// setBack lists what has failed here, as this role's own journal tells it, but for the update that is ordered: nothing waits
// for one that must be alone, or comes at the end of a chain, and does not work on this machine. What cannot be read
// failed nowhere.
func (r *Role) setBack(m *policy.Manifest, ordered policy.UpdateID) map[policy.UpdateID]policy.SetBack {
	j, is := r.cfg.Journal.(failures)
	if !is {
		return nil
	}
	out := map[policy.UpdateID]policy.SetBack{}
	for _, a := range m.Approvals {
		d := r.cfg.Shelf.Describe(a.Descriptor)
		if a.Update == ordered || a.Action != policy.ActionInstall || d == nil || d.Exclusive != "yes" && len(d.Supersedes) == 0 {
			continue
		}
		if at, failed, err := j.JournalFailed(string(a.Update), a.Revision); err == nil && failed {
			out[a.Update] = policy.SetBack{Revision: a.Revision, ApprovedAt: at}
		}
	}
	return out
}
