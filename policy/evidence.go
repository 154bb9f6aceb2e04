package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
)

// Check is one item of the test evidence for an update.
type Check string

// The checks. The first three are recorded by people who have made them; the last one is what the reports of
// the machines of the open rings say: the update was found there, which includes that its health probe held.
const (
	CheckBusiness      Check = "business"      // the programs that people work with still do
	CheckRestart       Check = "restart"       // the machine restarts properly with it
	CheckRollback      Check = "rollback"      // it can be taken off again
	CheckEffectiveness Check = "effectiveness" // it does what it is for
)

// Checks are all of them, in the order in which people read them.
var Checks = []Check{CheckBusiness, CheckRestart, CheckRollback, CheckEffectiveness}

// Evidence is one check that was made. It speaks of exactly one descriptor: of another revision, or of other
// bytes, it says nothing.
type Evidence struct {
	Check      Check      `json:"check"`
	Descriptor content.ID `json:"descriptor"`
	Revision   int        `json:"revision"`
	Passed     bool       `json:"passed"`
	By         string     `json:"by"`
	At         time.Time  `json:"at"`
	Note       string     `json:"note,omitempty"`
}

// Limits of evidence.
const (
	MaxEvidenceText = 500
	maxEvidence     = 64
)

// checkEvidence: a ring that asks for checks names each once.
func (r *Ring) checkEvidence() error {
	for i, c := range r.Evidence {
		if !slices.Contains(Checks, c) || slices.Contains(r.Evidence[:i], c) {
			return fmt.Errorf("ring %s: evidence %.30q: %w", r.Name, c, ErrFormat)
		}
	}
	return nil
}

// Asks are the checks that must have been made before the ring opens for an approval. To take an update off is what the
// rollback check is about: a ring that wants any evidence wants that one of a removal, whatever else it names.
func (r *Ring) Asks(action Action) []Check {
	if action != ActionRemove || len(r.Evidence) == 0 || slices.Contains(r.Evidence, CheckRollback) {
		return r.Evidence
	}
	return append(slices.Clone(r.Evidence), CheckRollback)
}

// EvidenceState is what stands about one check of an approved update.
type EvidenceState struct {
	Check Check  `json:"check"`
	OK    bool   `json:"ok"`
	Text  string `json:"text"`
}

// EvidenceFor says how each check stands for an approval, from the newest record of each and from what the
// machines of the open rings have reported.
func EvidenceFor(a Approval, records []Evidence, tallies []Tally) []EvidenceState {
	out := make([]EvidenceState, 0, len(Checks))
	for _, c := range Checks {
		s := EvidenceState{Check: c}
		if c == CheckEffectiveness {
			s.OK, s.Text = effectiveness(a.Action, tallies[:min(len(tallies), len(a.RingsOpened))])
		} else {
			s.OK, s.Text = recorded(a, c, records)
		}
		out = append(out, s)
	}
	return out
}

func recorded(a Approval, c Check, records []Evidence) (bool, string) {
	i := slices.IndexFunc(records, func(e Evidence) bool { return e.Check == c })
	if i < 0 {
		return false, "not recorded"
	}
	e := records[i]
	who := fmt.Sprintf("by %s at %s", e.By, e.At.UTC().Format(time.RFC3339))
	switch {
	case e.Descriptor != a.Descriptor:
		return false, fmt.Sprintf("changed since tested: recorded for revision %d, %s", e.Revision, who)
	case !e.Passed:
		return false, "failed, " + who
	}
	return true, "passed, " + who
}

// effectiveness asks for at least one machine where it was done, and for none that needs it and where it was not.
func effectiveness(action Action, open []Tally) (bool, string) {
	var all Tally
	for _, t := range open {
		all.Needed, all.Installed, all.Failed = all.Needed+t.Needed, all.Installed+t.Installed, all.Failed+t.Failed
	}
	done := "found on"
	if action == ActionRemove {
		done = "gone from"
	}
	text := fmt.Sprintf("%s %d of %d machines of the open rings, %d failed", done, all.Installed, all.Needed, all.Failed)
	return all.Installed > 0 && all.Failed == 0 && all.Installed == all.Needed, text
}

// JudgeTested is Judge for plans whose rings ask for evidence: what would open a ring waits until all that the
// ring asks for is there. Nobody's word opens it without.
func (p *RingPlan) JudgeTested(a Approval, tallies []Tally, records []Evidence, by bool, now time.Time) (RingStep, string) {
	step, why := p.Judge(a, tallies, by, now)
	if step != RingPromote {
		return step, why
	}
	next := p.Rings[len(a.RingsOpened)]
	var missing, there []string
	asks := next.Asks(a.Action)
	for _, s := range EvidenceFor(a, records, tallies) {
		switch text := fmt.Sprintf("%s check: %s", s.Check, s.Text); {
		case !slices.Contains(asks, s.Check):
		case s.OK:
			there = append(there, text)
		default:
			missing = append(missing, text)
		}
	}
	if len(missing) == 0 {
		if len(there) > 0 { // it is signed with the promotion that rests on it
			why += "; " + strings.Join(there, "; ")
		}
		return step, why
	}
	return RingWait, fmt.Sprintf("ring %s asks for test evidence: %s", next.Name, strings.Join(missing, "; "))
}

// Record puts a check that was made in the place of the one of before.
func Record(records []Evidence, e Evidence) []Evidence {
	records = slices.DeleteFunc(slices.Clone(records), func(o Evidence) bool { return o.Check == e.Check })
	return append(records, e)
}

// Validate refuses what nobody could have recorded. ErrFormat, ErrTooLarge.
func (e *Evidence) Validate() error {
	switch {
	case !slices.Contains(Checks, e.Check) || e.Descriptor.IsZero() || e.Revision < 1 || e.At.IsZero() || strings.TrimSpace(e.By) == "":
		return fmt.Errorf("evidence %.30q: %w", e.Check, ErrFormat)
	case e.Check == CheckEffectiveness:
		return fmt.Errorf("effectiveness is what the machines report, nobody records it: %w", ErrFormat)
	}
	for _, s := range []string{e.By, e.Note} {
		if err := checkText("evidence", s, MaxEvidenceText); err != nil {
			return err
		}
	}
	return nil
}

// DecodeEvidence reads the records of one update. ErrFormat, ErrTooLarge.
func DecodeEvidence(b []byte) ([]Evidence, error) {
	var out []Evidence
	if err := decodeStrict(b, MaxDescriptorBytes, &out); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	if len(out) > maxEvidence {
		return nil, fmt.Errorf("%d records of evidence: %w", len(out), ErrTooLarge)
	}
	for i := range out {
		if err := out[i].Validate(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
