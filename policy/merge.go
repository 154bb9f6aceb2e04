package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// RoleState is what became of one delegated role in a verified set of documents.
type RoleState struct {
	Delegation
	KeyIDs    []string
	Threshold int
	Serial    uint64    // of its document; 0: it has not signed any under this grant
	ExpiresAt time.Time // when its signatures expire: then its approvals end, its holds stay
	Refused   error     // why its document does not count; nil if it does, or there is none
	Document  *RoleManifest
}

// unreadable is the reason of the hold that stands in for a document that its role signed and this
// version cannot read: it may have held something.
const unreadable = "the document of this role was signed but cannot be read by this version"

// merge makes the manifest in force: what the main approvers decided, and what delegated roles
// decided within their limits. The epoch is the main manifest's; only the version of the head tells
// two merges of one epoch apart.
//
// For one update and one group the main approvers' word stands, unless it is no more than that there is the update
// (see Approval.Listed): who wants a role's approval gone declines the update. Otherwise approvals compete as
// always: the deeper group wins. Holds add up, those of the seed too (see Brake; nil roster: none).
func merge(main *Manifest, roles []RoleState, roster *Roster) *Manifest {
	brakes := roster.holds()
	if len(roles)+len(brakes) == 0 {
		return main
	}
	m := *main
	m.Approvals, m.Holds, m.HoldExceptions = slices.Clone(main.Approvals), append(slices.Clone(main.Holds), brakes...), slices.Clone(main.HoldExceptions)
	said := map[[2]string]bool{}
	for _, a := range main.Approvals {
		if a.Listed() { // it decides nothing, and must not silence who does
			continue
		}
		said[[2]string{string(a.Update), a.Group}] = true
	}
	for _, r := range roles {
		if r.Refused != nil && r.Document == nil {
			m.Holds = append(m.Holds, r.standIn(main.IssuedAt)...)
		}
		if r.Refused != nil || r.Document == nil {
			continue
		}
		for _, a := range r.Document.Approvals {
			if said[[2]string{string(a.Update), a.Group}] {
				continue
			}
			a.role, a.until = r.Role, r.ExpiresAt
			m.Approvals = append(m.Approvals, a)
		}
		for _, h := range r.Document.Holds {
			h.role = r.Role
			m.Holds = append(m.Holds, h)
		}
		for _, e := range r.Document.HoldExceptions {
			e.role = r.Role
			if !r.ExpiresAt.IsZero() && r.ExpiresAt.Before(e.Until) { // the role's hold stays, and what lets go of it ends
				e.Until = r.ExpiresAt
			}
			m.HoldExceptions = append(m.HoldExceptions, e)
		}
	}
	slices.SortStableFunc(m.Approvals, compareApprovals) // stable: roles come in the order of their names
	slices.SortStableFunc(m.HoldExceptions, compareExceptions)
	slices.SortStableFunc(m.Holds, func(a, b Hold) int { return strings.Compare(a.ID, b.ID) })
	return &m
}

// standIn holds the role's groups while its document cannot be read, if it may hold at all.
func (r RoleState) standIn(at time.Time) []Hold {
	if !slices.Contains(r.Actions, MayHold) || r.Serial == 0 {
		return nil
	}
	holds := make([]Hold, 0, len(r.Groups))
	for _, g := range r.Groups {
		holds = append(holds, Hold{ID: r.Role + ".unreadable", Update: AllUpdates, Group: g, Kind: "safeguard", Reason: unreadable, At: at, role: r.Role})
	}
	return holds
}

// Roles are the delegated roles in force, sorted by name.
func (t *Trust) Roles() []RoleState { return slices.Clone(t.roles) }

// role finds a delegated role by name.
func (t *Trust) role(name string) (RoleState, bool) {
	i := slices.IndexFunc(t.roles, func(r RoleState) bool { return r.Role == name })
	if i < 0 {
		return RoleState{}, false
	}
	return t.roles[i], true
}

// delegations are the TUF delegations of the main approvers; nil before the first manifest.
func (t *Trust) delegations() *metadata.Delegations {
	if m := t.tm.Targets[metadata.TARGETS]; m != nil {
		return m.Signed.Delegations
	}
	return nil
}
