package policy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"patchmesh/content"
)

// tangle is a random world of updates that replace and need each other.
type tangle struct {
	t       *testing.T
	seed    uint64
	b       *bench
	ids     []UpdateID               // approved in some way
	descs   map[UpdateID]*Descriptor // of those, and of what is approved for others
	actions map[UpdateID]Action
	held    map[UpdateID]bool
	mach    Machine
}

func drawTangle(t *testing.T, seed uint64) *tangle {
	r := rand.New(rand.NewPCG(seed, 8))
	w := &tangle{t: t, seed: seed, b: newBench(t), descs: map[UpdateID]*Descriptor{}, actions: map[UpdateID]Action{}, held: map[UpdateID]bool{}}
	w.b.m.Groups = []Group{{Name: "lab"}} // the machine is not in it
	w.mach = Machine{Detected: map[UpdateID]Detection{}, SetBack: map[UpdateID]SetBack{}, Unready: map[content.ID]bool{}}
	n := 2 + r.IntN(8)
	dense := 3 + r.IntN(4)
	for _, i := range r.Perm(n) { // the order in which things are approved is nobody's concern
		id := UpdateID(fmt.Sprintf("u%d", i))
		d := w.b.update(id, 1, func(d *Descriptor) {
			for j := range n {
				other := UpdateID(fmt.Sprintf("u%d", j))
				if j == i || j > i && r.IntN(40) > 0 { // a circle now and then
					continue
				}
				if r.IntN(dense) == 0 {
					d.Supersedes = append(d.Supersedes, other)
				}
				if r.IntN(dense+1) == 0 {
					d.Prerequisites = append(d.Prerequisites, other)
				}
			}
			if r.IntN(5) == 0 {
				d.Exclusive = "yes"
			}
		})
		a := pick(r, ActionInstall, ActionInstall, ActionInstall, ActionInstall, ActionInstall, ActionInstall, ActionInstall, ActionDecline, ActionOptional, ActionStageOnly, Action(""))
		if a == "" { // nobody has approved it here; what is known of it holds all the same
			if r.IntN(2) == 0 {
				w.descs[id] = d
				w.b.approve(d, "lab", pick(r, ActionInstall, ActionDecline), nil)
			}
			continue
		}
		w.ids, w.descs[id], w.actions[id] = append(w.ids, id), d, a
		w.b.approve(d, "all", a, nil)
		if r.IntN(9) == 0 {
			w.held[id] = true
			w.b.m.Holds = append(w.b.m.Holds, Hold{ID: "h-" + string(id), Update: id, Kind: "pause", Reason: "r", At: t0})
		}
		switch r.IntN(14) {
		case 0:
			w.mach.Detected[id] = Detection{Present: true, At: t0}
		case 1:
			w.mach.Detected[id] = Detection{Foreign: ReasonCompatEdition, At: t0}
		case 2:
			w.mach.SetBack[id] = SetBack{Revision: 1, ApprovedAt: t0}
		case 3:
			w.mach.SetBack[id] = SetBack{Revision: 1, ApprovedAt: t0, Until: t0.Add(time.Hour)}
		case 4, 5:
			w.mach.Unready[d.ID()] = true
		}
	}
	slices.Sort(w.ids)
	return w
}

// The second, naive reading: who replaces whom by walking up again and again, and what can come by trying everything
// until nothing more is added.

// reaches: by one step after the other through what next gives one comes from a to b.
func reaches(a, b UpdateID, next func(UpdateID) []UpdateID) bool {
	seen := []UpdateID{}
	for todo := slices.Clone(next(a)); len(todo) > 0; todo = todo[1:] {
		if todo[0] == b {
			return true
		}
		if !slices.Contains(seen, todo[0]) {
			seen = append(seen, todo[0])
			todo = append(todo, next(todo[0])...)
		}
	}
	return false
}

func (w *tangle) below(u UpdateID) []UpdateID {
	if d := w.descs[u]; d != nil {
		return d.Supersedes
	}
	return nil
}

func (w *tangle) needs(u UpdateID) []UpdateID {
	if w.actions[u] == ActionInstall {
		return w.descs[u].Prerequisites
	}
	return nil
}

