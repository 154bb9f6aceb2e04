package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// R-M3: a machine lacks what it does not have itself, in the newer form that replaces it, or by finding that it is none
// of its own. Nothing else excuses it: not a decline, not a hold, not silence.
func TestRM3AMachineIsMeasuredByTheBaselinesOfItsGroups(t *testing.T) {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "servers"}, {Name: "db", Parent: "servers"}}
	b.m.Baselines = []Baseline{{Group: "servers", Updates: []UpdateID{"agent", "old"}, At: t0}, {Group: "all", Updates: []UpdateID{"certs", "agent"}, At: t0}}
	b.approve(b.update("mid", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"old"} }), "all", ActionInstall, nil)
	b.approve(b.update("new", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"mid"} }), "all", ActionInstall, nil)
	m := grouped(t, b.m)
	if got := m.BaselineOf([]string{"db"}); !slices.Equal(got, []UpdateID{"agent", "certs", "old"}) {
		t.Fatalf("%v", got)
	}
	if got := m.BaselineOf(nil); !slices.Equal(got, []UpdateID{"agent", "certs"}) {
		t.Fatalf("%v", got)
	}
	installed := Standing{Compliance: Installed}
	for name, c := range map[string]struct {
		said map[UpdateID]Standing
		want string
	}{
		"silent":                     {nil, "agent certs old"},
		"all there":                  {map[UpdateID]Standing{"agent": installed, "certs": installed, "old": installed}, ""},
		"replaced":                   {map[UpdateID]Standing{"agent": installed, "certs": installed, "new": installed, "old": {NotApplicable, ReasonDepOtherFirst}}, ""},
		"to be replaced":             {map[UpdateID]Standing{"agent": installed, "certs": installed, "new": {Compliance: Required}, "old": {NotApplicable, ReasonDepOtherFirst}}, "old"},
		"for others":                 {map[UpdateID]Standing{"agent": {NotApplicable, ReasonCompatArch}, "certs": installed, "old": installed}, ""},
		"what replaces it is others": {map[UpdateID]Standing{"agent": installed, "certs": installed, "mid": {NotApplicable, ReasonCompatArch}}, "old"},
		"declined":                   {map[UpdateID]Standing{"agent": {NotApplicable, ReasonPolicyDeclined}, "certs": {Required, ReasonPolicyHold}, "old": installed}, "agent certs"},
	} {
		var got []string
		for _, u := range m.Replacers(b.describe).Lacking(m.BaselineOf([]string{"db"}), c.said) {
			got = append(got, string(u))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

// A baseline from the approvals holds what reaches every machine of the group, and not what others of it replace.
func TestRM3ABaselineIsTakenFromWhatIsApprovedForAll(t *testing.T) {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "servers"}, {Name: "desks"}}
	b.m.RingPlans = []RingPlan{{Name: "std", Rings: []Ring{{Name: "one", Groups: []string{"desks"}}, {Name: "two", Groups: []string{"all"}}}}}
	along := func(opened ...time.Time) func(*Approval) {
		return func(a *Approval) { a.RingPlan, a.RingsOpened = "std", opened }
	}
	b.approve(b.update("base", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("old", 1, nil), "servers", ActionInstall, nil)
	b.approve(b.update("new", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"old"} }), "servers", ActionInstall, nil)
	b.approve(b.update("done", 1, nil), "all", ActionInstall, along(t0, t0))
	b.approve(b.update("half", 1, nil), "all", ActionInstall, along(t0))
	b.approve(b.update("no", 1, nil), "servers", ActionDecline, nil)
	b.approve(b.update("no", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("desk", 1, nil), "desks", ActionInstall, nil)
	b.approve(b.update("guard", 1, func(d *Descriptor) { d.Mitigates, d.MitigationEnds, d.Removable = "x", t0, true }), "all", ActionInstall, nil)
	m := grouped(t, b.m)
	if got := m.Approved("servers", b.describe); !slices.Equal(got, []UpdateID{"base", "done", "new"}) {
		t.Errorf("%v", got)
	}
	if got := m.Approved(GroupAll, b.describe); !slices.Equal(got, []UpdateID{"base", "done", "no"}) {
		t.Errorf("%v", got)
	}
}

func TestRM3BaselinesAreSignedBoundedAndShown(t *testing.T) {
	for name, bad := range map[string]Baseline{
		"empty": {Group: "all"}, "group": {Group: "../x", Updates: []UpdateID{"u"}}, "update": {Group: "all", Updates: []UpdateID{"A"}},
		"double": {Group: "all", Updates: []UpdateID{"u", "u"}}, "order": {Group: "all", Updates: []UpdateID{"v", "u"}}, "many": {Group: "all", Updates: make([]UpdateID, maxBaselineUpdates+1)},
	} {
		if err := bad.Validate(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	was := Manifest{Org: "acme", Epoch: 1, IssuedAt: t0, Baselines: []Baseline{{Group: "all", Updates: []UpdateID{"v", "u"}, At: t0}}}
	b, err := was.Encode() // which puts it in order
	if err != nil {
		t.Fatal(err)
	}
	if m, err := DecodeManifest(b); err != nil || m.Baselines[0].Updates[0] != "u" {
		t.Fatalf("%+v, %v", m, err)
	}
	is := was
	is.Baselines = []Baseline{{Group: "all", Updates: []UpdateID{"u", "w"}, At: t0}}
	changes := was.decisions(nil).diff(is.decisions(nil))
	if len(changes) != 1 || changes[0].Op() != "change" || !strings.Contains(changes[0].Text(), "of group all: u, w") {
		t.Fatalf("%+v", changes)
	}
	if back, err := was.decisions(nil).apply(changes); err != nil || len(back.baselines) != 1 || back.baselines[0].Updates[1] != "w" {
		t.Errorf("%+v, %v", back, err)
	}
}
