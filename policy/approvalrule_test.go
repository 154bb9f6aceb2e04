package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// candidate is a catalogue row of a descriptor.
func candidate(d *Descriptor, firstAt, revisionAt time.Time) Candidate {
	return Candidate{ID: d.ID(), Bytes: 1000, Descriptor: d, FirstAt: firstAt, RevisionAt: revisionAt}
}

// said finds what became of an update.
func said(t *testing.T, all []Proposal, u UpdateID) Proposal {
	t.Helper()
	i := slices.IndexFunc(all, func(p Proposal) bool { return p.Approval.Update == u })
	if i < 0 {
		t.Fatalf("nothing is said of %s in %+v", u, all)
	}
	return all[i]
}

// R-B6: a rule proposes what its predicate fits, for its group or ring plan, with its deadline, once it has soaked; new
// updates only, and nothing that somebody has decided about or must accept a licence for.
func TestRB6RulesProposeNewUpdatesThatFit(t *testing.T) {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "pilot"}}
	b.m.RingPlans = []RingPlan{{Name: "std", Rings: []Ring{{Name: "pilot", Groups: []string{"pilot"}}, {Name: "broad", Groups: []string{"all"}}}}}
	b.m.ApprovalRules = []ApprovalRule{{Name: "fast", Severities: []string{"critical"}, Products: []string{"fire*"}, Group: "all", RingPlan: "std", Action: ActionInstall,
		SoakDays: 2, DeadlineDays: 14, DeadlineHour: 18, At: t0}}
	m := grouped(t, b.m)
	product := func(name string, change func(*Descriptor)) func(*Descriptor) {
		return func(d *Descriptor) {
			d.Product = name
			if change != nil {
				change(d)
			}
		}
	}
	in := t0.Add(time.Hour)
	row := func(id UpdateID, at time.Time, change func(*Descriptor)) Candidate {
		return candidate(b.update(id, 1, change), at, at)
	}
	catalogue := []Candidate{
		row("fits", in, product("Firefox", nil)), row("low", in, product("Firefox", func(d *Descriptor) { d.Severity = "low" })), row("other", in, product("chrome", nil)),
		row("old", t0.Add(-time.Hour), product("firefox", nil)), row("licence", in, product("firefox", func(d *Descriptor) { d.Licence = "text" })),
		row("gone", in, product("firefox", func(d *Descriptor) { d.Withdrawn = true })),
	}
	now := in.Add(3 * 24 * time.Hour)
	all := m.Propose(catalogue, now)
	if len(all) != 4 {
		t.Fatalf("%d updates fit: %+v", len(all), all)
	}
	p := said(t, all, "fits")
	a := p.Approval
	if want := time.Date(now.Year(), now.Month(), now.Day()+14, 18, 0, 0, 0, time.UTC); p.Not != "" || a.Group != "all" || a.RingPlan != "std" || len(a.RingsOpened) != 1 || !a.Deadline.Equal(want) {
		t.Errorf("%+v", p)
	}
	for u, why := range map[UpdateID]string{"old": "before the rule", "licence": "licence", "gone": "withdrawn"} {
		if p := said(t, all, u); !strings.Contains(p.Not, why) {
			t.Errorf("%s: %q", u, p.Not)
		}
	}
	if p := said(t, m.Propose(catalogue, in.Add(47*time.Hour)), "fits"); !strings.Contains(p.Not, "soaks until") {
		t.Errorf("before its soak is over: %+v", p)
	}
	for _, c := range []struct {
		group  string
		action Action
		why    string
	}{{"all", ActionOptional, "decided already"}, {"pilot", ActionDecline, "declined for group pilot"}, {"pilot", ActionInstall, ""}} {
		b.m.Approvals = nil
		b.approve(catalogue[0].Descriptor, c.group, c.action, nil)
		if p := said(t, grouped(t, b.m).Propose(catalogue, now), "fits"); c.why == "" && p.Not != "" || !strings.Contains(p.Not, c.why) {
			t.Errorf("%s for %s: %q", c.action, c.group, p.Not)
		}
	}
}

