package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

// R-B13: a safeguard asks the inventory: who made the machine and what he calls it, distribution and version, an
// installed package with a range of versions in the order of its package system. What is not known counts as fitting.
func TestRB13ASafeguardAsksTheInventory(t *testing.T) {
	laptop := func() *Inventory {
		v := bookworm()
		v.Vendor, v.Model = "LENOVO", "ThinkPad X1 Carbon 7th / 20QD"
		v.Systems = append(v.Systems, PackageSystem{Name: SystemRPM})
		v.Keep(append(v.Packages, Package{SystemRPM, "kernel", "5.14.0-427.el9", "x86_64"}, Package{SystemDeb, "grub", "2.06~rc1-1", "amd64"}))
		return v
	}
	bare := &Inventory{OS: "linux", Arch: "amd64", Systems: []PackageSystem{{Name: SystemDeb, Error: "locked"}}}
	for name, c := range map[string]struct {
		query string
		inv   *Inventory
		held  bool
	}{
		"maker":                             {`{"machine":{"vendors":["Lenovo"]}}`, laptop(), true},
		"another maker":                     {`{"machine":{"vendors":["Dell*","HP"]}}`, laptop(), false},
		"model, past a slash":               {`{"machine":{"vendors":["lenovo"],"models":["thinkpad x1*"]}}`, laptop(), true},
		"another model":                     {`{"machine":{"vendors":["lenovo"],"models":["ThinkPad T*"]}}`, laptop(), false},
		"distribution and version":          {`{"os":{"distribution":"debian","version":{"at_least":"12","below":"13"}}}`, laptop(), true},
		"a later version":                   {`{"os":{"distribution":"debian","version":{"at_least":"13"}}}`, laptop(), false},
		"another distribution":              {`{"os":{"distribution":"ubuntu"}}`, laptop(), false},
		"package in range":                  {`{"package":{"system":"deb","name":"openssl","version":{"at_least":"3.0.11-1~deb12u2","below":"3.0.15-1"}}}`, laptop(), true},
		"package beyond the range":          {`{"package":{"system":"deb","name":"openssl","version":{"below":"3.0.14-1~deb12u1"}}}`, laptop(), false},
		"a tilde is before the end":         {`{"package":{"system":"deb","name":"grub","version":{"below":"2.06-1"}}}`, laptop(), true},
		"rpm in rpm's order":                {`{"package":{"system":"rpm","name":"kernel","version":{"at_least":"5.14.0-70.el9","below":"5.14.0-500.el9"}}}`, laptop(), true},
		"rpm beyond":                        {`{"package":{"system":"rpm","name":"kernel","version":{"below":"5.14.0-70.el9"}}}`, laptop(), false},
		"a package that is not there":       {`{"package":{"system":"deb","name":"nvidia-driver"}}`, laptop(), false},
		"all of it":                         {`{"all":[{"machine":{"models":["*20QD"]}},{"package":{"system":"deb","name":"openssl"}},{"not":{"os":{"name":"windows"}}}]}`, laptop(), true},
		"no inventory yet":                  {`{"machine":{"vendors":["HP"]}}`, nil, true},
		"firmware that says nothing":        {`{"machine":{"models":["X*"]}}`, bare, true},
		"packages that cannot be found out": {`{"package":{"system":"deb","name":"openssl"}}`, bare, true},
		"what is known decides before":      {`{"all":[{"os":{"name":"windows"}},{"machine":{"models":["X*"]}}]}`, bare, false},
	} {
		b := newBench(t)
		b.m.Holds = []Hold{{ID: "ki-1", Update: "u", Kind: HoldSafeguard, Reason: "hangs on resume", At: t0, Match: &HoldMatch{Query: query(t, c.query)}}}
		b.approve(b.update("u", 1, nil), "all", ActionInstall, nil)
		v := b.plan(Machine{Inventory: c.inv}, t0)["u"]
		if (v.Hold == "ki-1") != c.held || c.held != (v.Verb == VerbHold) || c.held && !strings.Contains(v.Detail, "ki-1") {
			t.Errorf("%s: %+v", name, v)
		}
		if text := b.m.Holds[0].text(); !strings.Contains(text, c.query) {
			t.Errorf("%s: an approver is shown %q", name, text)
		}
	}
	for name, q := range map[string]string{
		"a file": `{"file":{"path":"/x"}}`, "a command": `{"command":{"args":["/x"],"timeout_seconds":1,"exit":[0]}}`, "nothing": `{}`,
		"a pattern without end": `{"machine":{"models":["[x"]}}`, "a name with a line end": "{\"machine\":{\"vendors\":[\"a\\nb\"]}}",
	} {
		var c Condition
		if err := decodeStrict([]byte(q), 1000, &c); err != nil {
			t.Fatal(err)
		}
		if err := (Hold{ID: "h", Update: "u", Kind: HoldSafeguard, Reason: "r", Match: &HoldMatch{Query: &c}}).Validate(); err == nil {
			t.Errorf("a safeguard that asks for %s was taken", name)
		}
	}
}

