package sim

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// epoch0 is when every run begins, on the true clock.
var epoch0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// World is one run: sites with their machines, one organisation, and the plan of what happens. All
// chance in it comes from one seed.
type World struct {
	sc   *Scenario
	seed uint64

	now      int64
	sites    []*site // the seed's own first
	machines []*machine
	byID     map[swarm.PeerID]*machine
	hq       *machine // the seed
	org      *org
	verify   *verifier

	updates []*update
	byDesc  map[content.ID]*update
	byMap   map[content.ID]*update
	byName  map[policy.UpdateID]*update

	plan     []planned // sorted by time: what happens to the world as a whole
	planSeq  uint64
	turns    turns
	late     int // what reached a site after it had gone on: nothing, or turns are wrong
	trace    tracer
	own      journal // of the world itself
	rng      *rand.Rand
	openEnds int      // faults that have begun and will end
	desk     []func() // of the admin, while the seed is down
	pending  int      // commands of the scenario that have not been carried out
	stopped  string
	holdAt   int64 // when the first hold was published; 0: none
	workers  int
}

// planned happens to the world as a whole, between the windows in which sites run by themselves.
type planned struct {
	at  int64
	seq uint64
	do  func()
}

// Options of a run beside its scenario.
type Options struct {
	Seed    uint64
	Workers int                 // sites that run at the same time; 0: one
	Trace   func(line []byte)   // every line of the trace; the slice is valid during the call
	Check   bool                // judge the trace while it is written
	Beat    func(now, left int) // seconds of virtual time and machines that are not done, now and then
	Stop    func() bool         // asked in every turn; true ends it with ErrStopped
}

// Run runs a scenario once.
func Run(sc *Scenario, o Options) (*Report, error) {
	w, err := newWorld(sc, o)
	if err != nil {
		return nil, err
	}
	c := NewChecker()
	if o.Check {
		w.trace.sinks = append(w.trace.sinks, func(b []byte) { c.Line(string(b)) })
	}
	if o.Trace != nil {
		w.trace.sinks = append(w.trace.sinks, o.Trace)
	}
	for _, s := range w.sites {
		s.say.on = len(w.trace.sinks) > 0
	}
	w.own.on = len(w.trace.sinks) > 0
	w.describe()
	if !w.run(o.Beat, o.Stop) {
		return nil, ErrStopped
	}
	r := w.report()
	if o.Check {
		r.Violations = append(r.Violations, c.Finish()...)
	}
	return r, nil
}

func newWorld(sc *Scenario, o Options) (*World, error) {
	w := &World{
		sc: sc, seed: o.Seed, workers: max(o.Workers, 1), byID: map[swarm.PeerID]*machine{},
		byDesc: map[content.ID]*update{}, byMap: map[content.ID]*update{}, byName: map[policy.UpdateID]*update{},
		rng: rand.New(rand.NewPCG(o.Seed, 0x5eed)), verify: newVerifier(),
	}
	w.trace.sum = fnv.New64a()
	var err error
	if w.org, err = newOrg(w.verify); err != nil {
		return nil, err
	}
	w.build()
	if len(w.machines) > maxMachines {
		return nil, fmt.Errorf("scenario %s: %d machines, at most %d: %w", sc.Name, len(w.machines), maxMachines, ErrScenario)
	}
	for i, u := range sc.updates {
		if err := w.addUpdate(i, u); err != nil {
			return nil, err
		}
	}
	return w, errors.Join(w.planCommands(), w.planFaults())
}

// maxMachines bounds the memory of a run.
const maxMachines = 1 << 20

// build makes the sites and their machines, switched off.
func (w *World) build() {
	hq := w.addSite(siteSpec{name: "hq", lan: w.sc.seed.lan, cores: w.sc.seed.cores})
	w.hq = w.addMachine(hq, "seed", true)
	w.hq.up.rate = w.sc.seed.up.draw(w.rng)
	for i := range w.sc.seed.machines.drawInt(w.rng) {
		w.addMachine(hq, fmt.Sprintf("hq-%d", i), false)
	}
	for _, spec := range w.sc.sites {
		for range spec.count.drawInt(w.rng) {
			s := w.addSite(spec)
			n := spec.machines.drawInt(w.rng)
			egress := max(spec.egress.drawInt(w.rng), 0)
			if !spec.egressSet {
				egress = n
			}
			caches := spec.caches.drawInt(w.rng)
			for i := range n {
				m := w.addMachine(s, fmt.Sprintf("%s-%d", s.name, i), false)
				m.egress, m.cache = i < egress, i < caches
				m.groups(spec.groups, i)
				m.vlan(spec.vlan, n, i)
			}
		}
	}
}

func (w *World) addSite(spec siteSpec) *site {
	s := &site{w: w, index: len(w.sites), name: spec.name, rng: rand.New(rand.NewPCG(w.seed, uint64(len(w.sites))+1))}
	if spec.numbered() {
		s.name = fmt.Sprintf("%s%d", spec.name, len(w.sites))
	}
	s.lan = Link{Rate: spec.lan.draw(w.rng), Delay: spec.lanDelay(), Loss: spec.loss.draw(w.rng)}
	s.wan = Link{Rate: spec.wan.draw(w.rng), Delay: spec.wanDelay(w.rng), Loss: s.lan.Loss}
	s.down.rate = s.wan.Rate
	s.dialMost = spec.neighbours
	s.byName = map[swarm.PeerID]*machine{}
	s.cpu.cores = spec.cores.draw(w.rng)
	w.sites = append(w.sites, s)
	return s
}

