package sim

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/rate"
)

// A forecast looks at its world now and then. While bytes move the world runs on. Once they rest, the
// answers of policy say when something will move again: a time from which an update is available, the next
// ring, a budget that begins anew. If that is far away, everybody sleeps until then, so that weeks of
// waiting cost nothing. Machines that have the payload and wait for a window need no world at all.
const (
	lookEvery = 5 * time.Second
	restAfter = time.Minute      // without a chunk or an installation
	sleepFrom = 30 * time.Minute // a shorter wait is sat out
	warmUp    = 10 * time.Second // before the approval: machines find each other, as they have long since
	renewing  = 24 * time.Hour   // the seed signs anew, as it does
)

// run goes on until nothing more is to come.
func (e *forecaster) run() error {
	w := e.w
	approvedAt := w.now
	w.now -= int64(warmUp)
	for _, s := range w.sites {
		s.now = w.now
	}
	w.at(approvedAt, func() { e.publish() })
	for {
		w.stopped = ""
		e.movedAt = max(w.now, approvedAt)
		e.wakeMachines()
		w.after(lookEvery, e.look)
		w.run(nil, nil)
		if e.stopped {
			return ErrStopped
		}
		if w.stopped != "sleep" {
			break
		}
		e.sleep(e.sleepTo)
	}
	e.settle()
	return nil
}

// wakeMachines tells every machine what it is told when it starts: its limits and the site's budget. The
// seed's own site is no branch to the world, so its machines are switched on here.
func (e *forecaster) wakeMachines() {
	for i := range e.fleet.Machines {
		f := &e.fleet.Machines[i]
		m := e.machines[f.ID]
		if m == nil {
			continue
		}
		s := m.site
		s.push(entry{at: s.now, m: m, inc: m.inc, what: turnOn{}})
		tell := func(ev swarm.Event) { s.push(entry{at: s.now + 1, m: m, inc: m.inc, what: ev}) }
		if f.WANDown != 0 {
			down := [rate.Classes]rate.Rate{}
			for c := range down {
				down[c] = rate.Unlimited
			}
			down[rate.WAN] = rate.Rate(max(f.WANDown, 0))
			tell(swarm.RatesChanged{Down: down})
		}
		if site := e.siteOf(f.Site); site.budget().Set() {
			tell(swarm.BudgetChanged{Budget: site.budget(), MayPass: !site.Strict})
		}
	}
}

func (e *forecaster) siteOf(name string) FleetSite {
	if i := slices.IndexFunc(e.fleet.Sites, func(s FleetSite) bool { return s.Name == name }); i >= 0 {
		return e.fleet.Sites[i]
	}
	return FleetSite{Name: name}
}

// publish gives the manifest to the seed.
func (e *forecaster) publish() {
	e.publishedAt = e.w.now
	e.w.publish(func(m *policy.Manifest) {
		m.Groups, m.Approvals, m.Holds = slices.Clone(e.manifest.Groups), slices.Clone(e.manifest.Approvals), slices.Clone(e.manifest.Holds)
		m.Windows, m.RingPlans, m.Settings = slices.Clone(e.manifest.Windows), slices.Clone(e.manifest.RingPlans), slices.Clone(e.manifest.Settings)
	}, nil)
}

// sleep switches everything off until an instant.
func (e *forecaster) sleep(until int64) {
	w := e.w
	for _, m := range w.machines {
		m.stop(stopClean)
	}
	w.plan = nil
	for _, s := range w.sites {
		s.forget()
		s.now = until
	}
	w.now = until
	w.flush(never)
	w.publish(nil, nil) // what was signed may have expired meanwhile
	e.publishedAt = until
}

// forget drops all that was under way in a site.
func (s *site) forget() {
	s.q, s.out, s.pulling = queue{seq: s.q.seq}, nil, false
}

// look is the forecast's own turn, every few seconds of virtual time.
func (e *forecaster) look() {
	w := e.w
	if e.o.Stop != nil && e.o.Stop() {
		e.stopped, w.stopped = true, "stopped"
		return
	}
	e.progress()
	if e.events() > e.o.Events {
		e.cut, w.stopped = true, "cut off"
		return
	}
	if w.now-e.publishedAt > int64(renewing) {
		e.publishedAt = w.now
		w.publish(nil, nil)
	}
	e.openRings()
	if e.moving() {
		e.movedAt = w.now
	}
	if w.now-e.movedAt < int64(e.rest()) {
		w.after(lookEvery, e.look)
		return
	}
	e.settle()
	next := e.next()
	switch {
	case next == 0 || next > int64(w.sc.limit):
		w.stopped = "done"
	case next-w.now > int64(sleepFrom):
		e.sleepTo, w.stopped = next, "sleep"
	default:
		w.after(max(lookEvery, time.Duration(next-w.now)), e.look)
	}
}

// rest is how long nothing must happen before the world counts as resting: a machine that may take little
// asks seldom.
func (e *forecaster) rest() time.Duration {
	rest := restAfter
	for i := range e.fleet.Machines {
		if r := e.fleet.Machines[i].WANDown; r > 0 {
			for _, u := range e.w.updates {
				rest = max(rest, time.Duration(2.5*float64(u.info.ChunkBytes)/r*1e9))
			}
		}
	}
	return rest
}

func (e *forecaster) events() int64 {
	n := int64(0)
	for _, s := range e.w.sites {
		n += int64(s.q.seq)
	}
	return n
}

func (e *forecaster) progress() {
	if e.o.Beat == nil {
		return
	}
	done, of := 0, 0
	for _, r := range e.all {
		if r.m == nil {
			continue
		}
		of++
		if r.doneAt != 0 {
			done++
		}
	}
	e.o.Beat(e.w.trueTime(), done, of)
}

