package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
)

// Approval is a signed statement: do this with that revision of an update on the machines of a group.
type Approval struct {
	Update          UpdateID   `json:"update"`
	Revision        int        `json:"revision"`
	Descriptor      content.ID `json:"descriptor"`
	DescriptorBytes int        `json:"descriptor_bytes"`
	Group           string     `json:"group"`
	Action          Action     `json:"action"`
	NotBefore       time.Time  `json:"not_before,omitzero"`
	Deadline        time.Time  `json:"deadline,omitzero"`
	Expedite        bool       `json:"expedite,omitempty"`
	IgnoreWindows   bool       `json:"ignore_windows,omitempty"` // may be installed while every maintenance window is closed
	IgnoreBudget    bool       `json:"ignore_budget,omitempty"`  // its content may pass the WAN budget of a site
	At              time.Time  `json:"at"`

	// LocalTime: NotBefore and Deadline are what each machine's own clock shows, written as if it were UTC.
	LocalTime bool `json:"local_time,omitempty"`

	// RingPlan sends it along a plan's rings, one after the other; RingsOpened says when each was opened.
	RingPlan    string      `json:"ring_plan,omitempty"`
	RingsOpened []time.Time `json:"rings_opened,omitempty"`

	// DeadlineMinutes is a deadline that counts from when each ring was opened, instead of Deadline; 0: none.
	DeadlineMinutes int `json:"deadline_minutes,omitempty"`

	role  string    // the delegated role that decided it; empty: the main approvers
	until time.Time // when that role's signatures expire; zero: with the approvals as a whole

	published []time.Time // when At and RingsOpened were, where any came late; nil: when they were stamped. See Late
}

// MaxDeadlineMinutes bounds a deadline that counts from when a ring was opened.
const MaxDeadlineMinutes = 1000 * 24 * 60

// Role is the delegated role that an approval comes from; empty for the main approvers.
func (a Approval) Role() string { return a.role }

// Hold is a signed stop.
type Hold struct {
	ID        string     `json:"id"`
	Update    UpdateID   `json:"update"`          // or AllUpdates
	Group     string     `json:"group,omitempty"` // empty: every machine
	Kind      string     `json:"kind"`            // pause, safeguard, freeze
	Reason    string     `json:"reason"`
	At        time.Time  `json:"at"`
	ExpiresAt time.Time  `json:"expires_at,omitzero"`
	Match     *HoldMatch `json:"match,omitempty"` // of a safeguard: which machines; nil: every one

	role     string
	revision int // that a brake is about; 0: all
}

// Role is the delegated role that a hold comes from; empty for the main approvers.
func (h Hold) Role() string { return h.role }

// The built-in groups: every machine, and those that are in no listed group.
const (
	GroupAll        = "all"
	GroupUnassigned = "unassigned"
)

// Manifest is the complete current set of approvals and holds.
type Manifest struct {
	Format    int        `json:"format"`
	Org       string     `json:"org"`
	Epoch     uint64     `json:"epoch"` // strictly growing; the version of the targets role
	IssuedAt  time.Time  `json:"issued_at"`
	Groups    []Group    `json:"groups"`
	Approvals []Approval `json:"approvals"`
	Holds     []Hold     `json:"holds"`
	// HoldExceptions open some of the holds for some machines, for a time.
	HoldExceptions []HoldException `json:"hold_exceptions,omitempty"`

	Windows   []Window   `json:"windows,omitempty"`
	RingPlans []RingPlan `json:"ring_plans,omitempty"`
	Settings  []Setting  `json:"settings,omitempty"`

	ApprovalRules []ApprovalRule `json:"approval_rules,omitempty"`
	Baselines     []Baseline     `json:"baselines,omitempty"`

	Orchestrations []Orchestration `json:"orchestrations,omitempty"`

	// Delegations are the limits of further approvers, see merge. Absent where there are none.
	Delegations []Delegation `json:"delegations,omitempty"`
}

// Limits of a manifest.
const (
	ManifestFormat   = 1
	MaxManifestBytes = 32 << 20
	maxApprovals     = 50000
	maxHolds         = 10000
	maxGroups        = 10000
	maxGroupDepth    = 32
	maxReasonBytes   = 500
	maxOrgBytes      = 128
	maxEpoch         = 1 << 62 // an epoch is a TUF version too, and those are signed numbers
)

