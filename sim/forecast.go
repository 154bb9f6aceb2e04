package sim

import (
	"fmt"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// Forecast is what will happen to a fleet if one update is approved: the very decisions that machines
// run, in virtual time. Its JSON is part of the program's interface. Instants are zero where something
// does not happen within the time looked at.
type Forecast struct {
	Update       string    `json:"update"`
	Revision     int       `json:"revision"`
	Action       string    `json:"action"`
	At           time.Time `json:"as_of"`
	Until        time.Time `json:"looked_until"`
	PayloadBytes int64     `json:"payload_bytes"` // as it travels

	Machines   int `json:"machines"`       // enrolled
	Affected   int `json:"affected"`       // that the approval changes, off or on
	Off        int `json:"off"`            // of those
	HaveIt     int `json:"have_it"`        // as the approval wants it already
	Held       int `json:"held"`           // a hold or the machine's own policy stops it
	NotForThem int `json:"not_applicable"` // not for them
	NoRing     int `json:"in_no_ring"`     // addressed, and in no ring of the plan
	Done       int `json:"done"`           // of the affected, within the time looked at

	WANBytes      int64   `json:"wan_bytes"` // of this update
	LANBytes      int64   `json:"lan_bytes"`
	Amplification float64 `json:"wan_amplification"` // WAN bytes / (payload x sites that fetched); 0 without any

	// When so many of the affected machines that are on are done.
	Done50  time.Time `json:"done_50_at,omitzero"`
	Done95  time.Time `json:"done_95_at,omitzero"`
	Done100 time.Time `json:"done_100_at,omitzero"`

	Deadline    time.Time      `json:"deadline,omitzero"` // the earliest of any machine
	Missing     int            `json:"missing_deadline"`  // machines
	Sites       []SiteForecast `json:"sites"`
	Rings       []RingForecast `json:"rings"`
	Assumptions []string       `json:"assumptions"`
	ZoneGuessed *ZoneGuess     `json:"zone_guessed,omitempty"` // of affected machines; absent: every one has told its own
	CutOff      bool           `json:"cut_off,omitempty"`      // the forecast itself took too long and was ended
}

// SiteForecast is one site's part.
type SiteForecast struct {
	Site     string    `json:"site"`
	Affected int       `json:"affected"`
	Off      int       `json:"off"`
	Done     int       `json:"done"`
	WANBytes int64     `json:"wan_bytes"`
	LANBytes int64     `json:"lan_bytes"`
	WANRate  float64   `json:"wan_bytes_per_second"`       // taken for it; 0: not limited
	Done50   time.Time `json:"done_50_at,omitzero"`        //
	Done95   time.Time `json:"done_95_at,omitzero"`        //
	Done100  time.Time `json:"done_100_at,omitzero"`       // of the affected machines that are on
	Deadline time.Time `json:"deadline,omitzero"`          // the earliest of its machines
	Missing  int       `json:"missing_deadline"`           // machines
	Why      []Miss    `json:"why"`                        // they miss it, or are not done at all
	Others   int64     `json:"wan_bytes_of_other_updates"` // that are under way at the same time
}

// Miss is why so many machines miss their deadline.
type Miss struct {
	Reason   string `json:"reason"` // machines-off, wan-thin, wan-budget, no-egress, window, ring, not-before, disk-short, other-update, stuck
	Machines int    `json:"machines"`
	Text     string `json:"text"`
}

// RingForecast is when a ring of the update's plan opens.
type RingForecast struct {
	Ring     string    `json:"ring"`
	Machines int       `json:"machines"`
	OpensAt  time.Time `json:"opens_at,omitzero"`
}

// ForecastOptions of a run.
type ForecastOptions struct {
	Seed   uint64
	Beat   func(at time.Time, done, of int) // now and then
	Stop   func() bool                      // asked now and then; true ends it with ErrStopped
	Events int64                            // how much may happen before it is cut off; 0: forecastEvents
}

// forecastEvents bounds the work: about a minute of one processor. It counts what happens and not time,
// so that a forecast comes out the same on every machine.
const forecastEvents = 15_000_000

// How far a forecast looks: a week beyond the last deadline, within these bounds.
const (
	lookLeast = 14 * 24 * time.Hour
	lookMost  = 120 * 24 * time.Hour
)

// ErrStopped: a run or a forecast was not waited for.
var ErrStopped = fmt.Errorf("stopped before its end")

// Forecast runs the fleet with the manifest that is asked about. The same fleet and seed give the same
// answer. ErrFleet for what cannot be, policy.ErrFormat for documents that are none.
func (f *Fleet) Forecast(o ForecastOptions) (*Forecast, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	e := &forecaster{fleet: f, o: o, seed: o.Seed, sites: map[string]*site{}, machines: map[string]*machine{}, rows: map[string]*fate{}, moved: map[string]*moved{}}
	if e.o.Events == 0 {
		e.o.Events = forecastEvents
	}
	if err := e.readDocuments(); err != nil {
		return nil, err
	}
	e.judgeAll()
	if err := e.fleetWorld(e.horizon()); err != nil {
		return nil, err
	}
	for _, r := range e.all {
		r.m = e.machines[r.f.ID]
	}
	if err := e.run(); err != nil {
		return nil, err
	}
	return e.sum(), nil
}

// forecaster is one forecast under way.
type forecaster struct {
	fleet *Fleet
	o     ForecastOptions
	seed  uint64
	w     *World

	manifest   *policy.Manifest
	descs      []*policy.Descriptor
	byID       map[content.ID]*policy.Descriptor
	target     *policy.Descriptor
	arch       string // of machines, which they do not report
	installers []string
	manual     []string // rings that somebody must open

	sites    map[string]*site
	machines map[string]*machine
	all      []*fate // affected machines, in the order of the fleet
	rows     map[string]*fate
	count    Forecast // of those that are not affected
	moved    map[string]*moved
	coarse   int64

	delivered, begun, ended int64
	movedAt, publishedAt    int64
	cut, stopped            bool
	sleepTo                 int64
}

// moved is what crossed lines of one site.
type moved struct{ wan, lan, others int64 }

// fate is one affected machine.
type fate struct {
	f        *FleetMachine
	m        *machine // nil: it is off
	deadline time.Time
	ring     int // of the update's plan; -1: it goes along none
	wholeAt  int64
	doneAt   int64 // 0: not yet known
}

// readDocuments reads what would be in force. Approvals whose descriptor is not there are left out: no
// machine could be told what they mean.
func (e *forecaster) readDocuments() error {
	m, err := policy.DecodeManifest(e.fleet.Manifest)
	if err != nil {
		return fmt.Errorf("what if: %w", err)
	}
	e.manifest, e.byID = m, map[content.ID]*policy.Descriptor{}
	for _, b := range e.fleet.Descriptors {
		d, err := policy.DecodeDescriptor(b)
		if err != nil {
			return fmt.Errorf("what if: %w", err)
		}
		id := content.Sum(b)
		if e.byID[id] != nil || !slices.ContainsFunc(m.Approvals, func(a policy.Approval) bool { return a.Descriptor == id }) {
			continue
		}
		e.byID[id] = d
		e.descs = append(e.descs, d)
		e.installers = append(append(e.installers, d.Installer), d.Requires...)
		if string(d.Update) == e.fleet.Update {
			e.target = d
		}
	}
	m.Approvals = slices.DeleteFunc(m.Approvals, func(a policy.Approval) bool { return e.byID[a.Descriptor] == nil })
	m.Delegations = nil // whose word it is does not matter any more
	if e.target == nil {
		return fmt.Errorf("what if: %.60q is not approved by the manifest: %w", e.fleet.Update, ErrFleet)
	}
	e.arch = e.target.Arch
	slices.Sort(e.installers)
	e.installers = slices.Compact(e.installers)
	e.openByHand()
	return nil
}

// openByHand takes rings that somebody must open as opened once their machines have shown that it works.
func (e *forecaster) openByHand() {
	p := e.manifest.RingPlan(e.approval().RingPlan)
	if p == nil {
		return
	}
	for i := range p.Rings[:len(p.Rings)-1] {
		if p.Rings[i].Manual {
			p.Rings[i].Manual = false
			e.manual = append(e.manual, p.Rings[i].Name)
		}
	}
}

// approval is the newest one of the update: the one that is asked about.
func (e *forecaster) approval() *policy.Approval {
	var newest *policy.Approval
	for i := range e.manifest.Approvals {
		a := &e.manifest.Approvals[i]
		if a.Update == e.target.Update && (newest == nil || newest.Listed() || a.At.After(newest.At) && !a.Listed()) {
			newest = a
		}
	}
	return newest
}

// judgeAll asks policy about every machine: which the approval changes, and which not and why.
func (e *forecaster) judgeAll() {
	e.count.Machines = len(e.fleet.Machines)
	for i := range e.fleet.Machines {
		f := &e.fleet.Machines[i]
		v, addressed := e.judge(f)
		if !addressed || v.Listed && !e.approval().Listed() { // it only looks for it, as it would without this approval
			continue
		}
		ring := -1
		if plan := e.manifest.RingPlan(e.manifest.Approvals[v.Approval].RingPlan); plan != nil && !e.manifest.Approvals[v.Approval].Expedite {
			ring = e.manifest.RingOf(plan, f.Groups)
			if ring < 0 {
				e.count.NoRing++
				continue
			}
		}
		switch {
		case slices.Contains(f.Foreign, e.fleet.Update) && v.Verb != policy.VerbRemove:
			e.count.NotForThem++
		case v.Verb == policy.VerbNone && (v.Compliance.There() || v.Reason == ""):
			e.count.HaveIt++
		case v.Verb == policy.VerbNone:
			e.count.NotForThem++
		case v.Verb == policy.VerbHold && v.Until.IsZero():
			e.count.Held++
		default:
			r := &fate{f: f, deadline: v.Deadline, ring: ring}
			e.all, e.rows[f.ID] = append(e.all, r), r
		}
	}
}

// judge is policy's answer for the update on one machine now.
func (e *forecaster) judge(f *FleetMachine) (policy.Verdict, bool) {
	facts := e.facts(f)
	facts.Detected = map[policy.UpdateID]policy.Detection{}
	for _, d := range e.descs {
		facts.Detected[d.Update] = policy.Detection{Present: f.Installed[string(d.Update)] == d.Revision, At: e.fleet.At}
	}
	return e.find(policy.MakePlan(e.manifest, e.describe, facts, false, e.fleet.At))
}

func (e *forecaster) find(p policy.Plan) (policy.Verdict, bool) {
	i := slices.IndexFunc(p.Verdicts, func(v policy.Verdict) bool { return v.Update == e.target.Update })
	if i < 0 {
		return policy.Verdict{}, false
	}
	return p.Verdicts[i], true
}

func (e *forecaster) describe(id content.ID) *policy.Descriptor { return e.byID[id] }

// horizon is how far the forecast looks.
func (e *forecaster) horizon() time.Duration {
	look := lookLeast
	for _, r := range e.all {
		if !r.deadline.IsZero() {
			look = max(look, r.deadline.Sub(e.fleet.At)+lookLeast/2)
		}
	}
	return min(look, lookMost)
}