// excepted is a bench with an update held by a safeguard for all, and what one exception says.
func excepted(t *testing.T, h Hold, change func(*HoldException)) *bench {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "lab"}, {Name: "kiosks", SelfJoin: true}, {Name: "old", Query: query(t, `{"machine":{"memory_mib":{"below":1000}}}`)}}
	if h.ID, h.Update, h.At = "ki-1", "u", t0; h.Reason == "" {
		h.Reason = "hangs"
	}
	b.m.Holds = []Hold{h}
	e := HoldException{ID: "x-1", Hold: "ki-1", Machine: "m1", Reason: "tested here", At: t0, Until: t0.Add(48 * time.Hour)}
	if change != nil {
		change(&e)
	}
	b.m.HoldExceptions = []HoldException{e}
	b.approve(b.update("u", 1, nil), "all", ActionInstall, nil)
	return b
}

// R-B13: the opt-out is signed, is for one machine or one group, and ends: after that the hold counts again, and the
// machine knows when to look.
func TestRB13AnExceptionOpensOneHoldUntilItEnds(t *testing.T) {
	guard := Hold{Kind: HoldSafeguard}
	group := func(g string) func(*HoldException) { return func(e *HoldException) { e.Machine, e.Group = "", g } }
	for name, c := range map[string]struct {
		hold   Hold
		change func(*HoldException)
		mach   Machine
		in     time.Duration
		open   bool
	}{
		"the machine":                       {guard, nil, Machine{ID: "m1"}, time.Hour, true},
		"another machine":                   {guard, nil, Machine{ID: "m2"}, time.Hour, false},
		"a machine called so":               {guard, nil, Machine{ID: "m2", Name: "m1"}, time.Hour, false},
		"its last second":                   {guard, nil, Machine{ID: "m1"}, 48*time.Hour - time.Second, true},
		"its end":                           {guard, nil, Machine{ID: "m1"}, 48 * time.Hour, false},
		"the group":                         {guard, group("lab"), Machine{Groups: []string{"lab"}}, time.Hour, true},
		"another group":                     {guard, group("lab"), Machine{Groups: []string{"kiosks"}}, time.Hour, false},
		"everybody":                         {guard, group("all"), Machine{}, time.Hour, true},
		"a group that one may join":         {guard, group("kiosks"), Machine{Claims: []string{"kiosks"}}, time.Hour, true},
		"a group that one may not join":     {guard, group("lab"), Machine{Claims: []string{"lab"}}, time.Hour, false},
		"it may be in the group or not":     {guard, group("old"), Machine{}, time.Hour, false},
		"another hold":                      {guard, func(e *HoldException) { e.Hold = "ki-2" }, Machine{ID: "m1"}, time.Hour, false},
		"an admin's pause":                  {Hold{Kind: HoldPause}, nil, Machine{ID: "m1"}, time.Hour, false},
		"what stands in for the unreadable": {Hold{Kind: HoldSafeguard, Reason: unreadable}, nil, Machine{ID: "m1"}, time.Hour, false},
	} {
		v := excepted(t, c.hold, c.change).plan(c.mach, t0.Add(c.in))["u"]
		if c.open != (len(v.Excepted) == 1) || c.open == (v.Hold == "ki-1") {
			t.Errorf("%s: %+v", name, v)
		}
		if c.open && (v.Excepted[0].Hold != "ki-1" || v.Excepted[0].Exception != "x-1" || !v.Excepted[0].Until.Equal(t0.Add(48*time.Hour))) {
			t.Errorf("%s: it is told as %+v", name, v.Excepted)
		}
	}
	b := excepted(t, guard, nil)
	m := grouped(t, b.m)
	p := MakePlan(m, func(id content.ID) *Descriptor { return b.descs[id] }, Machine{ID: "m1", Installers: []string{"file"}}, false, t0.Add(time.Hour))
	if p.Verdicts[0].Verb != VerbInstall || !p.NextAt.Equal(t0.Add(48*time.Hour)) {
		t.Errorf("it looks again at %s: %+v", p.NextAt, p.Verdicts)
	}
	// A freeze is for all updates and is not gone around either, and a second hold stops as ever.
	b.m.Holds = append(b.m.Holds, Hold{ID: "ny", Update: AllUpdates, Kind: HoldFreeze, Reason: "year end", At: t0, ExpiresAt: t0.Add(99 * time.Hour)})
	b.m.HoldExceptions = append(b.m.HoldExceptions, HoldException{ID: "x-2", Hold: "ny", Machine: "m1", Reason: "r", At: t0, Until: t0.Add(48 * time.Hour)})
	if v := b.plan(Machine{ID: "m1"}, t0.Add(time.Hour))["u"]; v.Hold != "ny" || len(v.Excepted) != 1 {
		t.Errorf("in a freeze: %+v", v)
	}
}

func TestRB13ExceptionsThatAreNotPlainAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*HoldException){
		"for nobody": func(e *HoldException) { e.Machine = "" }, "for both": func(e *HoldException) { e.Group = "lab" },
		"without end": func(e *HoldException) { e.Until = time.Time{} }, "over before it began": func(e *HoldException) { e.Until = e.At },
		"for years": func(e *HoldException) { e.Until = e.At.Add(MaxExceptionLife + 1) }, "of no time": func(e *HoldException) { e.At = time.Time{} },
		"no reason": func(e *HoldException) { e.Reason = "" }, "no hold": func(e *HoldException) { e.Hold = "" }, "no id": func(e *HoldException) { e.ID = "" },
		"a machine that moves the cursor": func(e *HoldException) { e.Machine = "a\nb" }, "a reason that does": func(e *HoldException) { e.Reason = "a\x1bb" },
		"a group that is no name": func(e *HoldException) { e.Machine, e.Group = "", "../x" },
	} {
		e := HoldException{ID: "x", Hold: "h", Machine: "m", Reason: "r", At: t0, Until: t0.Add(time.Hour)}
		if spoil(&e); !errors.Is(e.Validate(), ErrFormat) {
			t.Errorf("%s: %v", name, e.Validate())
		}
	}
	m := Manifest{Org: "acme", Epoch: 1, IssuedAt: t0, HoldExceptions: make([]HoldException, 2)}
	for i := range m.HoldExceptions {
		m.HoldExceptions[i] = HoldException{ID: "x", Hold: "h", Machine: "m", Reason: "r", At: t0, Until: t0.Add(time.Hour)}
	}
	if _, err := m.Encode(); !errors.Is(err, ErrFormat) {
		t.Errorf("two of one id: %v", err)
	}
}

