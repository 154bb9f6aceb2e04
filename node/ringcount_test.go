package node

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// member puts a machine that does not run into the books of the seed, with what it has reported.
func (m *mesh) member(name string, groups []string, reports ...api.Update) {
	m.t.Helper()
	if err := m.seed.seed.db.PutMember(state.MemberRow{ID: name, Name: name, Site: "main", Groups: groups, Serial: 1, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), JoinedAt: time.Now()}); err != nil {
		m.t.Fatal(err)
	}
	body, err := json.Marshal(api.Machine{ID: name, Updates: reports})
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.seed.seed.db.PutReport(name, 1, time.Now(), body); err != nil {
		m.t.Fatal(err)
	}
}

// R-B10: a ring counts the machines on which this approval counts, and done is what its action asks for.
func TestRB10RingsCountWhatTheApprovalIsAbout(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	ctx := context.Background()
	for _, g := range []string{"pilot", "kiosks", "servers"} {
		if _, err := m.seed.Invite(ctx, api.InviteRequest{Site: "main", Groups: []string{g}, Uses: 1}); err != nil {
			t.Fatal(err)
		}
	}
	plan := policy.RingPlan{Name: "p", Rings: []policy.Ring{{Name: "pilot", Groups: []string{"pilot"}, SuccessPercent: 100, SoakMinutes: 60}, {Name: "broad", Groups: []string{"all"}}}}
	if _, err := m.seed.SetRings(ctx, api.RingsRequest{Plan: plan}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"kiosk", "stage", "gone", "other"} {
		m.file(id, payload(1000))
	}
	saw := func(update, state string) api.Update {
		return api.Update{Update: update, Revision: 1, State: state, Compliance: map[string]string{"removed": "not-applicable"}[state]}
	}
	m.member("m1", []string{"pilot"}, saw("stage", "downloaded"), saw("gone", "removed"), saw("other", "deferred"))
	m.member("m2", []string{"pilot", "kiosks"}, saw("kiosk", "installed"), saw("stage", "waiting-content"), saw("gone", "deferred"), saw("other", "deferred"))
	for _, r := range []api.ApproveRequest{
		{Update: "kiosk", Rings: "p", Group: "kiosks"}, {Update: "stage", Rings: "p", Action: "stage-only"},
		{Update: "gone", Rings: "p", Action: "detect-only"}, {Update: "other", Rings: "p"}, {Update: "other", Group: "pilot", Action: "decline"},
	} {
		if _, err := m.seed.Approve(ctx, r); err != nil {
			t.Fatal(r, err)
		}
	}
	for id, want := range map[string]api.RingRow{
		"kiosk": {Machines: 1, Needed: 1, Installed: 1}, "stage": {Machines: 2, Needed: 2, Installed: 1}, "other": {},
	} {
		got := m.rollout(id).Rings[0]
		if got.Machines != want.Machines || got.Needed != want.Needed || got.Installed != want.Installed {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
	}
	// What is taken off is done where it is gone, and that is what shows that the removal does what it is for.
	tally := policy.Tally{}
	a := policy.Approval{Update: "gone", Revision: 1, Action: policy.ActionRemove, RingsOpened: []time.Time{time.Now()}}
	count(&tally, api.Machine{Updates: []api.Update{saw("gone", "removed")}}, a)
	if tally != (policy.Tally{Machines: 1, Needed: 1, Installed: 1}) {
		t.Errorf("removed: %+v", tally)
	}
	if e := policy.EvidenceFor(a, nil, []policy.Tally{tally})[3]; e.Check != policy.CheckEffectiveness || !e.OK {
		t.Errorf("removed everywhere: %+v", e)
	}
}
