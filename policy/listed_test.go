package policy

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

// listing lists an update; its descriptor is named by what it is for, as tests draw them.
func listing(u UpdateID) Approval {
	return Approval{Update: u, Revision: 1, Descriptor: content.Sum([]byte("list" + u)), DescriptorBytes: 1000, Group: GroupAll, Action: ActionDetectOnly, At: t0}
}

// R-B1: random policies, machines and times: whatever is listed beside them, and whatever the machine has of it, every
// other answer stays what it was. What is listed replaces, is needed, is stood in for and wants to be alone as it likes.
func TestRB1AListChangesNoPlan(t *testing.T) {
	looked, acted := 0, 0
	for seed := range uint64(soak(400, 10_000)) {
		r := rand.New(rand.NewPCG(seed, 11))
		l := draw(t, r)
		extra := []UpdateID{"a0", "a1", "u0", "u3", "z0"}
		meant := map[content.ID]*Descriptor{} // what documents say beside what draw has them say
		for id, d := range l.descs {
			c := *d
			c.Prerequisites, c.Exclusive = nil, pick(r, "", "yes", "no")
			if r.IntN(3) == 0 {
				c.Prerequisites = []UpdateID{pick(r, extra...)}
			}
			if r.IntN(4) == 0 {
				c.Mitigates, c.MitigationEnds = pick(r, extra...), l.now.Add(time.Hour)
			}
			meant[id] = &c
		}
		without := *l.m
		without.Approvals = slices.DeleteFunc(slices.Clone(l.m.Approvals), Approval.Listed)
		with := without
		with.Approvals = slices.Clone(without.Approvals)
		describe := func(id content.ID) *Descriptor { return meant[id] }
		decided := map[UpdateID]bool{}
		for _, v := range MakePlan(&without, describe, l.mach, false, l.now).Verdicts {
			decided[v.Update] = true
		}
		bare := l.mach // without the list nothing else is looked for
		bare.Detected = map[UpdateID]Detection{}
		for u, d := range l.mach.Detected {
			if decided[u] {
				bare.Detected[u] = d
			}
		}
		was := MakePlan(&without, describe, bare, false, l.now)
		mach := bare
		mach.Detected = map[UpdateID]Detection{}
		for u, d := range bare.Detected {
			mach.Detected[u] = d
		}
		for _, u := range extra {
			d := &Descriptor{Update: u, Revision: 1, Installer: "file", FileName: "f", SHA256: sumOf("x" + string(u)), Payload: content.Sum([]byte("x" + u)), MapBytes: 1, PlainBytes: 1, StoredBytes: 1,
				Exclusive: "yes", Supersedes: []UpdateID{pick(r, UpdateID("u0"), "u1", "u2", "a1", "z0")}, Prerequisites: []UpdateID{pick(r, UpdateID("u0"), "u1")}}
			meant[listing(u).Descriptor] = d
			with.Approvals = append(with.Approvals, listing(u))
			if !decided[u] {
				mach.Detected[u] = Detection{At: l.now, Present: r.IntN(2) == 0, Foreign: pick(r, "", "", ReasonCompatOS), Err: pick(r, "", "", "", ReasonInstallerDenied)}
			}
		}
		slices.SortStableFunc(with.Approvals, compareApprovals)
		is := MakePlan(&with, describe, mach, false, l.now)
		if !slices.IsSortedFunc(is.Verdicts, func(a, b Verdict) int { return strings.Compare(string(a.Update), string(b.Update)) }) {
			t.Fatalf("seed %d: the plan is out of order", seed)
		}
		rest := slices.DeleteFunc(slices.Clone(is.Verdicts), func(v Verdict) bool {
			if v.Listed && (v.Verb != VerbNone || decided[v.Update] || v.Urgent || !v.Until.IsZero()) {
				t.Fatalf("seed %d: listed, and %+v", seed, v)
			}
			return v.Listed
		})
		looked += len(is.Verdicts) - len(rest)
		plain := func(vs []Verdict) []Verdict { // where an approval stands is no part of an answer
			out := slices.Clone(vs)
			for i := range out {
				out[i].Approval, out[i].Losing = 0, nil
			}
			return out
		}
		if a, b := plain(was.Verdicts), plain(rest); len(a)+len(b) > 0 && !reflect.DeepEqual(a, b) || !was.NextAt.Equal(is.NextAt) {
			t.Fatalf("seed %d: without the list\n%+v\nwith it\n%+v", seed, a, b)
		}
		for _, v := range rest {
			if v.Verb == VerbInstall || v.Verb == VerbRemove {
				acted++
			}
		}
	}
	if looked < 500 || acted < 20 {
		t.Errorf("the worlds are too plain: %d listed, %d changes", looked, acted)
	}
}