// Two rules for one update and one group make one approval; for two groups they make two. Existing sweeps the catalogue,
// and a source is a host that the payload comes from.
func TestRB6TwoRulesForOneGroupMakeOneApproval(t *testing.T) {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "lab"}}
	rule := func(name, group string, a Action) ApprovalRule {
		return ApprovalRule{Name: name, Sources: []string{"*.debian.org"}, Group: group, Action: a, Existing: true, At: t0}
	}
	b.m.ApprovalRules = []ApprovalRule{rule("b", "all", ActionInstall), rule("a", "all", ActionOptional), rule("c", "lab", ActionInstall)}
	d := b.update("u", 1, func(d *Descriptor) { d.Origins = []string{"https://deb.debian.org:443/pool/u.deb"} })
	elsewhere := b.update("v", 1, func(d *Descriptor) { d.Origins = []string{"https://deb.debian.org.evil.example/u.deb"} })
	all := grouped(t, b.m).Propose([]Candidate{candidate(d, t0.Add(-time.Hour), t0.Add(-time.Hour)), candidate(elsewhere, t0, t0)}, t0)
	var made []string
	for _, p := range all {
		if p.Not == "" {
			made = append(made, p.Rule+" "+string(p.Approval.Action)+" "+p.Approval.Group)
		}
	}
	if want := []string{"a optional all", "c install lab"}; !slices.Equal(made, want) || len(all) != 3 {
		t.Errorf("%v of %+v", made, all)
	}
}

// A rule is part of what is signed: bounded, in one order, told apart in a diff, and gone with its log entry undone.
func TestRB6RulesAreSignedBoundedAndShown(t *testing.T) {
	good := ApprovalRule{Name: "r", Severities: []string{"low"}, Group: "all", Action: ActionInstall, At: t0}
	for name, spoil := range map[string]func(*ApprovalRule){
		"no condition": func(r *ApprovalRule) { r.Severities = nil }, "removal": func(r *ApprovalRule) { r.Action = ActionRemove },
		"severity": func(r *ApprovalRule) { r.Severities = []string{"urgent"} }, "pattern": func(r *ApprovalRule) { r.Products = []string{"["} },
		"soak": func(r *ApprovalRule) { r.SoakDays = -1 }, "hour": func(r *ApprovalRule) { r.DeadlineDays, r.DeadlineHour = 1, 24 }, "name": func(r *ApprovalRule) { r.Name = "../x" },
		"hour alone": func(r *ApprovalRule) { r.DeadlineHour = 3 }, "entries": func(r *ApprovalRule) { r.Updates = slices.Repeat([]string{"x"}, maxRuleEntries) },
		"control": func(r *ApprovalRule) { r.Products = []string{"a\u202eb"} }, "empty": func(r *ApprovalRule) { r.Updates = []string{""} },
	} {
		r := good
		spoil(&r)
		if err := r.Validate(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	m := Manifest{Org: "acme", Epoch: 1, IssuedAt: t0, ApprovalRules: []ApprovalRule{good}}
	m.ApprovalRules[0].RingPlan = "nowhere"
	if _, err := m.Encode(); !errors.Is(err, ErrFormat) {
		t.Errorf("along a plan that is not there: %v", err)
	}
	m.ApprovalRules[0].RingPlan = ""
	with := m.decisions(nil)
	changes := decisions{}.diff(with)
	if len(changes) != 1 || changes[0].Op() != "add" || !strings.Contains(changes[0].Text(), "rule      r: propose to install, severity low for group all") {
		t.Errorf("%+v", changes)
	}
	back, err := (decisions{}).apply(changes)
	if err != nil || len(back.manifest().ApprovalRules) != 1 {
		t.Errorf("%+v, %v", back, err)
	}
}

// R-B7: switches are off; switched on for a group they reach revisions with the same bytes alone, and never those of a
// test group that they do not name.
func TestRB7RevisionsAreProposedForTheSameBytesOnly(t *testing.T) {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "lab"}, {Name: "desks"}}
	b.m.RingPlans = []RingPlan{{Name: "std", Rings: []Ring{{Name: "lab", Groups: []string{"lab"}}, {Name: "broad", Groups: []string{"all"}}}}}
	first := b.update("u", 1, nil)
	text := b.update("u", 2, func(d *Descriptor) { d.Title, d.CVEs, d.Severity = "corrected", []string{"CVE-2026-1"}, "low" })
	changed := map[string]*Descriptor{}
	for name, change := range map[string]func(*Descriptor){
		"bytes": func(d *Descriptor) { d.SHA256 = sumOf("others") }, "arguments": func(d *Descriptor) { d.InstallerArgs = map[string]string{"dest": "/etc/passwd"} },
		"rule": func(d *Descriptor) { d.Applicable = query(t, `{"arch":["arm64"]}`) }, "class": func(d *Descriptor) { d.Classification = "security" },
		"withdrawn": func(d *Descriptor) { d.Withdrawn = true },
	} {
		changed[name] = b.update("u", 2, change)
	}
	propose := func(d *Descriptor) []Proposal {
		return grouped(t, b.m).ProposeRevisions([]Candidate{candidate(d, t0, t0)}, b.describe, t0.Add(time.Hour))
	}
	b.approve(first, "desks", ActionInstall, func(a *Approval) { a.RingPlan, a.RingsOpened = "std", []time.Time{t0, t0} })
	b.approve(first, "lab", ActionInstall, nil)
	if all := propose(text); len(all) != 0 {
		t.Fatalf("with the switch off: %+v", all)
	}
	b.m.Settings = []Setting{{SetRevisions, "all", "metadata"}}
	all := propose(text)
	if len(all) != 1 || all[0].Approval.Group != "desks" || all[0].Not != "" || all[0].Approval.Descriptor != text.ID() || len(all[0].Approval.RingsOpened) != 2 || !all[0].Approval.At.Equal(t0) {
		t.Errorf("%+v", all)
	}
	for name, d := range changed {
		if p := propose(d)[0]; p.Not == "" {
			t.Errorf("%s changed and it is proposed", name)
		}
	}
	b.m.Settings = append(b.m.Settings, Setting{SetRevisions, "lab", "any"})
	if p := propose(changed["bytes"]); len(p) != 2 || p[1].Approval.Group != "lab" || p[1].Not != "" || p[0].Not == "" {
		t.Errorf("a test group with its own word: %+v", p)
	}
	b.m.Settings = []Setting{{SetRevisions, "desks", "any"}}
	if p := propose(changed["bytes"])[0]; p.Not != "" || len(p.Approval.RingsOpened) != 1 || !p.Approval.At.After(t0) {
		t.Errorf("other bytes begin anew: %+v", p)
	}
}

