package policy

import "time"

// Contest is the approvals of one update, to ask for many machines which of them counts there.
type Contest struct {
	m     Manifest // with the approvals of that update alone
	first int      // where those begin in the manifest
}

// Contest of the approvals of an update.
func (m *Manifest) Contest(u UpdateID) Contest {
	c := Contest{m: *m}
	c.m.Approvals = nil
	for i, a := range m.Approvals {
		if a.Update == u {
			if c.m.Approvals == nil {
				c.first = i
			}
			c.m.Approvals = append(c.m.Approvals, a)
		}
	}
	return c
}

// Winner is the index in the manifest of the approval that counts on a machine of these groups; -1: none addresses it.
func (c Contest) Winner(groups []string, now time.Time) int {
	won := effective(&c.m, c.m.depths(groups), now)
	if len(won) == 0 {
		return -1
	}
	return c.first + won[0].index
}
