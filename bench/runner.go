//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Plan is which contenders do which scenario how often.
type Plan struct {
	Scenario   Scenario
	Contenders []string // default: the usual ones of the scenario
	Runs       int      // of each, default 3; they take turns
	Binary     string   // the patchmesh to measure
	Session    string   // joins runs of several calls that belong together; default: the day and patchmesh's version

	// Earlier are results of earlier calls, of any session: runs of this one are numbered after them.
	Earlier []Result
}

// settle is how long everything is left alone between being ready and the start of the clock.
const settle = 2 * time.Second

// Check finds what would stop the plan, before anything is built.
func (p *Plan) Check() error {
	if len(p.Contenders) == 0 {
		p.Contenders = p.Scenario.Usual
	}
	if p.Runs == 0 {
		p.Runs = 3
	}
	if p.Runs < 1 || p.Runs > 1000 {
		return fmt.Errorf("%d runs: want 1 to 1000", p.Runs)
	}
	for _, name := range p.Contenders {
		e, err := contenderNamed(name)
		if err != nil {
			return err
		}
		if err := p.Scenario.suits(e); err != nil {
			return err
		}
		if err := e.missing(); err != nil {
			return err
		}
		if _, err := os.Stat(p.Binary); err != nil && name == patchmeshEntry.name {
			return fmt.Errorf("no patchmesh to measure: %w (make build)", err)
		}
	}
	return labPossible()
}

// suits refuses what would measure nothing.
func (s Scenario) suits(e entry) error {
	probe := e.make(nil, "")
	_, joins := probe.(joiner)
	switch {
	case e.lanOnly && s.WAN:
		return fmt.Errorf("%s does not cross a router: it has no place in %s", e.name, s.Name)
	case e.wanOnly && !s.WAN:
		return fmt.Errorf("%s stands at a WAN, and %s has none", e.name, s.Name)
	case s.Churn && !joins:
		return fmt.Errorf("%s serves nobody who comes later: it has no place in %s", e.name, s.Name)
	case s.Liars != 0 && e.name != patchmeshEntry.name:
		return fmt.Errorf("%s spoils the store of patchmesh: nobody else has a place in it", s.Name)
	}
	return nil
}

// Run makes all runs, the contenders taking turns, and reports each as it ends. A run that fails is
// reported with its error and does not stop the others.
func (p *Plan) Run(ctx context.Context, report func(Result) error) error {
	if err := p.Check(); err != nil {
		return err
	}
	if p.Session == "" {
		p.Session = time.Now().UTC().Format(time.DateOnly) + " " + patchmeshEntry.versionText(p.Binary)
	}
	done := map[string]int{}
	for _, r := range p.Earlier {
		if r.Session == p.Session {
			done[r.Contender] = max(done[r.Contender], r.Run)
		}
	}
	for n := 1; n <= p.Runs; n++ {
		for _, name := range p.Contenders {
			e, err := contenderNamed(name)
			if err != nil {
				return err
			}
			r := Result{
				Session: p.Session, At: time.Now().UTC().Truncate(time.Second), Scenario: p.Scenario.Name, Contender: name, Run: done[name] + n,
				Version: e.versionText(p.Binary), Machines: p.Scenario.Machines, PayloadBytes: p.Scenario.TotalBytes(),
				BoundSeconds: p.Scenario.Bound().Seconds(), Hardware: thisMachine(),
			}
			if err := p.one(ctx, e, &r); err != nil {
				r.Error = err.Error()
			}
			if err := report(r); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

// one makes one run in a network of its own.
func (p *Plan) one(ctx context.Context, e entry, r *Result) (err error) {
	ctx, cancel := context.WithTimeout(ctx, p.Scenario.patience()*time.Duration(p.Scenario.repeats())+3*time.Minute)
	defer cancel()
	site, err := newSite(p.Scenario)
	if err != nil {
		return err
	}
	c := e.make(site, p.Binary)
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, site.troubles())
		}
		err = errors.Join(err, c.Close(), site.close())
	}()
	if err := c.Prepare(ctx); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	for i := range p.Scenario.repeats() {
		if err := p.release(ctx, site, c, r, i); err != nil {
			return err
		}
	}
	for _, m := range slices.Concat(site.Machines, site.Late) {
		r.PeakRSS = max(r.PeakRSS, site.peakRSS(m))
	}
	r.SeedPeakRSS = site.peakRSS(site.Seed)
	return nil
}

// reading is all counters at one moment.
type reading struct {
	wan, seed Counters
	lan       int64 // into all machines
	cpu       time.Duration
}

