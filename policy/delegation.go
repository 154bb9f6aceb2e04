package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Delegation is what the main approvers let another set of keys decide: some actions for some groups,
// and nothing else. The keys and their threshold are in the TUF delegation of the same name; both are
// in documents that the main threshold signed under one epoch.
type Delegation struct {
	Role    string   `json:"role"`    // also the name of the TUF role
	Groups  []string `json:"groups"`  // exactly these; not the groups nested in them
	Actions []string `json:"actions"` // actions of approvals, MayHold, MayExpedite
	// Granted is the epoch at which these keys were given the role. A document made under an earlier
	// grant of the same name counts for nothing: a role that is taken away and given again begins empty.
	Granted uint64 `json:"granted"`
	// After is how far the role's name had come before this grant: the snapshot goes on naming that
	// document, nobody asks for it, and the first of this grant is the next.
	After uint64 `json:"after,omitempty"`
	// MinSerial is the newest document of the role that the main approvers had seen: a machine that
	// knows nothing yet must not be shown an older one, whatever keys the seed has lost.
	MinSerial uint64 `json:"min_serial,omitempty"`
}

// What a delegation may allow beside the actions of approvals.
const (
	MayHold     = "hold"
	MayExpedite = "expedite"
)

// Limits of delegations.
const (
	MaxDelegations     = 64
	maxDelegatedGroups = 256
	maxDelegatedKeys   = 64
)

// reservedRoles are names that mean something else in TUF or here.
var reservedRoles = []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP, RosterRole, "manifest", "main", brakePrefix}

// ValidRole says whether a delegated role may have this name: lower case, as it becomes a file name.
func ValidRole(name string) bool {
	return ValidName(name) && !slices.Contains(reservedRoles, name) && name == strings.ToLower(name) && !strings.Contains(name, ".")
}

// RolePath is the name of a delegated role's target.
func RolePath(role string) string { return "approvals/" + role + ".json" }

// checkDelegations is part of Manifest.check: sorted, no doubles, only known actions.
func (m *Manifest) checkDelegations() error {
	if len(m.Delegations) > MaxDelegations {
		return fmt.Errorf("%d delegations: %w", len(m.Delegations), ErrTooLarge)
	}
	for i, d := range m.Delegations {
		if !ValidRole(d.Role) {
			return fmt.Errorf("delegated role %.70q: %w", d.Role, ErrFormat)
		}
		if i > 0 && m.Delegations[i-1].Role >= d.Role {
			return fmt.Errorf("delegated role %s is out of order or double: %w", d.Role, ErrFormat)
		}
		if d.Granted < 1 || d.Granted > m.Epoch || d.MinSerial > maxEpoch || d.After > maxEpoch {
			return fmt.Errorf("role %s granted at epoch %d, this is %d: %w", d.Role, d.Granted, m.Epoch, ErrFormat)
		}
		if len(d.Groups) == 0 || len(d.Groups) > maxDelegatedGroups || !slices.IsSorted(d.Groups) || len(slices.Compact(slices.Clone(d.Groups))) != len(d.Groups) {
			return fmt.Errorf("role %s has %d groups, or they are out of order: %w", d.Role, len(d.Groups), ErrFormat)
		}
		for _, g := range d.Groups {
			if err := checkName("group", g); err != nil {
				return err
			}
		}
		if len(d.Actions) == 0 || !slices.IsSorted(d.Actions) || len(slices.Compact(slices.Clone(d.Actions))) != len(d.Actions) {
			return fmt.Errorf("role %s may do nothing, or its actions are out of order: %w", d.Role, ErrFormat)
		}
		for _, a := range d.Actions {
			if _, err := ParseAction(a); err != nil && a != MayHold && a != MayExpedite {
				return fmt.Errorf("role %s may %.20q: %w", d.Role, a, ErrFormat)
			}
		}
	}
	return nil
}

// delegation finds the limits of a role.
func (m *Manifest) delegation(role string) (Delegation, bool) {
	i := slices.IndexFunc(m.Delegations, func(d Delegation) bool { return d.Role == role })
	if i < 0 {
		return Delegation{}, false
	}
	return m.Delegations[i], true
}

// checkDelegation refuses targets whose delegations checkDelegates refuses, or that give the roster to
// another key than the root names.
func checkDelegation(root *metadata.Metadata[metadata.RootType], m *metadata.Metadata[metadata.TargetsType]) error {
	if err := checkDelegates(root, m); err != nil {
		return err
	}
	return checkRosterBound(root, m.Signed.Delegations)
}