// R-B7: to decline is proposed for what its vendor has withdrawn, and for what is replaced everywhere, for 30 days, and needed nowhere;
// a mitigation that has ended is to be taken off, not declined.
func TestRB7RB8ObsoleteApprovalsAreProposedForDecline(t *testing.T) {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "desks"}}
	b.m.RingPlans = []RingPlan{{Name: "std", Rings: []Ring{{Name: "one", Groups: []string{"desks"}}, {Name: "two", Groups: []string{"all"}}}}}
	old := b.update("old", 1, nil)
	newer := b.update("new", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"old", "guard"} })
	guard := b.update("guard", 1, func(d *Descriptor) { d.Mitigates, d.MitigationEnds, d.Removable = "x", t0, true })
	recalled := b.update("recalled", 1, nil)
	b.approve(old, "all", ActionInstall, func(a *Approval) { a.Deadline = t0 })
	b.approve(guard, "all", ActionInstall, nil)
	b.approve(recalled, "all", ActionInstall, nil)
	b.approve(newer, "all", ActionInstall, func(a *Approval) { a.RingPlan, a.RingsOpened = "std", []time.Time{t0} })
	catalogue := []Candidate{candidate(old, t0, t0), candidate(newer, t0, t0), candidate(guard, t0, t0), candidate(b.update("recalled", 2, func(d *Descriptor) { d.Withdrawn = true }), t0, t0)}
	needed, now := true, t0
	propose := func() map[UpdateID]Proposal {
		out := map[UpdateID]Proposal{}
		for _, p := range grouped(t, b.m).ProposeDeclines(catalogue, b.describe, func(UpdateID, string) bool { return needed }, now) {
			out[p.Approval.Update] = p
		}
		return out
	}
	if all := propose(); len(all) != 0 {
		t.Fatalf("with the switch off: %+v", all)
	}
	b.m.Settings = []Setting{{SetDeclines, "all", "yes"}}
	if all := propose(); len(all) != 1 || all["recalled"].Not != "" || all["recalled"].Approval.Action != ActionDecline {
		t.Errorf("while rings are not reached: %+v", all)
	}
	for i := range b.m.Approvals {
		if b.m.Approvals[i].Update == "new" {
			b.m.Approvals[i].RingsOpened = []time.Time{t0, t0.Add(time.Hour)}
		}
	}
	now = t0.Add(2 * time.Hour)
	if all := propose(); len(all) != 2 || !strings.Contains(all["old"].Not, "still needs it") {
		t.Errorf("while a machine needs it: %+v", all)
	}
	needed = false
	if p := propose()["old"]; !strings.Contains(p.Not, "less than 30 days") || !p.DueAt.Equal(t0.Add(time.Hour+30*day)) {
		t.Errorf("while its replacement is young: %+v", p)
	}
	now = t0.Add(time.Hour + 30*day)
	if p := propose()["old"]; p.Not != "" || p.Approval.Action != ActionDecline || !p.Approval.Deadline.IsZero() {
		t.Errorf("%+v", p)
	}
	b.m.Holds = []Hold{{ID: "h", Update: "new", Kind: "pause", Reason: "r", At: t0}}
	if p, there := propose()["old"]; there {
		t.Errorf("while what replaces it is held: %+v", p)
	}
}