// Encode sorts and writes the document. Equal manifests have equal bytes.
func (m *Manifest) Encode() ([]byte, error) {
	m.Format = ManifestFormat
	slices.SortFunc(m.Groups, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(m.Approvals, compareApprovals)
	slices.SortFunc(m.Holds, func(a, b Hold) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(m.HoldExceptions, compareExceptions)
	slices.SortFunc(m.RingPlans, func(a, b RingPlan) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(m.Settings, compareSettings)
	slices.SortFunc(m.Windows, func(a, b Window) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(m.ApprovalRules, func(a, b ApprovalRule) int { return strings.Compare(a.Name, b.Name) })
	m.sortBaselines()
	m.sortOrchestrations()
	slices.SortFunc(m.Delegations, func(a, b Delegation) int { return strings.Compare(a.Role, b.Role) })
	if err := m.check(); err != nil {
		return nil, err
	}
	return encodeAtMost("manifest", m, MaxManifestBytes)
}

func compareApprovals(a, b Approval) int {
	if c := strings.Compare(string(a.Update), string(b.Update)); c != 0 {
		return c
	}
	return strings.Compare(a.Group, b.Group)
}

// DecodeManifest reads a document and checks all of it. ErrFormat, ErrTooLarge.
func DecodeManifest(b []byte) (*Manifest, error) {
	var m Manifest
	if err := decodeExact(b, MaxManifestBytes, &m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return &m, nil
}

func (m *Manifest) check() error {
	if m.Format != ManifestFormat {
		return fmt.Errorf("format %d, this version knows %d: %w", m.Format, ManifestFormat, ErrFormat)
	}
	if len(m.Approvals) > maxApprovals || len(m.Holds) > maxHolds || len(m.Groups) > maxGroups {
		return fmt.Errorf("%d approvals, %d holds, %d groups: %w", len(m.Approvals), len(m.Holds), len(m.Groups), ErrTooLarge)
	}
	if err := checkOrg(m.Org); err != nil {
		return err
	}
	if m.Epoch < 1 || m.Epoch > maxEpoch {
		return fmt.Errorf("epoch %d: %w", m.Epoch, ErrFormat)
	}
	if err := m.checkGroups(); err != nil {
		return err
	}
	if err := m.checkWindows(); err != nil {
		return err
	}
	if err := m.checkSettings(); err != nil {
		return err
	}
	if err := m.checkRings(); err != nil {
		return err
	}
	if err := errors.Join(checkExceptions(m.HoldExceptions, maxExceptions), m.checkApprovalRules(), m.checkBaselines(), m.checkOrchestrations()); err != nil {
		return err
	}
	if err := m.checkDelegations(); err != nil {
		return err
	}
	return checkDecisions(m.Approvals, m.Holds)
}

// checkDecisions checks approvals and holds one by one, and that they are in order without doubles.
func checkDecisions(approvals []Approval, holds []Hold) error {
	for i, a := range approvals {
		if err := a.check(); err != nil {
			return err
		}
		if i > 0 && compareApprovals(approvals[i-1], a) >= 0 {
			return fmt.Errorf("approval of %s for %s is out of order or double: %w", a.Update, a.Group, ErrFormat)
		}
	}
	for i, h := range holds {
		if err := h.check(); err != nil {
			return err
		}
		if i > 0 && holds[i-1].ID >= h.ID {
			return fmt.Errorf("hold %s is out of order or double: %w", h.ID, ErrFormat)
		}
	}
	return nil
}

func (a Approval) check() error {
	if _, err := ParseUpdateID(string(a.Update)); err != nil {
		return err
	}
	if _, err := ParseAction(string(a.Action)); err != nil {
		return err
	}
	if a.Revision < 1 || a.Descriptor.IsZero() || a.DescriptorBytes < 2 || a.DescriptorBytes > MaxDescriptorBytes {
		return fmt.Errorf("approval of %s names no descriptor: %w", a.Update, ErrFormat)
	}
	if a.LocalTime && a.NotBefore.IsZero() && a.Deadline.IsZero() {
		return fmt.Errorf("approval of %s has no time that could be local: %w", a.Update, ErrFormat)
	}
	if a.DeadlineMinutes < 0 || a.DeadlineMinutes > MaxDeadlineMinutes || a.DeadlineMinutes > 0 && (a.RingPlan == "" || !a.Deadline.IsZero() || a.LocalTime) {
		return fmt.Errorf("approval of %s: a deadline of %d minutes counts along rings, and is the only one: %w", a.Update, a.DeadlineMinutes, ErrFormat)
	}
	if err := a.checkRings(); err != nil {
		return err
	}
	return checkName("group", a.Group)
}

func (h Hold) check() error {
	if err := checkName("hold", h.ID); err != nil {
		return err
	}
	if h.Update != AllUpdates {
		if _, err := ParseUpdateID(string(h.Update)); err != nil {
			return err
		}
	}
	if h.Group != "" {
		if err := checkName("group", h.Group); err != nil {
			return err
		}
	}
	switch h.Kind {
	case HoldPause, HoldSafeguard, HoldFreeze:
	default:
		return fmt.Errorf("hold %s of kind %.20q: %w", h.ID, h.Kind, ErrFormat)
	}
	if err := h.checkMatch(); err != nil {
		return err
	}
	return checkText("hold reason", h.Reason, maxReasonBytes)
}

// checkGroups refuses doubles, unknown parents and circles.
func (m *Manifest) checkGroups() error {
	parent := map[string]string{}
	queries := 0
	for i, g := range m.Groups {
		if err := checkName("group", g.Name); err != nil {
			return err
		}
		if g.Name == GroupAll || g.Name == GroupUnassigned {
			return fmt.Errorf("group %s is built in: %w", g.Name, ErrFormat)
		}
		if i > 0 && m.Groups[i-1].Name >= g.Name {
			return fmt.Errorf("group %s is out of order or double: %w", g.Name, ErrFormat)
		}
		if err := g.check(); err != nil {
			return err
		}
		if g.Query != nil {
			queries++
		}
		parent[g.Name] = g.Parent
	}
	if queries > maxQueries {
		return fmt.Errorf("%d groups with a query: %w", queries, ErrTooLarge)
	}
	for _, g := range m.Groups {
		for steps, at := 0, g.Parent; at != "" && at != GroupAll; steps++ {
			next, known := parent[at]
			if !known || steps >= maxGroupDepth { // a circle is endlessly deep
				return fmt.Errorf("group %s has no way of %d steps up to %s: %w", g.Name, maxGroupDepth, GroupAll, ErrFormat)
			}
			at = next
		}
	}
	return nil
}
