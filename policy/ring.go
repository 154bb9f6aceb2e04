package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RingPlan is an ordered set of rings: an update that is approved along it reaches one ring after the
// other, each only after the one before has shown that it works.
type RingPlan struct {
	Name  string `json:"name"`
	Rings []Ring `json:"rings"`
}

// Ring is one stage. A machine is in the first ring of a plan that names one of its groups. The numbers
// say when the next ring opens; zero asks for nothing.
type Ring struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups"`

	SoakMinutes    int  `json:"soak_minutes,omitempty"`    // at least so long after this ring opened
	SuccessPercent int  `json:"success_percent,omitempty"` // of its machines that need the update; 0: of none, see Usual
	SuccessCount   int  `json:"success_count,omitempty"`   // machines; a ring that has fewer needs all it has
	Manual         bool `json:"manual,omitempty"`          // and somebody says so: 'patchmesh promote'
	// SkipEmpty: where no machine of the ring needs the update, so that none can show whether it works, the next ring
	// opens all the same once this one has soaked. Else somebody has to say so.
	SkipEmpty bool `json:"skip_empty,omitempty"`

	// When so many machines have failed, the update is held everywhere. Rings of a few machines go by the
	// count: of two, one is half.
	FailPercent int `json:"fail_percent,omitempty"`
	FailCount   int `json:"fail_count,omitempty"`

	SpreadMinutes int `json:"spread_minutes,omitempty"` // its machines begin one after the other over so long

	Evidence []Check `json:"evidence,omitempty"` // what must have been tested before this ring opens
}

// Limits of ring plans.
const (
	maxRingPlans   = 100
	maxRings       = 20
	maxRingGroups  = 100
	maxRingMinutes = 60 * 24 * 60
)

// Validate says what is wrong with a plan. ErrFormat.
func (p *RingPlan) Validate() error {
	if err := checkName("ring plan", p.Name); err != nil {
		return err
	}
	if len(p.Rings) < 1 || len(p.Rings) > maxRings {
		return fmt.Errorf("ring plan %s of %d rings, it may have 1 to %d: %w", p.Name, len(p.Rings), maxRings, ErrFormat)
	}
	names := map[string]bool{}
	for _, r := range p.Rings {
		if err := r.check(); err != nil {
			return fmt.Errorf("ring plan %s: %w", p.Name, err)
		}
		if names[r.Name] {
			return fmt.Errorf("ring plan %s has two rings %s: %w", p.Name, r.Name, ErrFormat)
		}
		names[r.Name] = true
	}
	return nil
}

func (r *Ring) check() error {
	if err := checkName("ring", r.Name); err != nil {
		return err
	}
	if len(r.Groups) < 1 || len(r.Groups) > maxRingGroups {
		return fmt.Errorf("ring %s of %d groups: %w", r.Name, len(r.Groups), ErrFormat)
	}
	for _, g := range r.Groups {
		if err := checkName("group", g); err != nil {
			return fmt.Errorf("ring %s: %w", r.Name, err)
		}
	}
	if err := r.checkEvidence(); err != nil {
		return err
	}
	for _, n := range []struct {
		what     string
		is, most int
	}{
		{"soak", r.SoakMinutes, maxRingMinutes}, {"spread", r.SpreadMinutes, maxRingMinutes}, {"success percent", r.SuccessPercent, 100},
		{"success count", r.SuccessCount, 1 << 20}, {"fail percent", r.FailPercent, 100}, {"fail count", r.FailCount, 1 << 20},
	} {
		if n.is < 0 || n.is > n.most {
			return fmt.Errorf("ring %s: %s of %d: %w", r.Name, n.what, n.is, ErrFormat)
		}
	}
	return nil
}

func (m *Manifest) checkRings() error {
	if len(m.RingPlans) > maxRingPlans {
		return fmt.Errorf("%d ring plans: %w", len(m.RingPlans), ErrTooLarge)
	}
	for i := range m.RingPlans {
		if err := m.RingPlans[i].Validate(); err != nil {
			return err
		}
		if i > 0 && m.RingPlans[i-1].Name >= m.RingPlans[i].Name {
			return fmt.Errorf("ring plan %s is out of order or double: %w", m.RingPlans[i].Name, ErrFormat)
		}
	}
	for _, a := range m.Approvals {
		if a.RingPlan == "" {
			continue
		}
		p := m.RingPlan(a.RingPlan)
		if p == nil || len(a.RingsOpened) > len(p.Rings) {
			return fmt.Errorf("approval of %s along ring plan %s, which is not there or shorter: %w", a.Update, a.RingPlan, ErrFormat)
		}
	}
	return nil
}

// checkRings: an approval along a plan says when each of its rings was opened, in order.
func (a Approval) checkRings() error {
	if a.RingPlan == "" {
		if len(a.RingsOpened) > 0 {
			return fmt.Errorf("approval of %s opens rings of no plan: %w", a.Update, ErrFormat)
		}
		return nil
	}
	if err := checkName("ring plan", a.RingPlan); err != nil {
		return err
	}
	if len(a.RingsOpened) < 1 || len(a.RingsOpened) > maxRings || !slices.IsSortedFunc(a.RingsOpened, time.Time.Compare) {
		return fmt.Errorf("approval of %s opens %d rings of plan %s: %w", a.Update, len(a.RingsOpened), a.RingPlan, ErrFormat)
	}
	return nil
}