func (w *World) addMachine(s *site, name string, seed bool) *machine {
	m := &machine{
		index: len(w.machines), id: swarm.PeerID(name), site: s, seed: seed, rate: s.lan.Rate, wants: -1,
	}
	m.up.rate, m.down.rate = s.lan.Rate, s.lan.Rate
	m.facts = policy.Machine{ID: name, Name: name, Site: s.name, Installers: []string{"file"}}
	m.disk.docs = w.org.first
	m.trust, m.head = w.org.first.trust, w.org.first
	s.seat(m)
	w.machines = append(w.machines, m)
	w.byID[m.id] = m
	return m
}

// at plans something for the world as a whole.
func (w *World) at(at int64, do func()) {
	w.planSeq++
	p := planned{max(at, w.now), w.planSeq, do}
	i, _ := slices.BinarySearchFunc(w.plan, p, func(a, b planned) int {
		if a.at != b.at {
			return int(min(max(a.at-b.at, -1), 1))
		}
		return int(int64(a.seq) - int64(b.seq))
	})
	w.plan = slices.Insert(w.plan, i, p)
}

func (w *World) after(d time.Duration, do func()) { w.at(w.now+int64(d), do) }

// run goes from turn to turn until all is done, or the scenario's time is over. False: it was not waited for.
func (w *World) run(beat func(now, left int), stop func() bool) bool {
	w.begin()
	limit := int64(w.sc.limit)
	nextBeat := int64(0)
	w.turns.look(w.sites)
	for w.stopped == "" {
		if stop != nil && stop() {
			return false
		}
		next := w.turns.soonest()
		if len(w.plan) > 0 && w.plan[0].at <= next {
			if w.plan[0].at > limit {
				break
			}
			w.followPlan()
			w.turns.look(w.sites)
			continue
		}
		if next > limit {
			break
		}
		most := limit + 1
		if len(w.plan) > 0 {
			most = min(most, w.plan[0].at)
		}
		w.turn(most)
		if beat != nil && w.now >= nextBeat {
			nextBeat = w.now + int64(time.Second)
			beat(int(w.now/int64(time.Second)), w.unfinished())
		}
	}
	if w.stopped == "" {
		w.now, w.stopped = limit, "limit"
	}
	w.flush(never)
	w.finish()
	return true
}

// never is later than all that happens.
const never = int64(1<<63 - 1)

// followPlan does what comes next for the world as a whole. All sites have got as far as that.
func (w *World) followPlan() {
	p := w.plan[0]
	w.plan = w.plan[1:]
	w.flush(never)
	w.now = max(w.now, p.at)
	for _, s := range w.sites {
		s.now = max(s.now, w.now)
	}
	p.do()
	w.flush(never)
}

// flush hands over what all sites sent each other and writes down what they said before an instant.
func (w *World) flush(before int64) {
	for _, s := range w.sites {
		w.handOver(s)
	}
	w.write(before)
}

// handOver gives what a site sent to whom it sent it.
func (w *World) handOver(s *site) {
	for _, o := range s.out {
		if o.entry.at < o.to.now {
			w.late++
		}
		o.to.push(o.entry)
		w.turns.due(o.to)
	}
	clear(s.out)
	s.out = s.out[:0]
}

// write writes down what sites said before an instant, up to which all of them have got.
func (w *World) write(before int64) {
	if !w.own.on {
		return
	}
	var talkers []*journal
	if len(w.own.lines) > 0 { // what is published comes before who takes it up
		talkers = append(talkers, &w.own)
	}
	for _, s := range w.sites {
		if len(s.say.lines) > 0 {
			talkers = append(talkers, &s.say)
		}
	}
	w.join(talkers, before)
}

// join writes the lines of several journals before an instant, in the order of time; at one instant in their own order.
func (w *World) join(talkers []*journal, before int64) {
	type ref struct {
		at       int64
		who, nth int
	}
	var all []ref
	for k, j := range talkers {
		for n, l := range j.lines {
			if l.at >= before {
				break
			}
			all = append(all, ref{l.at, k, n})
		}
	}
	slices.SortStableFunc(all, func(a, b ref) int { return int(min(max(a.at-b.at, -1), 1)) })
	for _, r := range all {
		j := talkers[r.who]
		w.trace.line(j.text[j.lines[r.nth].begin:j.lines[r.nth].end])
	}
	for _, j := range talkers {
		j.forget(before)
	}
}

// begin switches everything on, spread over the scenario's start time.
func (w *World) begin() {
	w.hq.boot()
	for _, s := range w.sites {
		for _, m := range s.machines {
			if m.seed {
				continue
			}
			at := int64(0)
			if spread := int64(w.sc.spread); spread > 0 {
				at = s.rng.Int64N(spread)
			}
			s.push(entry{at: at, m: m, inc: m.inc, what: turnOn{}})
		}
	}
	w.after(pollEvery, w.poll)
}

// pollEvery is how often the world looks whether all is done.
const pollEvery = time.Second

// poll ends the run once every machine that can be done is done and nothing more is to come.
func (w *World) poll() {
	if w.pending == 0 && w.openEnds == 0 && w.unfinished() == 0 {
		w.after(w.sc.linger, func() {
			if w.unfinished() == 0 {
				w.stopped = "done"
			} else {
				w.poll()
			}
		})
		return
	}
	w.after(pollEvery, w.poll)
}

// unfinished counts the honest machines that are on, may take part, and lack something.
func (w *World) unfinished() int {
	n := 0
	for _, s := range w.sites {
		for _, m := range s.machines {
			if !m.done() {
				n++
			}
		}
	}
	return n
}