// R-B1: what is listed is told as it was found, and as not approved.
func TestRB1ListedUpdatesAreDetectedAndCounted(t *testing.T) {
	d := &Descriptor{Update: "u", Revision: 1, Arch: "amd64"}
	m := &Manifest{Epoch: 1, Approvals: []Approval{listing("u")}}
	for _, c := range []struct {
		name string
		desc *Descriptor
		arch string
		seen *Detection
		want Compliance
		why  Reason
	}{
		{"not described yet", nil, "amd64", nil, ComplianceUnknown, ReasonPeerNoneHolds},
		{"not looked for yet", d, "amd64", nil, ComplianceUnknown, ReasonNotApproved},
		{"missing", d, "amd64", &Detection{}, Required, ReasonNotApproved},
		{"there", d, "amd64", &Detection{Present: true}, Installed, ReasonNotApproved},
		{"for others", d, "amd64", &Detection{Foreign: ReasonCompatOS}, NotApplicable, ReasonCompatOS},
		{"for another processor", d, "arm64", nil, NotApplicable, ReasonCompatArch},
		{"it cannot be found out", d, "amd64", &Detection{Err: ReasonInstallerDenied}, ComplianceError, ReasonInstallerDenied},
	} {
		mach := Machine{Arch: c.arch, Detected: map[UpdateID]Detection{}}
		if c.seen != nil {
			mach.Detected["u"] = *c.seen
		}
		v := MakePlan(m, func(content.ID) *Descriptor { return c.desc }, mach, false, t0).Verdicts[0]
		if v.Verb != VerbNone || !v.Listed || v.Compliance != c.want || v.Reason != c.why {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

// R-B1: of a catalogue what nobody has decided about is listed, the newest that fit the bound; to approve, decline,
// replace or withdraw it, or to switch the list off, takes it out; and nothing else of the approvals is touched.
func TestRB1TheListFollowsTheCatalogue(t *testing.T) {
	var all []Candidate
	add := func(d Descriptor) Candidate {
		d.Format, d.Revision = DescriptorFormat, max(d.Revision, 1)
		c := Candidate{ID: content.Sum([]byte(d.Update)), Bytes: 100, Descriptor: &d}
		all = append(all, c)
		return c
	}
	add(Descriptor{Update: "old"})
	add(Descriptor{Update: "plain"})
	add(Descriptor{Update: "pilot"})
	add(Descriptor{Update: "role"})
	add(Descriptor{Update: "gone", Withdrawn: true})
	add(Descriptor{Update: "shield", Mitigates: "plain"})
	add(Descriptor{Update: "new", Supersedes: []UpdateID{"old"}})
	m := &Manifest{Approvals: []Approval{{Update: "pilot", Revision: 1, Group: "test", Action: ActionInstall}}}
	said := func(u UpdateID) bool { return u == "role" }
	l := m.List(all, said, t0)
	// "pilot" is decided about for the group test alone: every other machine looks for it. Once it was left off, where the
	// approval came before the list, and stayed on, where it came after.
	if got := fmt.Sprint(l.Added, l.Dropped, l.Over, len(l.Approvals)); got != "[new plain pilot] [] 0 4" {
		t.Fatalf("listed: %s", got)
	}
	for _, a := range l.Approvals[1:] {
		if !a.Listed() || a.check() != nil {
			t.Errorf("%+v: %v", a, a.check())
		}
	}
	m.Approvals = l.Approvals
	if again := m.List(all, said, t0); again.Text() != "" || !reflect.DeepEqual(again.Approvals, m.Approvals) {
		t.Errorf("done twice: %s", again.Text())
	}
	all[1] = Candidate{ID: content.Sum([]byte("2")), Bytes: 100, Descriptor: &Descriptor{Update: "plain", Revision: 2}}
	if l := m.List(all, said, t0); fmt.Sprint(l.Added) != "[plain]" || len(l.Approvals) != 4 {
		t.Errorf("a new revision: %+v", l)
	}
	all[1].Descriptor.Withdrawn = true
	if l := m.List(all, said, t0); fmt.Sprint(l.Dropped) != "[plain]" || len(l.Approvals) != 3 {
		t.Errorf("withdrawn: %+v", l)
	}
	if l := m.List(all[:len(all)-1], said, t0); fmt.Sprint(l.Dropped) != "[plain new]" || len(l.Approvals) != 3 { // "old" is not replaced any more
		t.Errorf("not in the catalogue any more: %+v", l)
	}
	off := *m
	off.Settings = []Setting{{SetListNew, GroupAll, "no"}}
	if l := off.List(all, said, t0); fmt.Sprint(l.Added, l.Dropped) != "[] [new plain pilot]" || !reflect.DeepEqual(l.Approvals, m.Approvals[:1]) {
		t.Errorf("switched off: %+v", l)
	}
	for i := range MaxListed + 5 {
		add(Descriptor{Update: UpdateID(fmt.Sprintf("n%03d", i))})
	}
	l = m.List(all, said, t0)
	if len(l.Added) != MaxListed || l.Over != 7 || fmt.Sprint(l.Dropped) != "[new plain pilot]" || !strings.Contains(l.Text(), "7 not listed") {
		t.Errorf("too many: %d added, %d over, dropped %v: %s", len(l.Added), l.Over, l.Dropped, l.Text())
	}
	for _, a := range l.Approvals {
		if a.Update == "n004" || a.Update == "new" {
			t.Errorf("%s is listed in place of a newer one", a.Update)
		}
	}
}

// R-B1, R-B15: that an update is listed silences no role that approves it, and no rule that proposes it.
func TestRB1AListedUpdateIsFreeToBeDecidedAbout(t *testing.T) {
	d := &Descriptor{Update: "u", Revision: 1}
	main := &Manifest{Epoch: 1, Approvals: []Approval{listing("u")}}
	role := RoleState{Delegation: Delegation{Role: "canary"}, Document: &RoleManifest{Approvals: []Approval{{Update: "u", Revision: 1, Descriptor: d.ID(), Group: GroupAll, Action: ActionInstall}}}}
	m := merge(main, []RoleState{role}, nil)
	v := MakePlan(m, func(content.ID) *Descriptor { return d }, Machine{Installers: []string{""}, Detected: map[UpdateID]Detection{"u": {}}}, false, t0).Verdicts
	if len(v) != 1 || v[0].Verb != VerbInstall || v[0].Listed {
		t.Errorf("the role's word is lost: %+v", v)
	}
	main.ApprovalRules = []ApprovalRule{{Name: "r", Group: GroupAll, Action: ActionInstall, Existing: true}}
	if p := main.Propose([]Candidate{{ID: d.ID(), Bytes: 100, Descriptor: d}}, t0); len(p) != 1 || p[0].Not != "" {
		t.Errorf("a rule is told: %+v", p)
	}
	main.ApprovalRules[0].Action = ActionDetectOnly
	main.Approvals[0].Group = "office" // somebody has decided to detect it there
	main.ApprovalRules[0].Group = "office"
	if p := main.Propose([]Candidate{{ID: d.ID(), Bytes: 100, Descriptor: d}}, t0); len(p) != 1 || p[0].Not == "" {
		t.Errorf("a decision is no list: %+v", p)
	}
}

// R-B1, S-TRUST: a rule that runs a command is looked for only where somebody has decided that it may: an import, and a
// signature for something else, have no machine run it. What was decided stays as it is, and takes up no newer revision.
func TestRB1NoCommandIsListedByItself(t *testing.T) {
	run := &Condition{Not: &Condition{Command: &CommandTest{Args: []string{"/bin/sh", "-c", "evil"}, Exit: []int{0}}}}
	var all []Candidate
	for _, d := range []Descriptor{{Update: "applies", Revision: 1, Applicable: run}, {Update: "there", Revision: 1, Installed: run}, {Update: "decided", Revision: 2, Installed: run}, {Update: "plain", Revision: 1}} {
		all = append(all, Candidate{ID: content.Sum([]byte(d.Update)), Bytes: 100, Descriptor: &d})
	}
	m := &Manifest{Approvals: []Approval{listing("decided")}}
	l := m.List(all, func(UpdateID) bool { return false }, t0)
	if fmt.Sprint(l.Added, l.Dropped) != "[plain] []" || len(l.Approvals) != 2 || !reflect.DeepEqual(l.Approvals[0], m.Approvals[0]) {
		t.Errorf("%+v", l)
	}
}

// R-B1: only a decision for all machines takes an update off the list, whatever its action, and whether it came before
// or after the list. Where a decision for a group applies, the machine follows it as if there were no list.
func TestRB1OnlyADecisionForAllEndsTheLooking(t *testing.T) {
	d := &Descriptor{Format: DescriptorFormat, Update: "u", Revision: 1}
	all := []Candidate{{ID: d.ID(), Bytes: 100, Descriptor: d}}
	describe := func(content.ID) *Descriptor { return d }
	groups := []Group{{Name: "outer"}, {Name: "inner", Parent: "outer"}}
	plan := func(m *Manifest, in ...string) []Verdict {
		return MakePlan(m, describe, Machine{Groups: in, Installers: []string{""}, Detected: map[UpdateID]Detection{"u": {}}}, false, t0).Verdicts
	}
	nobody := func(UpdateID) bool { return false }
	for _, action := range []Action{ActionInstall, ActionRemove, ActionStageOnly, ActionOptional, ActionDetectOnly, ActionDecline} {
		for _, group := range []string{GroupAll, "outer", "inner", GroupUnassigned} {
			decision := Approval{Update: "u", Revision: 1, Descriptor: d.ID(), DescriptorBytes: 100, Group: group, Action: action, At: t0}
			bare := &Manifest{Epoch: 1, Groups: groups, Approvals: []Approval{decision}}
			before := *bare
			before.Approvals = before.List(all, nobody, t0).Approvals
			after := Manifest{Epoch: 1, Groups: groups}
			after.Approvals = after.List(all, nobody, t0).Approvals
			if group == GroupAll {
				after.Approvals = nil // a draft has one word for an update and a group
			}
			after.Approvals = append([]Approval{decision}, after.Approvals...)
			after.Approvals = after.List(all, nobody, t0).Approvals
			for _, m := range []*Manifest{&before, &after} {
				slices.SortStableFunc(m.Approvals, compareApprovals)
			}
			if !reflect.DeepEqual(before.Approvals, after.Approvals) {
				t.Errorf("%s for %s: decided first %+v, listed first %+v", action, group, before.Approvals, after.Approvals)
			}
			for _, in := range [][]string{nil, {"outer"}, {"inner"}} {
				was, is := plan(bare, in...), plan(&before, in...)
				if len(is) != 1 {
					t.Fatalf("%s for %s, a machine of %v: %+v", action, group, in, is)
				}
				v := is[0]
				v.Approval, v.Losing = 0, nil
				switch {
				case len(was) == 0 && !v.Listed:
					t.Errorf("%s for %s, a machine of %v does not look for it: %+v", action, group, in, v)
				case len(was) == 1 && !reflect.DeepEqual(v, was[0]):
					t.Errorf("%s for %s, a machine of %v: %+v without the list, %+v with it", action, group, in, was[0], v)
				}
			}
		}
	}
}

// R-B1: thousands of decisions for groups make the manifest longer by the bound of the list and no more, put nothing out of
// sight that nobody has decided about, and once the list is there it stays byte for byte as it is. Where a manifest is
// full, the list gives way, and not the decision.
func TestRB1TheListHasABoundWhateverIsDecided(t *testing.T) {
	m := &Manifest{Org: "acme", Epoch: 1, IssuedAt: t0, Groups: []Group{{Name: "test"}}, Holds: []Hold{}}
	var all []Candidate
	for i := range soak(3000, 10_000) {
		d := &Descriptor{Update: UpdateID(fmt.Sprintf("u%05d", i)), Revision: 1}
		c := Candidate{ID: content.Sum([]byte(d.Update)), Bytes: 100, Descriptor: d}
		all = append(all, c)
		if i >= 5 { // the oldest wait for a decision
			m.Approvals = append(m.Approvals, Approval{Update: d.Update, Revision: 1, Descriptor: c.ID, DescriptorBytes: 100, Group: "test", Action: ActionInstall, At: t0})
		}
	}
	size := func() int {
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return len(b)
	}
	nobody := func(UpdateID) bool { return false }
	bare := size()
	l := m.List(all, nobody, t0)
	if len(l.Added) != MaxListed || l.Over != len(all)-MaxListed || fmt.Sprint(l.Added[:6]) != fmt.Sprintf("[u00004 u00003 u00002 u00001 u00000 %s]", all[len(all)-1].Descriptor.Update) {
		t.Errorf("%d added, %d over: %v", len(l.Added), l.Over, l.Added[:6])
	}
	m.Approvals = l.Approvals
	with := size()
	if with > bare+MaxListed*300 {
		t.Errorf("the list takes %d bytes", with-bare)
	}
	t.Logf("%d decisions for a group: %d bytes, %d with the list", len(all)-5, bare, with)
	was, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	l = m.List(all, nobody, t0.Add(time.Hour))
	m.Approvals = l.Approvals
	if is, err := m.Encode(); err != nil || !bytes.Equal(was, is) || l.Text() != fmt.Sprintf("%d not listed: that many more than the 200 that are looked for at a time", l.Over) {
		t.Errorf("nothing is new, and the document is another: %v, %s", err, l.Text())
	}
	full := &Manifest{Approvals: make([]Approval, maxApprovals-3)}
	for i := range full.Approvals {
		full.Approvals[i] = Approval{Update: "other", Group: fmt.Sprintf("g%d", i), Action: ActionInstall}
	}
	if l := full.List(all, nobody, t0); len(l.Approvals) != maxApprovals || len(l.Added) != 3 {
		t.Errorf("%d of %d approvals, %d of them listed", len(l.Approvals), maxApprovals, len(l.Added))
	}
}
