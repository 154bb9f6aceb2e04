package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RoleManifest is what a delegated role decides: its own approvals and holds, complete each time.
type RoleManifest struct {
	Format    int        `json:"format"`
	Org       string     `json:"org"`
	Role      string     `json:"role"`
	Granted   uint64     `json:"granted"` // the grant under which it was made, see Delegation
	Serial    uint64     `json:"serial"`  // strictly growing; the version of the TUF role
	IssuedAt  time.Time  `json:"issued_at"`
	Approvals []Approval `json:"approvals"`
	Holds     []Hold     `json:"holds"` // ids begin with the role's name and a dot
	// HoldExceptions open the role's own holds; their ids begin like those.
	HoldExceptions []HoldException `json:"hold_exceptions,omitempty"`
}

// Limits of a delegated role's documents.
const (
	RoleManifestFormat   = 1
	MaxRoleManifestBytes = 256 << 10 // a canary group, not a fleet: joining machines get all of it at once
	MaxRoleBytes         = 64 << 10  // its TUF metadata
	maxRoleApprovals     = 800
	maxRoleHolds         = 200
)

// Encode sorts and writes the document. Equal documents have equal bytes.
func (m *RoleManifest) Encode() ([]byte, error) {
	m.Format = RoleManifestFormat
	slices.SortFunc(m.Approvals, compareApprovals)
	slices.SortFunc(m.Holds, func(a, b Hold) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(m.HoldExceptions, compareExceptions)
	if err := m.check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode document of role %s: %w", m.Role, err)
	}
	if len(b) > MaxRoleManifestBytes {
		return nil, fmt.Errorf("document of role %s of %d bytes: %w", m.Role, len(b), ErrTooLarge)
	}
	return b, nil
}

// DecodeRoleManifest reads a document and checks all of it. ErrFormat, ErrTooLarge. Whether it keeps
// to the limits of its role, the delegation says.
func DecodeRoleManifest(b []byte) (*RoleManifest, error) {
	var m RoleManifest
	if err := decodeExact(b, MaxRoleManifestBytes, &m); err != nil {
		return nil, fmt.Errorf("document of a role: %w", err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("document of a role: %w", err)
	}
	return &m, nil
}

func (m *RoleManifest) check() error {
	switch {
	case m.Format != RoleManifestFormat:
		return fmt.Errorf("format %d, this version knows %d: %w", m.Format, RoleManifestFormat, ErrFormat)
	case !ValidRole(m.Role):
		return fmt.Errorf("role %.70q: %w", m.Role, ErrFormat)
	case m.Serial < 1 || m.Serial > maxEpoch || m.Granted < 1 || m.Granted > maxEpoch:
		return fmt.Errorf("serial %d of grant %d: %w", m.Serial, m.Granted, ErrFormat)
	case len(m.Approvals) > maxRoleApprovals || len(m.Holds) > maxRoleHolds:
		return fmt.Errorf("%d approvals, %d holds: %w", len(m.Approvals), len(m.Holds), ErrTooLarge)
	}
	if err := checkOrg(m.Org); err != nil {
		return err
	}
	for _, h := range m.Holds {
		if !strings.HasPrefix(h.ID, m.Role+".") {
			return fmt.Errorf("hold %.80q of role %s does not begin with its name: %w", h.ID, m.Role, ErrFormat)
		}
	}
	for _, e := range m.HoldExceptions {
		if own := m.Role + "."; !strings.HasPrefix(e.ID, own) || !strings.HasPrefix(e.Hold, own) {
			return fmt.Errorf("exception %.80q of role %s is not from one of its own holds: %w", e.ID, m.Role, ErrFormat)
		}
	}
	if err := checkExceptions(m.HoldExceptions, maxRoleHolds); err != nil {
		return err
	}
	for _, a := range m.Approvals {
		if a.RingPlan != "" { // plans stand in the main manifest, and change without this document
			return fmt.Errorf("role %s approves %s along ring plan %s: %w", m.Role, a.Update, a.RingPlan, ErrFormat)
		}
	}
	return checkDecisions(m.Approvals, m.Holds)
}

// beyond says what in a document exceeds the limits of its role; nil if nothing does. ErrLimit.
func (d Delegation) beyond(m *RoleManifest) error {
	may := func(what string) bool { return slices.Contains(d.Actions, what) }
	for _, a := range m.Approvals {
		switch {
		case !slices.Contains(d.Groups, a.Group):
			return fmt.Errorf("role %s approves %s for group %s: %w", d.Role, a.Update, a.Group, ErrLimit)
		case !may(string(a.Action)):
			return fmt.Errorf("role %s approves %s of %s: %w", d.Role, a.Action, a.Update, ErrLimit)
		case (a.Expedite || a.IgnoreWindows || a.IgnoreBudget) && !may(MayExpedite):
			return fmt.Errorf("role %s expedites %s: %w", d.Role, a.Update, ErrLimit)
		}
	}
	for _, h := range m.Holds {
		group := h.Group
		if group == "" {
			group = GroupAll
		}
		if !may(MayHold) || !slices.Contains(d.Groups, group) {
			return fmt.Errorf("role %s holds %s for group %s: %w", d.Role, h.Update, group, ErrLimit)
		}
	}
	for _, e := range m.HoldExceptions {
		if !may(MayHold) || e.Group != "" && !slices.Contains(d.Groups, e.Group) {
			return fmt.Errorf("role %s makes an exception from %s for %s: %w", d.Role, e.Hold, e.For(), ErrLimit)
		}
	}
	return nil
}

// decisions are everything that a signature under the document says, for approvers to see.
func (m *RoleManifest) decisions() decisions {
	return decisions{approvals: m.Approvals, holds: m.Holds, exceptions: m.HoldExceptions}
}