func (s *Site) read() (r reading, err error) {
	if r.wan, err = s.Lab.WAN(); err != nil {
		return r, err
	}
	if s.Scenario.WAN {
		r.seed, err = s.Seed.counters(wanLink)
	} else {
		r.seed, err = s.Lab.LAN(s.Seed.Host)
	}
	if err != nil {
		return r, err
	}
	for _, m := range s.all()[1:] {
		c, err := s.Lab.LAN(m.Host)
		if err != nil {
			return r, err
		}
		r.lan += c.RXBytes
	}
	r.cpu = s.cost()
	return r, nil
}

// release distributes one release and adds what it took to the result.
func (p *Plan) release(ctx context.Context, site *Site, c Contender, r *Result, release int) error {
	updates, err := newUpdates(site, release)
	if err != nil {
		return err
	}
	if s, ok := c.(stager); ok {
		if err := s.Stage(ctx, updates); err != nil {
			return fmt.Errorf("stage: %w", err)
		}
	}
	if e, ok := c.(earlier); ok && p.Scenario.early() > 0 {
		if err := e.Early(ctx, updates); err != nil {
			return fmt.Errorf("early machines: %w", err)
		}
	}
	if err := pause(ctx, settle); err != nil {
		return err
	}
	before, err := site.read()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.Scenario.patience())
	defer cancel()
	w := newWatch(site.Machines, updates)
	stop := site.sampleMemory()
	err = p.distribute(ctx, site, c, w, r.Run)
	stop()
	after, readErr := site.read()
	if err := errors.Join(err, readErr); err != nil {
		return err
	}
	r.add(before, after, w)
	if err := checkAll(w, updates); err != nil {
		return err
	}
	return r.tell(ctx, c, updates)
}

// distribute starts the clock and waits for the last machine.
func (p *Plan) distribute(ctx context.Context, site *Site, c Contender, w *watch, run int) error {
	said := make(chan error, 1)
	go func() { said <- c.Distribute(ctx, w.updates) }()
	met := func() (bool, error) {
		select {
		case err := <-said:
			said = nil
			return false, err
		default:
			return false, nil
		}
	}
	if p.Scenario.Churn {
		if err := p.churn(ctx, site, c, w, run, met); err != nil {
			return err
		}
	}
	if err := w.until(ctx, met); err != nil || said == nil {
		return err
	}
	return <-said
}

// churn waits until half of the payload has come over the WAN, kills a third of the machines and lets
// as many new ones come. Which third is another one in every run.
func (p *Plan) churn(ctx context.Context, site *Site, c Contender, w *watch, run int, met func() (bool, error)) error {
	start, err := site.Lab.WAN()
	if err != nil {
		return err
	}
	if err := w.until(ctx, func() (bool, error) {
		if _, err := met(); err != nil {
			return false, err
		}
		now, err := site.Lab.WAN()
		return now.Sub(start).RXBytes >= p.Scenario.TotalBytes()/2, err
	}); err != nil {
		return err
	}
	for i := range site.Late {
		victim := site.Machines[(run+3*i)%len(site.Machines)]
		w.drop(victim)
		site.kill(victim)
	}
	for _, m := range site.Late {
		w.add(m)
		if err := c.(joiner).Join(ctx, m); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	return nil
}

// add takes in what one release took.
func (r *Result) add(before, after reading, w *watch) {
	seconds := w.seconds()
	r.Seconds = append(r.Seconds, seconds...)
	slices.Sort(r.Seconds)
	r.LastSeconds = append(r.LastSeconds, seconds[len(seconds)-1])
	wan := after.wan.Sub(before.wan)
	r.WANInBytes += wan.RXBytes
	r.WANOutBytes += wan.TXBytes
	r.LANInBytes += after.lan - before.lan
	r.SeedOutBytes += after.seed.TXBytes - before.seed.TXBytes
	r.CPUSeconds += math.Round((after.cpu-before.cpu).Seconds()*1000) / 1000
}

// tell adds what the contender says of itself.
func (r *Result) tell(ctx context.Context, c Contender, updates []Update) error {
	t, ok := c.(teller)
	if !ok {
		return nil
	}
	told, err := t.Told(ctx, updates)
	if r.Told == nil {
		r.Told = map[string]float64{}
	}
	for name, n := range told {
		r.Told[name] += n
	}
	return err
}

// checkAll compares the files of all machines that are done with what was released, the same way for
// all contenders. The clock has stopped.
func checkAll(w *watch, updates []Update) error {
	for m := range w.doneAt {
		for _, u := range updates {
			if err := u.check(m); err != nil {
				return fmt.Errorf("check: %w", err)
			}
		}
	}
	return nil
}

// sampleMemory looks at the memory of all processes now and then, for those that end by themselves.
func (s *Site) sampleMemory() (stop func()) {
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				s.cost()
			}
		}
	}()
	return func() { close(quit); <-gone }
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Binary finds the patchmesh beside the program that runs.
func Binary() string {
	own, err := os.Executable()
	if err != nil {
		return "patchmesh"
	}
	return filepath.Join(filepath.Dir(own), "patchmesh")
}