// RingPlan finds a plan by name; nil if there is none.
func (m *Manifest) RingPlan(name string) *RingPlan {
	i := slices.IndexFunc(m.RingPlans, func(p RingPlan) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &m.RingPlans[i]
}

// RingOf is the index of the ring that a machine of these groups is in, -1 if it is in none.
func (m *Manifest) RingOf(p *RingPlan, groups []string) int { return p.ringOf(m.depths(groups)) }

func (p *RingPlan) ringOf(in map[string]int) int {
	return slices.IndexFunc(p.Rings, func(r Ring) bool {
		return slices.ContainsFunc(r.Groups, func(g string) bool { _, is := in[g]; return is })
	})
}

// turn is when a machine's turn comes in a ring that is spread: the same for one machine and update, and
// different for different ones, so that not always the same machines go first.
func (r Ring) turn(machine string, u UpdateID, opened time.Time) time.Time {
	if r.SpreadMinutes == 0 {
		return opened
	}
	sum := sha256.Sum256([]byte(machine + "\x00" + string(u)))
	spread := uint64(r.SpreadMinutes) * uint64(time.Minute/time.Second)
	return opened.Add(time.Duration(binary.BigEndian.Uint64(sum[:8])%spread) * time.Second)
}

// Tally is what the machines of a ring have reported of one revision of an update.
type Tally struct {
	Machines  int // all of the ring
	Needed    int // of those, the ones that the update is for
	Installed int
	Failed    int
}

// RingStep is what is due for an approval along a plan.
type RingStep string

// The steps.
const (
	RingWait    RingStep = "wait"
	RingPromote RingStep = "promote" // open the next ring
	RingHalt    RingStep = "halt"    // hold the update
	RingDone    RingStep = "done"    // all rings are open
)

// Judge says what is due after the ring that was opened last, and why, from what the machines of each ring
// have reported. Failures count in every open ring, for as long as the plan runs: some show late. by is
// true if somebody asked for the promotion: then only failures stand in the way.
func (p *RingPlan) Judge(a Approval, tallies []Tally, by bool, now time.Time) (RingStep, string) {
	at := len(a.RingsOpened) - 1
	for i, r := range p.Rings[:at+1] {
		if t := tallies[i]; r.failed(t) {
			return RingHalt, fmt.Sprintf("ring %s: %d of %d machines failed", r.Name, t.Failed, t.Needed)
		}
	}
	r, t := p.Rings[at], tallies[at]
	if at == len(p.Rings)-1 {
		return RingDone, fmt.Sprintf("ring %s is the last one", r.Name)
	}
	if by {
		return RingPromote, fmt.Sprintf("ring %s: promoted by hand with %d of %d machines done", r.Name, t.Installed, t.Needed)
	}
	var missing []string
	if soak := a.OpenedAt(at).Add(time.Duration(r.SoakMinutes) * time.Minute); now.Before(soak) {
		missing = append(missing, "it soaks until "+soak.UTC().Format(time.RFC3339))
	}
	if want := min(r.SuccessCount, t.Machines); t.Installed < want && t.Installed < t.Needed {
		missing = append(missing, fmt.Sprintf("%d of %d machines are done", t.Installed, want))
	}
	if t.Installed*100 < r.SuccessPercent*t.Needed {
		missing = append(missing, fmt.Sprintf("%d of %d machines are done, %d %% are asked for", t.Installed, t.Needed, r.SuccessPercent))
	}
	if r.Manual {
		missing = append(missing, "it is promoted by hand")
	}
	if t.Needed == 0 && !r.SkipEmpty {
		missing = append(missing, p.empty(a, t.Machines))
	}
	if len(missing) > 0 {
		return RingWait, fmt.Sprintf("ring %s: %s", r.Name, strings.Join(missing, "; "))
	}
	return RingPromote, fmt.Sprintf("ring %s: %d of %d machines done", r.Name, t.Installed, t.Needed)
}

// failed: so many machines have failed that the ring's limits are reached.
func (r Ring) failed(t Tally) bool {
	return r.FailCount > 0 && t.Failed >= r.FailCount ||
		r.FailPercent > 0 && t.Failed > 0 && t.Failed*100 >= r.FailPercent*t.Needed
}

// String says all of a plan in one line, for people.
func (p RingPlan) String() string {
	s := p.Name + ":"
	for i, r := range p.Rings {
		if i > 0 {
			s += " then"
		}
		s += " " + r.String()
	}
	return s
}

// String says all of a ring.
func (r Ring) String() string {
	s := fmt.Sprintf("%s (groups %s", r.Name, strings.Join(r.Groups, ", "))
	add := func(n int, format string) {
		if n > 0 {
			s += fmt.Sprintf(format, n)
		}
	}
	add(r.SuccessPercent, ", next after %d %% are done")
	add(r.SuccessCount, ", next after %d machines are done")
	add(r.SoakMinutes, ", soaks %d min")
	if r.Manual {
		s += ", promoted by hand"
	}
	if r.SkipEmpty {
		s += ", skipped where no machine needs it"
	}
	add(r.FailPercent, ", halt at %d %% failed")
	add(r.FailCount, ", halt at %d failed")
	add(r.SpreadMinutes, ", spread over %d min")
	for i, c := range r.Evidence {
		s += []string{", opens with evidence of the ", " and the "}[min(i, 1)] + string(c) + " check"
	}
	return s + ")"
}