// moving: chunks came since the last look, are asked for, or something is being installed.
func (e *forecaster) moving() bool {
	n := int64(0)
	asked := false
	for _, s := range e.w.sites {
		n += s.delivered
		for _, m := range s.machines {
			asked = asked || len(m.asks) > 0
		}
	}
	moved := n != e.delivered
	e.delivered = n
	return moved || asked || e.begun > e.ended
}

// settle computes when machines that have the payload and wait will be done.
func (e *forecaster) settle() {
	for _, r := range e.all {
		if r.m == nil || r.doneAt != 0 {
			continue
		}
		if at := e.carryOut(r); at != 0 {
			r.doneAt = at
		}
	}
}

// carryOut follows a machine's plan from now on, as far as what it has at hand reaches: the next thing that
// policy lets it do, until the update is done; 0 if that does not happen within the time looked at.
func (e *forecaster) carryOut(r *fate) int64 {
	w, m := e.w, r.m
	facts := m.facts
	facts.Detected = map[policy.UpdateID]policy.Detection{}
	for _, u := range w.updates {
		facts.Detected[u.id] = policy.Detection{Present: m.disk.installed[u.id] == u.rev, At: e.fleet.At}
	}
	at := w.now
	for range maxSteps {
		p := policy.MakePlan(e.manifest, e.describe, facts, false, epoch0.Add(time.Duration(at)))
		u, present := e.nextAct(p, m)
		if u == nil {
			if p.NextAt.IsZero() || since(p.NextAt) > int64(w.sc.limit) {
				return 0
			}
			at = max(at+1, since(p.NextAt))
			continue
		}
		at += int64(m.hashing(u) + u.installTime)
		facts.Detected[u.id] = policy.Detection{Present: present, At: e.fleet.At}
		if u.id == e.target.Update {
			return at
		}
	}
	return 0
}

// maxSteps bounds how often one machine's plan is made anew.
const maxSteps = 500

// nextAct is what a plan has the machine do first, of what it can.
func (e *forecaster) nextAct(p policy.Plan, m *machine) (u *update, present bool) {
	for _, v := range p.Verdicts {
		u := e.w.byName[v.Update]
		if u == nil {
			continue
		}
		switch v.Verb {
		case policy.VerbInstall:
			if f := m.disk.file(u); f != nil && f.published {
				return u, true
			}
		case policy.VerbRemove:
			return u, false
		}
	}
	return nil, false
}

// next is when something will move again; 0: never, or nobody knows.
func (e *forecaster) next() int64 {
	next := e.nextRing()
	sooner := func(at int64) {
		if at > e.w.now && (next == 0 || at < next) {
			next = at
		}
	}
	now := e.w.trueTime()
	for _, r := range e.all {
		if r.m == nil || r.doneAt != 0 || r.wholeAt != 0 {
			continue
		}
		p := policy.MakePlan(e.manifest, e.describe, r.m.facts, false, now)
		if v, found := e.find(p); found && (v.Verb == policy.VerbWait || v.Verb == policy.VerbHold) && !v.Until.IsZero() {
			sooner(since(v.Until))
			continue
		}
		if b := e.siteOf(r.f.Site); b.DayBytes > 0 {
			sooner(since(b.budget().Period(now).DayEnd) + int64(time.Second))
		} else if b.MonthBytes > 0 {
			sooner(since(b.budget().Period(now).MonthEnd) + int64(time.Second))
		}
	}
	return next
}

// read takes the trace: what crossed lines, and when machines had the update.
func (e *forecaster) read(line []byte) {
	at, kind, rest := cutLine(string(line))
	switch kind {
	case "install", "remove":
		e.begun++
	case "installed", "removed", "failed":
		e.ended++
	case "wan", "stored", "whole":
	default:
		if kind == "down" { // what it was doing is over
			e.begun = e.ended
		}
		return
	}
	u := keyed(rest, "u=")
	target := u == string(e.target.Update)
	switch kind {
	case "wan":
		site := keyed(rest, "site=")
		bytes, _ := strconv.ParseInt(keyed(rest, "bytes="), 10, 64)
		if target {
			e.site(site).wan += bytes
		} else {
			e.site(site).others += bytes
		}
	case "stored":
		if keyed(rest, "tier=") == "lan" && target {
			m := keyed(rest, "m=")
			bytes, _ := strconv.ParseInt(keyed(rest, "bytes="), 10, 64)
			if x := e.machines[m]; x != nil {
				e.site(x.site.name).lan += bytes
			}
		}
	case "whole", "installed", "removed":
		m := keyed(rest, "m=")
		if r := e.rows[m]; r != nil && target {
			e.got(r, kind, at)
		}
	}
}

func (e *forecaster) got(r *fate, kind string, at int64) {
	if kind == "whole" {
		r.wholeAt = at
		if e.approval().Action == policy.ActionStageOnly {
			r.doneAt = at
		}
		return
	}
	r.doneAt = at
}

func (e *forecaster) site(name string) *moved {
	x := e.moved[name]
	if x == nil {
		x = &moved{}
		e.moved[name] = x
	}
	return x
}

// cutLine takes a line of a trace apart.
func cutLine(line string) (at int64, kind, rest string) {
	ns, rest, _ := strings.Cut(line, " ")
	kind, rest, _ = strings.Cut(rest, " ")
	at, _ = strconv.ParseInt(ns, 10, 64)
	return at, kind, rest
}

// keyed finds the value of a key in the words of a line.
func keyed(words, key string) string {
	for w := range strings.SplitSeq(words, " ") {
		if v, ok := strings.CutPrefix(w, key); ok {
			return v
		}
	}
	return ""
}
