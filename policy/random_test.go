package policy

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

// lot is one random world: a manifest, its descriptors, a machine and a time.
type lot struct {
	m     *Manifest
	descs map[content.ID]*Descriptor
	mach  Machine
	now   time.Time
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func draw(t *testing.T, r *rand.Rand) lot {
	l := lot{descs: map[content.ID]*Descriptor{}, now: t0.Add(time.Duration(r.IntN(90*24*60)) * time.Minute)}
	m := Manifest{}
	names := []string{"all", "unassigned"}
	for i := range r.IntN(6) {
		g := Group{Name: fmt.Sprintf("g%d", i), SelfJoin: r.IntN(3) == 0}
		if i > 0 && r.IntN(2) == 0 {
			g.Parent = fmt.Sprintf("g%d", r.IntN(i))
		}
		if r.IntN(3) == 0 {
			g.Query = pick(r, query(t, `{"arch":["amd64"]}`), query(t, `{"package":{"system":"deb","name":"openssl","version":{"below":"3.0.15-1"}}}`),
				query(t, `{"machine":{"names":["till-*"]}}`), query(t, `{"not":{"os":{"distribution":"debian"}}}`), query(t, `{"machine":{"memory_mib":{"at_least":10000}}}`))
		}
		m.Groups, names = append(m.Groups, g), append(names, g.Name)
	}
	group := func() string { return pick(r, names...) }
	for i := range 1 + r.IntN(4) {
		u := UpdateID(fmt.Sprintf("u%d", i))
		d := &Descriptor{Update: u, Revision: 1, Severity: pick(r, severities...), Installer: pick(r, "file", "file", "msi"), FileName: "f", SHA256: sumOf(string(u)),
			Payload: content.Sum([]byte(u)), MapBytes: 1, PlainBytes: 1, StoredBytes: 1, Arch: pick(r, "", "", "amd64", "arm64"), MaxRunSeconds: r.IntN(3) * 1800}
		for j := range 5 { // u4 nobody approves
			other := UpdateID(fmt.Sprintf("u%d", j))
			older := j < i || r.IntN(20) == 0
			if older && j != i && r.IntN(4) == 0 {
				d.Supersedes = append(d.Supersedes, other)
			}
			if older && j != i && r.IntN(5) == 0 {
				d.Prerequisites = append(d.Prerequisites, other)
			}
		}
		d.Exclusive = pick(r, "", "", "", "", "yes")
		l.descs[d.ID()] = d
		for _, g := range names {
			if r.IntN(3) > 0 {
				continue
			}
			a := Approval{Update: u, Revision: 1, Descriptor: d.ID(), DescriptorBytes: 1000, Group: g, At: t0.Add(time.Duration(r.IntN(1000)) * time.Hour),
				Action: pick(r, ActionInstall, ActionInstall, ActionInstall, ActionRemove, ActionStageOnly, ActionOptional, ActionDetectOnly, ActionDecline), IgnoreWindows: r.IntN(8) == 0, IgnoreBudget: r.IntN(8) == 0, Expedite: r.IntN(8) == 0}
			if r.IntN(2) == 0 {
				a.NotBefore = t0.Add(time.Duration(r.IntN(90*24)) * time.Hour)
			}
			if r.IntN(2) == 0 {
				a.Deadline = t0.Add(time.Duration(r.IntN(90*24)) * time.Hour)
			}
			a.LocalTime = r.IntN(3) == 0 && !(a.NotBefore.IsZero() && a.Deadline.IsZero())
			m.Approvals = append(m.Approvals, a)
		}
	}
	for i := range r.IntN(3) {
		m.Windows = append(m.Windows, Window{ID: fmt.Sprintf("w%d", i), Group: group(), Rule: pick(r, "FREQ=DAILY", "FREQ=MONTHLY;BYDAY=2TU", "FREQ=WEEKLY;BYDAY=SU"),
			From: "2026-01-01", At: fmt.Sprintf("%02d:30", r.IntN(24)), Zone: pick(r, "UTC", "Europe/Berlin", "America/New_York"), Minutes: 30 + r.IntN(600)})
	}
	for i := range r.IntN(3) {
		h := Hold{ID: fmt.Sprintf("h%d", i), Update: pick(r, AllUpdates, UpdateID("u0"), UpdateID("u1")), Group: pick(r, "", group()), Kind: "pause", Reason: "r", At: t0}
		if r.IntN(2) == 0 {
			h.ExpiresAt = t0.Add(time.Duration(r.IntN(90*24)) * time.Hour)
		}
		if r.IntN(3) > 0 {
			h.Kind = "safeguard"
			if r.IntN(2) == 0 {
				h.Match = &HoldMatch{Query: pick(r, query(t, `{"package":{"system":"deb","name":"openssl","version":{"below":"3.0.15-1"}}}`), query(t, `{"machine":{"models":["till*"]}}`), query(t, `{"os":{"distribution":"fedora"}}`))}
			}
		}
		if h.Kind == "pause" && r.IntN(2) == 0 { // as a ring plan asks for it
			h.ID = "ring-" + h.ID
		}
		m.Holds = append(m.Holds, h)
	}
	id := fmt.Sprint(r.IntN(1000))
	brake := Brake{Update: "u0", Revision: 1 + r.IntN(2), Reason: "r", At: t0, Until: t0.Add(MaxBrakeLife)}
	for i := range r.IntN(6) {
		x := HoldException{ID: fmt.Sprintf("x%d", i), Hold: pick(r, "h0", "h1", "ring-h0", "ring-h1", brake.ID()), Reason: "r", At: t0, Until: l.now.Add(time.Duration(r.IntN(200)-50) * time.Hour)}
		if x.Machine = pick(r, id, id, "other"); r.IntN(2) == 0 {
			x.Machine, x.Group = "", group()
		}
		if x.Validate() == nil {
			m.HoldExceptions = append(m.HoldExceptions, x)
		}
	}
	l.m = grouped(t, m)
	if r.IntN(3) == 0 {
		l.m = merge(l.m, nil, &Roster{Brakes: []Brake{brake}})
	}
	l.mach = Machine{ID: id, Name: pick(r, "till-1", "pc"), Site: "s", Arch: "amd64", OS: "linux", Installers: []string{"file"}, Detected: map[UpdateID]Detection{},
		Zone: zone(t, pick(r, "UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"))}
	for _, g := range names {
		if r.IntN(4) == 0 {
			l.mach.Groups = append(l.mach.Groups, g)
		}
		if r.IntN(4) == 0 {
			l.mach.Claims = append(l.mach.Claims, g)
		}
	}
	if r.IntN(4) > 0 {
		l.mach.Inventory = bookworm()
	}
	for i := range 4 {
		if r.IntN(3) == 0 {
			l.mach.Detected[UpdateID(fmt.Sprintf("u%d", i))] = Detection{At: l.now, Present: r.IntN(2) == 0}
		}
	}
	return l
}

// The second, naive reading of groups and of the conflict rule, written from the words of the rule alone: it walks up
// from every group, and looks for a winner by comparing every approval with every other.

// naiveGroups gives for each group yes, no or perhaps, and for those that are not no the depth.
func naiveGroups(m *Manifest, mach Machine) (yes, perhaps map[string]int) {
	byName := map[string]Group{}
	for _, g := range m.Groups {
		byName[g.Name] = g
	}
	up := func(name string) (chain []string) {
		for ; name != "" && name != GroupAll; name = byName[name].Parent {
			chain = append(chain, name)
		}
		return chain
	}
	yes, perhaps = map[string]int{GroupAll: 0}, map[string]int{}
	member, open := false, false
	for name, g := range byName {
		is := slices.Contains(mach.Groups, name) || g.SelfJoin && slices.Contains(mach.Claims, name)
		maybe := false
		if g.Query != nil {
			a := g.Query.Evaluate(inventoryFacts{mach.Inventory, mach})
			is, maybe = is || a.Truth == Yes, a.Truth == Uncertain
		}
		member, open = member || is, open || maybe
		for i, above := range up(name) {
			depth := len(up(name)) - i
			if is {
				yes[above] = depth
			} else if maybe {
				perhaps[above] = depth
			}
		}
	}
	if !member && !open {
		yes[GroupUnassigned] = 1
	}
	if !member && open {
		perhaps[GroupUnassigned] = 1
	}
	for g := range yes {
		delete(perhaps, g)
	}
	return yes, perhaps
}

// naiveBeats: the deeper group; then install before remove before the rest, required before optional; then a deadline
// before none, an earlier one before a later. To detect it everywhere is nobody's decision and comes last.
func naiveBeats(x, y Approval, depth map[string]int) bool {
	if bare := func(a Approval) bool { return a.Action == ActionDetectOnly && a.Group == "all" }; bare(x) || bare(y) {
		return !bare(x)
	}
	order := []Action{ActionInstall, ActionRemove, ActionStageOnly, ActionOptional, ActionDetectOnly, ActionDecline}
	if depth[x.Group] != depth[y.Group] {
		return depth[x.Group] > depth[y.Group]
	}
	if x.Action != y.Action {
		return slices.Index(order, x.Action) < slices.Index(order, y.Action)
	}
	if x.Deadline.IsZero() || y.Deadline.IsZero() {
		return !x.Deadline.IsZero() && y.Deadline.IsZero()
	}
	return x.Deadline.Before(y.Deadline)
}

// R-B4, R-B5, R-H1: 10,000 random policies, machines and times. The plan is the same each time, nothing is changed that
// no approval of a group of the machine asks for, nor before its time, nor while a window is closed or a hold is in
// force, and the winner is the one that a naive reading of the conflict rule finds.
func TestRB4RandomPoliciesAgreeWithANaiveReading(t *testing.T) {
	acted, held, conflicts, excepted, let, halts := 0, 0, 0, 0, 0, 0
	related := 0
	worlds := soak(250, 10_000)
	for seed := range uint64(worlds) {
		l := draw(t, rand.New(rand.NewPCG(seed, 4)))
		describe := func(id content.ID) *Descriptor { return l.descs[id] }
		p := MakePlan(l.m, describe, l.mach, false, l.now)
		shuffled := l.mach
		shuffled.Groups, shuffled.Claims = slices.Clone(l.mach.Groups), slices.Clone(l.mach.Claims)
		slices.Reverse(shuffled.Groups)
		slices.Reverse(shuffled.Claims)
		if again := MakePlan(l.m, describe, shuffled, false, l.now); !reflect.DeepEqual(p, again) {
			t.Fatalf("seed %d: two plans of one world\n%+v\n%+v", seed, p, again)
		}
		l.m = naiveTimes(l.m, l.mach.Zone) // from here on nothing is local
		yes, perhaps := naiveGroups(l.m, l.mach)
		told := map[UpdateID]Verdict{}
		for _, v := range p.Verdicts {
			told[v.Update] = v
		}
		related += checkRelated(t, seed, l, p)
		for u := range 4 {
			id := UpdateID(fmt.Sprintf("u%d", u))
			var of []Approval
			for _, a := range l.m.Approvals {
				if _, addressed := yes[a.Group]; a.Update == id && addressed {
					of = append(of, a)
				}
			}
			v, planned := told[id]
			if planned != (len(of) > 0) {
				t.Fatalf("seed %d: %s planned %v, %d approvals", seed, id, planned, len(of))
			}
			if !planned {
				continue
			}
			won := l.m.Approvals[v.Approval]
			for _, a := range of {
				if naiveBeats(a, won, yes) {
					t.Fatalf("seed %d: %s for %s won over %s for %s", seed, won.Action, won.Group, a.Action, a.Group)
				}
			}
			if len(v.Losing) != len(of)-1 {
				t.Fatalf("seed %d: %d of %d approvals lost", seed, len(v.Losing), len(of))
			}
			conflicts += len(v.Losing)
			if v.Verb == VerbHold {
				held++
			}
			if i := slices.IndexFunc(l.m.Holds, func(h Hold) bool { return h.ID == v.Hold }); v.Hold != "" && !naiveHeld(l, l.m.Holds[i], won, yes, perhaps) {
				t.Fatalf("seed %d: %s by hold %s, which does not count here", seed, id, v.Hold)
			}
			for _, x := range v.Excepted {
				if strings.HasPrefix(x.Hold, "ring-") {
					halts++
				}
			}
			if excepted += len(v.Excepted); v.Hold == "" && len(v.Excepted) > 0 && v.Verb == VerbInstall {
				let++
			}
			if v.Verb == VerbInstall || v.Verb == VerbRemove {
				acted++
				checkAct(t, seed, l, v, yes, perhaps)
			}
		}
	}
	if acted < worlds/15 || held < worlds/30 || conflicts < worlds/6 {
		t.Errorf("the worlds are too plain: %d changes, %d holds, %d conflicts", acted, held, conflicts)
	}
	if excepted < worlds/25 || let < worlds/500 {
		t.Errorf("the worlds are too plain: %d exceptions, %d of them let an install go on", excepted, let)
	}
	if worlds >= 10_000 && halts < 20 {
		t.Errorf("the worlds are too plain: %d halts that were opened", halts)
	}
	if related < worlds/60 {
		t.Errorf("the worlds are too plain: %d are left out or wait for another", related)
	}
	t.Logf("%d worlds: %d left out or waiting for another, %d changes, %d holds, %d conflicts, %d exceptions, %d of them from halts", worlds, related, acted, held, conflicts, excepted, halts)
}

// naiveHeld: the hold is about the approved revision, the machine may be meant by its group and its predicate, it has not
// ended, and no exception that surely means the machine opens a safeguard or a brake.
func naiveHeld(l lot, h Hold, a Approval, yes, perhaps map[string]int) bool {
	is := func(all map[string]int, g string) bool { _, in := all[g]; return in }
	switch {
	case h.Update != AllUpdates && h.Update != a.Update, h.revision != 0 && h.revision != a.Revision:
		return false
	case h.Group != "" && !is(yes, h.Group) && !is(perhaps, h.Group), !h.ExpiresAt.IsZero() && !l.now.Before(h.ExpiresAt):
		return false
	case h.Match != nil && h.Match.Query.Evaluate(inventoryFacts{l.mach.Inventory, l.mach}).Truth == No:
		return false
	}
	halt := strings.HasPrefix(h.ID, "ring-") && h.Group == "" && h.Update != "all"
	for _, x := range l.m.HoldExceptions {
		if x.Hold == h.ID && (h.Kind != "pause" || halt) && h.Kind != "freeze" && l.now.Before(x.Until) && (x.Machine == l.mach.ID || x.Machine == "" && is(yes, x.Group)) {
			return false
		}
	}
	return true
}

// checkAct looks for anything that should have stopped a change.
func checkAct(t *testing.T, seed uint64, l lot, v Verdict, yes, perhaps map[string]int) {
	t.Helper()
	a := l.m.Approvals[v.Approval]
	addressed := func(g string) bool { _, is := yes[g]; return is }
	unclear := func(g string) bool { _, is := perhaps[g]; return is }
	switch {
	case !addressed(a.Group), a.Action != ActionInstall && v.Verb == VerbInstall, a.Action != ActionRemove && v.Verb == VerbRemove:
		t.Fatalf("seed %d: %s by %s for %s", seed, v.Verb, a.Action, a.Group)
	case l.now.Before(a.NotBefore):
		t.Fatalf("seed %d: at %s, not before %s", seed, l.now, a.NotBefore)
	}
	for _, h := range l.m.Holds {
		if naiveHeld(l, h, a, yes, perhaps) {
			t.Fatalf("seed %d: %s under hold %s", seed, v.Update, h.ID)
		}
	}
	for _, o := range l.m.Approvals {
		if o.Update == v.Update && unclear(o.Group) {
			t.Fatalf("seed %d: %s although group %s is unclear", seed, v.Update, o.Group)
		}
	}
	need := 30 * time.Minute
	if d := l.descs[a.Descriptor]; d.MaxRunSeconds > 0 {
		need = time.Duration(d.MaxRunSeconds) * time.Second
	}
	has, open := false, false
	for _, w := range l.m.Windows {
		if unclear(w.Group) {
			t.Fatalf("seed %d: changed although the window of %s may count", seed, w.Group)
		}
		has = has || addressed(w.Group)
	}
	// Minute by minute: the whole of the work must lie in open windows.
	for at := l.now; has && !a.IgnoreWindows && at.Before(l.now.Add(need)); at = at.Add(time.Minute) {
		open = slices.ContainsFunc(l.m.Windows, func(w Window) bool { return addressed(w.Group) && naiveOpen(w, at) })
		if !open {
			t.Fatalf("seed %d: %s at %s, no window is open at %s", seed, v.Update, l.now, at)
		}
	}
}

// naiveOpen reads a window's rule by the calendar alone: is there a day on which it opens so that it is open at an instant?
func naiveOpen(w Window, at time.Time) bool {
	loc, err := time.LoadLocation(w.Zone)
	if err != nil {
		panic(err)
	}
	var hour, minute int
	if _, err := fmt.Sscanf(w.At, "%d:%d", &hour, &minute); err != nil {
		panic(err)
	}
	local := at.In(loc)
	for back := -1; back <= 1; back++ {
		day := time.Date(local.Year(), local.Month(), local.Day()+back, 12, 0, 0, 0, loc)
		on := w.Rule == "FREQ=DAILY" || w.Rule == "FREQ=WEEKLY;BYDAY=SU" && day.Weekday() == time.Sunday ||
			w.Rule == "FREQ=MONTHLY;BYDAY=2TU" && day.Weekday() == time.Tuesday && day.Day() > 7 && day.Day() <= 14
		from := time.Date(day.Year(), day.Month(), day.Day(), hour, minute, 0, 0, loc)
		// Around a change of the clocks the two readings may differ by an hour; other tests look there.
		slack := time.Duration(0)
		if offsetAt(from.Add(-24*time.Hour), loc) != offsetAt(from.Add(24*time.Hour), loc) {
			slack = time.Hour
		}
		if on && !at.Before(from.Add(-slack)) && at.Before(from.Add(time.Duration(w.Minutes)*time.Minute+slack)) {
			return true
		}
	}
	return false
}

// R-G9: stalled is what stays in a state for longer than its budget, by the default or by a signed setting.
func TestRG9StalledByTheBudgetOfTheState(t *testing.T) {
	m := grouped(t, Manifest{Groups: []Group{{Name: "slow"}, {Name: "never"}}, Settings: []Setting{
		{"stalled-downloading", "slow", "240h"}, {"stalled-downloading", "never", "none"},
	}})
	for _, c := range []struct {
		groups string
		state  State
		in     time.Duration
		want   bool
	}{
		{"", StateDownloading, 24 * time.Hour, false}, {"", StateDownloading, 24*time.Hour + 1, true}, {"", StateDownloading, -time.Hour, false},
		{"slow", StateDownloading, 200 * time.Hour, false}, {"slow", StateDownloading, 241 * time.Hour, true}, {"never", StateDownloading, 9999 * time.Hour, false},
		{"", StateInstalling, 7 * time.Hour, true}, {"", StateInstalled, 9999 * time.Hour, false}, {"", StateWaitingWindow, 9999 * time.Hour, false},
		{"", StateHeld, 9999 * time.Hour, false}, {"slow", StateVerifying, 3 * time.Hour, true},
	} {
		b := m.Budgets(Machine{Groups: list(c.groups)})
		if got := b.Stalled(c.state, t0, t0.Add(c.in)); got != c.want {
			t.Errorf("%s in %q for %s: stalled %v", c.state, c.groups, c.in, got)
		}
	}
	if (Budgets{StateDownloading: 1}).Stalled(StateDownloading, time.Time{}, t0) {
		t.Error("a state of which nobody knows since when is stalled")
	}
	for s, name := range stateNames {
		if got, ok := ParseState(name); !ok || got != s {
			t.Errorf("%s reads as %d", name, got)
		}
	}
}
