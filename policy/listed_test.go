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
	if got := fmt.Sprint(l.Added, l.Dropped, l.Over, len(l.Approvals)); got != "[new plain] [] 0 3" {
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
	if l := m.List(all, said, t0); fmt.Sprint(l.Added) != "[plain]" || len(l.Approvals) != 3 {
		t.Errorf("a new revision: %+v", l)
	}
	all[1].Descriptor.Withdrawn = true
	if l := m.List(all, said, t0); fmt.Sprint(l.Dropped) != "[plain]" || len(l.Approvals) != 2 {
		t.Errorf("withdrawn: %+v", l)
	}
	off := *m
	off.Settings = []Setting{{SetListNew, GroupAll, "no"}}
	if l := off.List(all, said, t0); fmt.Sprint(l.Added, l.Dropped) != "[] [new plain]" || !reflect.DeepEqual(l.Approvals, m.Approvals[:1]) {
		t.Errorf("switched off: %+v", l)
	}
	for i := range MaxListed + 5 {
		add(Descriptor{Update: UpdateID(fmt.Sprintf("n%03d", i))})
	}
	l = m.List(all, said, t0)
	if len(l.Added) != MaxListed || l.Over != 6 || fmt.Sprint(l.Dropped) != "[new plain]" || !strings.Contains(l.Text(), "6 not listed") {
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