// replaces: newer is above older in a chain, and not the other way round as well.
func (w *tangle) replaces(newer, older UpdateID) bool {
	return reaches(newer, older, w.below) && !reaches(older, newer, w.below)
}

// contradicts: it is on a circle of what may be installed here.
func (w *tangle) contradicts(u UpdateID) bool {
	offered := func(x UpdateID) bool { return w.actions[x] == ActionInstall || w.actions[x] == ActionOptional }
	return offered(u) && reaches(u, u, func(x UpdateID) []UpdateID {
		return slices.DeleteFunc(slices.Clone(w.below(x)), func(y UpdateID) bool { return !offered(x) || !offered(y) })
	})
}

func (w *tangle) has(there map[UpdateID]bool, u UpdateID) bool {
	return there[u] || slices.ContainsFunc(w.ids, func(x UpdateID) bool { return there[x] && w.replaces(x, u) })
}

func (w *tangle) lacks(there map[UpdateID]bool, u UpdateID) bool {
	return slices.ContainsFunc(w.needs(u), func(n UpdateID) bool { return !w.has(there, n) })
}

func (w *tangle) there() map[UpdateID]bool {
	out := map[UpdateID]bool{}
	for u, d := range w.mach.Detected {
		if d.Present {
			out[u] = true
		}
	}
	return out
}

// end is what is on the machine in the end if all is installed that can be, but what not refuses.
func (w *tangle) end(not func(UpdateID) bool) map[UpdateID]bool {
	set := w.there()
	for grown := true; grown; {
		grown = false
		for _, u := range w.ids {
			s, back := w.mach.SetBack[u]
			stopped := w.actions[u] != ActionInstall || w.held[u] || w.mach.Detected[u].Foreign != "" || back && s.Until.IsZero() || w.contradicts(u)
			if !set[u] && !stopped && !not(u) && !w.lacks(set, u) {
				set[u], grown = true, true
			}
		}
	}
	return set
}

func (w *tangle) replacedIn(set map[UpdateID]bool, u UpdateID) bool {
	return slices.ContainsFunc(w.ids, func(x UpdateID) bool {
		return set[x] && w.actions[x] != ActionDecline && w.actions[x] != ActionRemove && !w.contradicts(x) && w.replaces(x, u)
	})
}

func (w *tangle) fail(p map[UpdateID]Verdict, format string, args ...any) {
	w.t.Helper()
	for _, u := range w.ids {
		v := p[u]
		w.t.Logf("%s %s: there %v, held %v, back %v, unready %v, replaces %v, needs %v, alone %q: %s %s %s (%s)", u, w.actions[u], w.mach.Detected[u], w.held[u], w.mach.SetBack[u],
			w.mach.Unready[w.descs[u].ID()], w.below(u), w.needs(u), w.descs[u].Exclusive, v.Verb, v.Compliance, v.Reason, v.Detail)
	}
	w.t.Fatalf("seed %d: "+format, append([]any{w.seed}, args...)...)
}

// plan makes one, and again with everything the other way round.
func (w *tangle) plan(r *rand.Rand) map[UpdateID]Verdict {
	p := w.b.plan(w.mach, t0)
	r.Shuffle(len(w.b.m.Holds), func(i, j int) { w.b.m.Holds[i], w.b.m.Holds[j] = w.b.m.Holds[j], w.b.m.Holds[i] })
	if again := w.b.plan(w.mach, t0); !reflect.DeepEqual(p, again) {
		w.fail(p, "two plans of one world: %v", again)
	}
	return p
}

// due is what a machine would begin now.
func (w *tangle) due(p map[UpdateID]Verdict) (due []UpdateID) {
	for _, u := range w.ids {
		if _, back := w.mach.SetBack[u]; p[u].Verb == VerbInstall && !back && !w.mach.Unready[w.descs[u].ID()] {
			due = append(due, u)
		}
	}
	return due
}

