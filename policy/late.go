package policy

import (
	"fmt"
	"time"
)

// RefreshLate is Refresh on a machine of a site with a staleness budget, see Roster.SiteStale: what online
// keys have signed to say that it is fresh may have ended so long ago. What approvers and the holders of the
// root have signed may not: no online key lengthens the life of an approval.
func (t *Trust) RefreshLate(head []byte, now time.Time, late time.Duration) *Refresh {
	r := t.Refresh(head, now)
	if r.err == nil && late > 0 {
		r.late, r.tm.RefTime = late, now.Add(-late)
	}
	return r
}

// inTime refuses what a budget of staleness does not reach.
func (r *Refresh) inTime(what string, end time.Time) error {
	if r.late > 0 && r.now.After(end) {
		return fmt.Errorf("%s of %s: %w", what, end.Format(time.DateOnly), ErrExpired)
	}
	return nil
}