// R-B13, T18: a role opens its own holds, on its own groups, and never one of the main approvers or of another role.
func TestRB13ARoleOpensNoHoldButItsOwn(t *testing.T) {
	m, k := canaryMesh(t)
	guard := func(h *Hold) { h.Kind, h.Update = HoldSafeguard, "tool" }
	own := func(change func(*HoldException)) func(*RoleManifest) {
		return func(rm *RoleManifest) {
			holdRole("canary.h1", "canary")(rm)
			guard(&rm.Holds[0])
			e := HoldException{ID: "canary.x1", Hold: "canary.h1", Group: "canary", Reason: "r", At: t0, Until: t0.Add(time.Hour)}
			if change != nil {
				change(&e)
			}
			rm.HoldExceptions = append(rm.HoldExceptions, e)
		}
	}
	for name, c := range map[string]struct {
		edit func(*RoleManifest)
		want error
	}{
		"a hold of the main approvers": {own(func(e *HoldException) { e.Hold = "main-hold" }), ErrFormat},
		"a hold of another role":       {own(func(e *HoldException) { e.Hold = "web.h1" }), ErrFormat},
		"an id of somebody else":       {own(func(e *HoldException) { e.ID = "x1" }), ErrFormat},
		"a group that is not its own":  {own(func(e *HoldException) { e.Group = "office" }), ErrLimit},
		"every machine":                {own(func(e *HoldException) { e.Group = GroupAll }), ErrLimit},
	} {
		if _, err := m.roleNext(t0, "canary", c.edit, k); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// The main approvers hold too, under a name like the role's: its exception does not meet that.
	m.mustNext(t0, func(man *Manifest) {
		man.Holds = append(man.Holds, Hold{ID: "canary.h2", Update: "tool", Kind: HoldSafeguard, Reason: "no", At: t0})
	})
	f := m.mustRole(t0, "canary", func(rm *RoleManifest) {
		own(nil)(rm)
		rm.HoldExceptions = append(rm.HoldExceptions, HoldException{ID: "canary.x2", Hold: "canary.h2", Group: "canary", Reason: "r", At: t0, Until: t0.Add(time.Hour)})
	}, k)
	man := m.open(f).Manifest()
	active := man.holdsFor(man.belongs(Machine{Groups: []string{"canary"}}), Machine{}, t0)
	if h, held := active.on("tool", 1); !held || h.ID != "canary.h2" || len(active.open) != 1 || active.open[0].Exception != "canary.x1" {
		t.Errorf("held %v by %s, open %+v", held, h.ID, active.open)
	}
	// The main approvers may open a role's.
	f = m.mustNext(t0, func(man *Manifest) {
		man.Holds = nil
		man.HoldExceptions = []HoldException{{ID: "x", Hold: "canary.h1", Group: "office", Reason: "r", At: t0, Until: t0.Add(time.Hour)}}
	})
	man = m.open(f).Manifest()
	if active := man.holdsFor(man.belongs(Machine{Groups: []string{"canary", "office"}}), Machine{}, t0.Add(time.Minute)); len(active.held) != 0 {
		t.Errorf("held by %+v", active.held)
	}
}

// R-B13, T32: a wall clock that is set back does not bring an exception to life again.
func TestRB13AClockThatIsSetBackRevivesNoException(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	m.mustNext(t0, func(man *Manifest) {
		man.Holds = []Hold{{ID: "ki-1", Update: "u", Kind: HoldSafeguard, Reason: "r", At: t0}}
		man.HoldExceptions = []HoldException{{ID: "x", Hold: "ki-1", Machine: "m1", Reason: "r", At: t0, Until: t0.Add(time.Hour)}}
	})
	held := func(now time.Time) bool {
		man := m.trust.Manifest()
		_, held := man.holdsFor(man.belongs(Machine{ID: "m1"}), Machine{ID: "m1"}, now).on("u", 1)
		return held
	}
	c := NewClock(ClockState{}, t0)
	c.Learn(m.trust)
	if held(c.Read(t0.Add(time.Minute))) || !held(c.Read(t0.Add(2*time.Hour))) {
		t.Fatal("the exception does not end at its time")
	}
	if back := c.Read(t0.Add(time.Minute)); !held(back) {
		t.Errorf("the clock was set back, and at %s the exception counts again", back)
	}
	restarted := NewClock(c.State(), time.Time{})
	restarted.Learn(m.trust)
	if back := restarted.Read(t0.Add(-1000 * time.Hour)); !held(back) {
		t.Errorf("after a restart with a clock set back it counts at %s", back)
	}
}

// R-B13, R-B9: an exception of a role lets go no longer than what the role approves: when its signatures have expired the
// hold, which stays, counts again, and machines look then. One that begins far ahead does not count before.
func TestRB13AnExceptionEndsWithTheSignaturesOfItsRole(t *testing.T) {
	b := excepted(t, Hold{Kind: HoldSafeguard}, nil)
	main := *grouped(t, b.m)
	doc := &RoleManifest{Holds: []Hold{{ID: "lab.h", Update: "u", Kind: HoldSafeguard, Reason: "hangs", At: t0}},
		HoldExceptions: []HoldException{{ID: "lab.x", Hold: "lab.h", Machine: "m1", Reason: "tested", At: t0, Until: t0.Add(80 * day)}}}
	main.Holds, main.HoldExceptions = nil, nil
	ends := t0.Add(10 * day)
	m := merge(&main, []RoleState{{Delegation: Delegation{Role: "lab"}, Document: doc, ExpiresAt: ends}}, nil)
	plan := func(m *Manifest, now time.Time) Plan {
		return MakePlan(m, func(id content.ID) *Descriptor { return b.descs[id] }, Machine{ID: "m1", Installers: []string{"file"}}, false, now)
	}
	if p := plan(m, t0.Add(day)); p.Verdicts[0].Verb != VerbInstall || !p.NextAt.Equal(ends) {
		t.Errorf("before: it looks again at %s: %+v", p.NextAt, p.Verdicts)
	}
	if p := plan(m, ends.Add(time.Second)); p.Verdicts[0].Hold != "lab.h" {
		t.Errorf("after: %+v", p.Verdicts)
	}
	ahead := excepted(t, Hold{Kind: HoldSafeguard}, func(e *HoldException) { e.At, e.Until = t0.Add(1000*day), t0.Add(1090*day) })
	if v := ahead.plan(Machine{ID: "m1"}, t0)["u"]; v.Hold != "ki-1" {
		t.Errorf("one for some other year: %+v", v)
	}
}