// check looks at one plan.
func (w *tangle) check(p map[UpdateID]Verdict, due []UpdateID) (checkpoints int) {
	there := w.there()
	all := w.end(func(UpdateID) bool { return false })
	for _, u := range due {
		switch {
		case w.descs[u].Exclusive == "yes" && len(due) > 1:
			w.fail(p, "%s must be alone: %v", u, due)
		case w.lacks(there, u) || there[u]:
			w.fail(p, "%s is installed before what it needs, or twice", u)
		case w.replacedIn(there, u):
			w.fail(p, "%s is laid over what replaces it", u)
		}
	}
	var kept []UpdateID
	for _, u := range w.ids {
		v := p[u]
		if v.Verb != VerbNone && !there[u] && w.replacedIn(all, u) && all[u] {
			kept = append(kept, u)
		}
		if w.contradicts(u) && v.Verb != VerbNone && v.Compliance != Conflict || !w.contradicts(u) && v.Compliance == Conflict && !reaches(u, u, w.needs) {
			w.fail(p, "%s is a contradiction %v", u, w.contradicts(u))
		}
		round := reaches(u, u, func(x UpdateID) []UpdateID {
			return slices.DeleteFunc(slices.Clone(w.needs(x)), func(n UpdateID) bool { return w.has(there, n) })
		})
		if back := w.mach.SetBack[u]; round && v.Verb != VerbNone && v.Verb != VerbHold && !all[u] && back.Revision == 0 {
			w.fail(p, "%s is on a circle", u)
		}
		if v.Verb == VerbStage && v.Await == StateWaitingPrerequisite && (v.Detail == "" || v.Reason != ReasonDepMissing && v.Reason != ReasonDepOtherFirst) {
			w.fail(p, "%s waits for nothing that it names", u)
		}
	}
	for _, k := range kept { // without it something would not come
		less := w.end(func(u UpdateID) bool { return u == k || w.replacedIn(all, u) && !slices.Contains(kept, u) })
		if !slices.ContainsFunc(w.ids, func(u UpdateID) bool { return all[u] && !w.replacedIn(all, u) && !less[u] }) {
			w.fail(p, "%s is installed beside what replaces it, and nothing needs it", k)
		}
	}
	return len(kept)
}

// R-H8, R-B8: whatever replaces and needs what, must be alone, is held, failed here or cannot be fetched, a machine comes to an end:
// nothing is installed before what it needs, beside one that must be alone, twice, over what replaces it, or beside
// what replaces it without need; a circle is refused; and at the end there is all that a naive reading says can be there, or something that replaces it.
func TestRH8RandomRelationsComeToTheEndThatANaiveReadingFinds(t *testing.T) {
	installs, checkpoints, blocked, waiting := 0, 0, 0, 0
	worlds := soak(1500, 30_000)
	for seed := range uint64(worlds) {
		w, r := drawTangle(t, seed), rand.New(rand.NewPCG(seed, 9))
		late := func(u UpdateID) bool { return !w.mach.SetBack[u].Until.IsZero() || w.mach.Unready[w.descs[u].ID()] }
		all := w.end(func(UpdateID) bool { return false })
		early := w.end(func(u UpdateID) bool { return late(u) || w.replacedIn(all, u) })
		if len(early) < len(all) {
			blocked++
		}
		reached := func(p map[UpdateID]Verdict, want map[UpdateID]bool, when string) {
			there := w.there()
			for u := range want {
				if !there[u] && !w.replacedIn(all, u) {
					w.fail(p, "%s: %s is not there although it can be", when, u)
				}
			}
			for u := range there {
				if !all[u] {
					w.fail(p, "%s: %s is there although it cannot be", when, u)
				}
			}
		}
		for healed := false; ; {
			p := w.plan(r)
			due := w.due(p)
			checkpoints += w.check(p, due)
			if len(due) == 0 && healed {
				reached(p, all, "in the end")
				for _, u := range w.ids {
					if p[u].Await == StateWaitingPrerequisite {
						waiting++
					}
				}
				break
			}
			if len(due) == 0 { // what failed is tried again, and what was missing comes
				reached(p, early, "before the rest comes")
				healed = true
				maps.DeleteFunc(w.mach.SetBack, func(_ UpdateID, s SetBack) bool { return !s.Until.IsZero() })
				clear(w.mach.Unready)
				continue
			}
			if r.IntN(2) == 0 { // one change at a time, or all of a pass
				due = []UpdateID{due[r.IntN(len(due))]}
			}
			for _, u := range due {
				w.mach.Detected[u] = Detection{Present: true, At: t0}
			}
			installs += len(due)
		}
	}
	if installs < worlds || checkpoints < worlds/30 || blocked < worlds/10 || waiting < worlds/10 {
		t.Errorf("the worlds are too plain: %d installs, %d plans with a checkpoint, %d worlds in which something comes late, %d wait in the end", installs, checkpoints, blocked, waiting)
	}
	t.Logf("%d worlds: %d installs, %d plans with a checkpoint, %d worlds in which something comes late, %d wait in the end", worlds, installs, checkpoints, blocked, waiting)
}

