package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
)

// ApprovalRule says what becomes of new updates that nobody has decided about: a seed puts what the rule asks
// for into a draft. A rule approves nothing. It is signed so that all approvers know what will be laid before
// them, and the draft is signed again, by people who have read it.
type ApprovalRule struct {
	Name string `json:"name"`

	// What it is about: of every list that is not empty one entry fits. All of them empty is refused.
	Severities      []string `json:"severities,omitempty"`
	Classifications []string `json:"classifications,omitempty"`
	Products        []string `json:"products,omitempty"` // patterns as path.Match reads them, without regard to case
	Updates         []string `json:"updates,omitempty"`  // patterns of ids
	Sources         []string `json:"sources,omitempty"`  // patterns of hosts from which the payload comes

	Group    string `json:"group"`
	RingPlan string `json:"ring_plan,omitempty"` // along which it goes; empty: all of the group at once
	Action   Action `json:"action"`

	SoakDays     int  `json:"soak_days,omitempty"`     // so long a revision lies in the catalogue first
	DeadlineDays int  `json:"deadline_days,omitempty"` // after the draft is made; 0: the deadlines by severity count
	DeadlineHour int  `json:"deadline_hour,omitempty"` // of that day, UTC
	Existing     bool `json:"existing,omitempty"`      // also what was in the catalogue before the rule

	At time.Time `json:"at"` // since when it is so
}

// Limits of approval rules.
const (
	maxApprovalRules = 200
	maxRuleEntries   = 100
	maxRuleDays      = 1000
)

// ruleActions are what a rule may ask for. To take something away is never left to a pattern.
var ruleActions = []Action{ActionInstall, ActionOptional, ActionStageOnly, ActionDetectOnly, ActionDecline}

// Validate says what is wrong with a rule. ErrFormat, ErrTooLarge.
func (r *ApprovalRule) Validate() error {
	if err := checkName("approval rule", r.Name); err != nil {
		return err
	}
	if err := r.checkLists(); err != nil {
		return fmt.Errorf("approval rule %s: %w", r.Name, err)
	}
	if err := checkName("group", r.Group); err != nil {
		return fmt.Errorf("approval rule %s: %w", r.Name, err)
	}
	if r.RingPlan != "" {
		if err := checkName("ring plan", r.RingPlan); err != nil {
			return fmt.Errorf("approval rule %s: %w", r.Name, err)
		}
	}
	if !slices.Contains(ruleActions, r.Action) {
		return fmt.Errorf("approval rule %s: action %.40q: %w", r.Name, r.Action, ErrFormat)
	}
	if r.SoakDays < 0 || r.SoakDays > maxRuleDays || r.DeadlineDays < 0 || r.DeadlineDays > maxRuleDays || r.DeadlineHour < 0 || r.DeadlineHour > 23 ||
		r.DeadlineHour > 0 && r.DeadlineDays == 0 {
		return fmt.Errorf("approval rule %s: %d days of soak, deadline of %d days at %d: %w", r.Name, r.SoakDays, r.DeadlineDays, r.DeadlineHour, ErrFormat)
	}
	return nil
}

func (r *ApprovalRule) checkLists() error {
	n := 0
	for _, list := range [][]string{r.Severities, r.Classifications, r.Products, r.Updates, r.Sources} {
		n += len(list)
		for _, s := range list {
			if s == "" {
				return fmt.Errorf("an empty entry: %w", ErrFormat)
			}
			if err := checkText("entry", s, 200); err != nil {
				return err
			}
			if _, err := path.Match(s, ""); err != nil {
				return fmt.Errorf("pattern %.60q: %w", s, ErrFormat)
			}
		}
	}
	for _, s := range r.Severities {
		if !slices.Contains(severities, s) {
			return fmt.Errorf("severity %.30q: %w", s, ErrFormat)
		}
	}
	if n == 0 || n > maxRuleEntries {
		return fmt.Errorf("%d conditions, it may have 1 to %d: %w", n, maxRuleEntries, ErrFormat)
	}
	return nil
}

func (m *Manifest) checkApprovalRules() error {
	if len(m.ApprovalRules) > maxApprovalRules {
		return fmt.Errorf("%d approval rules: %w", len(m.ApprovalRules), ErrTooLarge)
	}
	for i := range m.ApprovalRules {
		r := &m.ApprovalRules[i]
		if err := r.Validate(); err != nil {
			return err
		}
		if i > 0 && m.ApprovalRules[i-1].Name >= r.Name {
			return fmt.Errorf("approval rule %s is out of order or double: %w", r.Name, ErrFormat)
		}
		if r.RingPlan != "" && m.RingPlan(r.RingPlan) == nil {
			return fmt.Errorf("approval rule %s along ring plan %s, which is not there: %w", r.Name, r.RingPlan, ErrFormat)
		}
	}
	return nil
}