// checkDelegates refuses targets that let anybody but the roster keys sign the roster, the roster
// keys sign anything else, or a key that a seed holds online approve. Behind the roster come the
// delegated approvers, each with the one path of its name.
func checkDelegates(root *metadata.Metadata[metadata.RootType], m *metadata.Metadata[metadata.TargetsType]) error {
	d := m.Signed.Delegations
	if d == nil || d.SuccinctRoles != nil || len(d.Roles) < 1 || len(d.Roles) > 1+MaxDelegations {
		return fmt.Errorf("targets do not delegate to the roster role and named approvers: %w", ErrFormat)
	}
	if err := checkKeys(d.Keys); err != nil {
		return err
	}
	for i, role := range d.Roles {
		path := RosterPath
		if i > 0 {
			path = RolePath(role.Name)
		}
		switch {
		case (i == 0) != (role.Name == RosterRole), i > 0 && !ValidRole(role.Name), i > 1 && d.Roles[i-1].Name >= role.Name,
			len(role.Paths) != 1, len(role.PathHashPrefixes) != 0, len(role.UnrecognizedFields) != 0:
			return fmt.Errorf("targets delegate %.3q to %.20q: %w", role.Paths, role.Name, ErrFormat)
		case role.Paths[0] != path:
			return fmt.Errorf("targets delegate %.70q to %.20q: %w", role.Paths[0], role.Name, ErrFormat)
		}
		if err := checkRoleKeys(root, d, role); err != nil {
			return err
		}
	}
	return nil
}

// checkRoleKeys keeps the two kinds of keys apart: what a seed holds online, and what approves.
func checkRoleKeys(root *metadata.Metadata[metadata.RootType], d *metadata.Delegations, role metadata.DelegatedRole) error {
	if len(role.KeyIDs) > maxDelegatedKeys || role.Threshold < 1 {
		return fmt.Errorf("role %.20q needs %d of %d keys: %w", role.Name, role.Threshold, len(role.KeyIDs), ErrFormat)
	}
	distinct := map[string]bool{}
	for _, id := range role.KeyIDs {
		k := d.Keys[id]
		if k == nil {
			return fmt.Errorf("role %.20q names key %.16s, which is missing: %w", role.Name, id, ErrFormat)
		}
		distinct[id] = true
		switch {
		case role.Name == RosterRole && canApprove(root, k):
			return fmt.Errorf("a roster key could approve too: %w", ErrWeakKey)
		case role.Name != RosterRole && (holdsRole(root, onlineRoles, k) || slices.Contains(d.Roles[0].KeyIDs, id)):
			return fmt.Errorf("a key of role %s is online: %w", role.Name, ErrWeakKey)
		}
	}
	if len(distinct) < role.Threshold {
		return fmt.Errorf("role %.20q needs %d of %d keys: %w", role.Name, role.Threshold, len(distinct), ErrFormat)
	}
	return nil
}

// sameRoles says whether the limits in the manifest and the keys in the targets are about the same
// roles: limits without keys would be idle, keys without limits boundless.
func sameRoles(m *Manifest, d *metadata.Delegations) error {
	names := make([]string, 0, len(d.Roles))
	for _, r := range d.Roles[1:] {
		names = append(names, r.Name)
	}
	limits := make([]string, 0, len(m.Delegations))
	for _, l := range m.Delegations {
		limits = append(limits, l.Role)
	}
	if !slices.Equal(names, limits) {
		return fmt.Errorf("keys are given to %.200q, limits to %.200q: %w", names, limits, ErrFormat)
	}
	return nil
}

// roleOf finds a delegated role by name; nil if there is none.
func roleOf(d *metadata.Delegations, name string) *metadata.DelegatedRole {
	if d == nil {
		return nil
	}
	for i := range d.Roles {
		if d.Roles[i].Name == name {
			return &d.Roles[i]
		}
	}
	return nil
}

// sameKeys says whether a role has the same keys and threshold in two delegations. Public keys are
// compared, not their ids.
func sameKeys(a, b *metadata.Delegations, name string) bool {
	x, y := roleOf(a, name), roleOf(b, name)
	if x == nil || y == nil || x.Threshold != y.Threshold || len(x.KeyIDs) != len(y.KeyIDs) {
		return false
	}
	for _, id := range x.KeyIDs {
		if !slices.Contains(y.KeyIDs, id) || a.Keys[id] == nil || b.Keys[id] == nil || a.Keys[id].Value.PublicKey != b.Keys[id].Value.PublicKey {
			return false
		}
	}
	return true
}