// checkRelated looks at one plan of a world in which everything else is random as well: nothing is installed before what it needs,
// beside one that must be alone, or beside what replaces it; and who is left out is left out for one that is there or comes.
// It gives how many are left out, or wait for another.
func checkRelated(t *testing.T, seed uint64, l lot, p Plan) (related int) {
	t.Helper()
	w := tangle{t: t, seed: seed, descs: map[UpdateID]*Descriptor{}, actions: map[UpdateID]Action{}, mach: l.mach}
	verdicts, there, counts := map[UpdateID]Verdict{}, map[UpdateID]bool{}, map[UpdateID]bool{}
	var due []UpdateID
	for u, d := range l.mach.Detected { // approved here or not
		if d.Present && !slices.ContainsFunc(p.Verdicts, func(v Verdict) bool { return v.Update == u && v.Listed }) {
			there[u] = true
		}
	}
	for _, v := range p.Verdicts {
		if v.Listed { // nobody has decided about it
			continue
		}
		w.ids, verdicts[v.Update] = append(w.ids, v.Update), v
		w.descs[v.Update], w.actions[v.Update] = l.descs[v.Descriptor], l.m.Approvals[v.Approval].Action
		if d := l.mach.Detected[v.Update]; d.Present {
			there[v.Update], counts[v.Update] = true, v.Compliance.There() // what is for another machine does not count
			if w.actions[v.Update] == ActionOptional {
				w.actions[v.Update] = ActionInstall
			}
		}
		if v.Verb == VerbInstall {
			due = append(due, v.Update)
		}
	}
	elsewhere := map[UpdateID]int{}
	for _, a := range l.m.Approvals { // for other machines
		if _, here := w.actions[a.Update]; !here && a.role == "" && !a.Listed() && a.Revision > elsewhere[a.Update] {
			w.descs[a.Update], elsewhere[a.Update] = l.descs[a.Descriptor], a.Revision
		}
	}
	for _, u := range due {
		switch {
		case w.descs[u].Exclusive == "yes" && len(due) > 1:
			t.Fatalf("seed %d: %s must be alone: %v", seed, u, due)
		case w.lacks(there, u), w.replacedIn(counts, u), w.contradicts(u):
			t.Fatalf("seed %d: %s is installed, needs %v, with %v there, of %v", seed, u, w.needs(u), there, w.actions)
		}
		for _, x := range due {
			if w.replaces(x, u) {
				t.Fatalf("seed %d: %s is installed beside %s, which replaces it", seed, u, x)
			}
		}
	}
	for _, u := range w.ids {
		v := verdicts[u]
		if v.Await == StateWaitingPrerequisite || v.Await == StateWaitingOtherInstall {
			related++
		}
		if v.Reason != ReasonDepOtherFirst || v.Verb != VerbNone {
			continue
		}
		related++
		if !slices.ContainsFunc(w.ids, func(x UpdateID) bool {
			return w.replaces(x, u) && (there[x] || verdicts[x].Verb == VerbInstall || verdicts[x].Verb == VerbStage)
		}) {
			t.Fatalf("seed %d: %s is left out, %s", seed, u, v.Detail)
		}
	}
	return related
}