// String says all of a rule in one line, for people.
func (r ApprovalRule) String() string {
	s := r.Name + ": propose to " + string(r.Action)
	for _, l := range []struct {
		what string
		list []string
	}{{"severity", r.Severities}, {"classification", r.Classifications}, {"product", r.Products}, {"update", r.Updates}, {"source", r.Sources}} {
		if len(l.list) > 0 {
			s += fmt.Sprintf(", %s %s", l.what, strings.Join(l.list, " or "))
		}
	}
	s += " for group " + r.Group
	if r.RingPlan != "" {
		s += " along ring plan " + r.RingPlan
	}
	if r.SoakDays > 0 {
		s += fmt.Sprintf(", after %d days in the catalogue", r.SoakDays)
	}
	if r.DeadlineDays > 0 {
		s += fmt.Sprintf(", deadline after %d days at %02d:00 UTC", r.DeadlineDays, r.DeadlineHour)
	} else {
		s += ", deadline by severity"
	}
	if r.Existing {
		return s + ", also of what was there before"
	}
	return s + ", of what is new since " + r.At.UTC().Format("2006-01-02T15:04:05Z")
}

// originHosts are the hosts of the URLs from which a payload comes.
func originHosts(d *Descriptor) []string {
	var out []string
	for _, u := range d.Origins {
		_, rest, _ := strings.Cut(u, "://")
		host, _, _ := strings.Cut(rest, "/")
		host, _, _ = strings.Cut(host, ":")
		out = append(out, host)
	}
	return out
}

// Candidate is the newest revision of an update in a catalogue.
type Candidate struct {
	ID         content.ID
	Bytes      int
	Descriptor *Descriptor
	FirstAt    time.Time // when the update came into the catalogue
	RevisionAt time.Time // when this revision did
}

// Proposal is an approval that a rule or a switch asks for, or why it does not.
type Proposal struct {
	Rule     string // of an ApprovalRule; of a switch its setting
	Approval Approval
	DueAt    time.Time // when the rule's soak is over
	Not      string    // why it is not proposed although the rule fits; empty: it is
	Opens    bool      // it opens the first ring of its plan: what that one asks for must be there
}

// fits says whether a rule is about an update.
func (r *ApprovalRule) fits(d *Descriptor) bool {
	match := func(patterns []string, values ...string) bool {
		return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
			return slices.ContainsFunc(values, func(v string) bool {
				ok, err := path.Match(strings.ToLower(p), strings.ToLower(v))
				return ok && err == nil
			})
		})
	}
	return match(r.Severities, d.Severity) && match(r.Classifications, d.Classification) && match(r.Products, d.Product) &&
		match(r.Updates, string(d.Update)) && (len(r.Sources) == 0 || match(r.Sources, originHosts(d)...))
}

// Propose says what the approval rules of a manifest ask for, update by update: everything that a rule fits,
// with why it is not proposed where something stands against it. Of two rules for one update and one group the
// first by name counts.
func (m *Manifest) Propose(catalogue []Candidate, now time.Time) []Proposal {
	var out []Proposal
	for i := range m.ApprovalRules {
		r := &m.ApprovalRules[i]
		for _, c := range catalogue {
			if !r.fits(c.Descriptor) {
				continue
			}
			p := Proposal{Rule: r.Name, Approval: r.approval(c, now), DueAt: c.RevisionAt.Add(time.Duration(r.SoakDays) * day), Opens: r.RingPlan != ""}
			p.Not = m.objection(r, c, p.DueAt, now)
			if slices.ContainsFunc(out, func(o Proposal) bool {
				return o.Not == "" && o.Approval.Update == p.Approval.Update && o.Approval.Group == p.Approval.Group
			}) && p.Not == "" {
				p.Not = "another rule proposes it for the same group"
			}
			out = append(out, p)
		}
	}
	return out
}

// objection is why a rule that fits proposes nothing.
func (m *Manifest) objection(r *ApprovalRule, c Candidate, due, now time.Time) string {
	u := c.Descriptor.Update
	for _, a := range m.Approvals {
		switch {
		case a.Update != u || a.Listed():
		case a.Group == r.Group:
			return fmt.Sprintf("decided already: %s of revision %d for group %s", a.Action, a.Revision, a.Group)
		case a.Action == ActionDecline:
			return "declined for group " + a.Group
		}
	}
	switch {
	case c.Descriptor.Withdrawn:
		return "its vendor has withdrawn it"
	case c.Descriptor.Licence != "" && r.Action != ActionDecline && r.Action != ActionDetectOnly:
		return "somebody must accept its licence: approve it by hand"
	case !r.Existing && c.FirstAt.Before(r.At):
		return "it was in the catalogue before the rule"
	case now.Before(due):
		return "it soaks until " + due.UTC().Format(time.RFC3339)
	}
	return ""
}

func (r *ApprovalRule) approval(c Candidate, now time.Time) Approval {
	now = now.UTC().Truncate(time.Second)
	a := Approval{Update: c.Descriptor.Update, Revision: c.Descriptor.Revision, Descriptor: c.ID, DescriptorBytes: c.Bytes, Group: r.Group, Action: r.Action, At: now}
	if r.DeadlineDays > 0 && !c.Descriptor.MayAsk() {
		d := now.AddDate(0, 0, r.DeadlineDays)
		a.Deadline = time.Date(d.Year(), d.Month(), d.Day(), r.DeadlineHour, 0, 0, 0, time.UTC)
	}
	if r.RingPlan != "" {
		a.RingPlan, a.RingsOpened = r.RingPlan, []time.Time{now}
	}
	return a
}
