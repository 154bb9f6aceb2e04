package node

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// R-G9: a machine that died in the middle of something is on the admin's list with what it was doing, since when, and
// that nothing is heard from it; once the budget of that state is over it is stalled. The budgets are signed, by group,
// and those that are signed after the machine fell silent hold for it as well, both ways.
func TestRG9TheSeedJudgesMachinesThatFellSilent(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	for _, name := range []string{"a", "b"} {
		m.join(name)
	}
	m.file("u1", payload(1000))
	m.approve("u1")
	// It was last heard three hours after it began the download, 30 hours ago.
	now := time.Now().UTC()
	began, last := now.Add(-33*time.Hour).Truncate(time.Microsecond), now.Add(-30*time.Hour)
	m.died("a", last, api.Update{Update: "u1", Revision: 1, State: "downloading", Since: began})
	m.died("b", last, api.Update{Update: "u1", Revision: 1, State: "installed", Since: began})

	u := m.seed.reported(t, "a", "u1")
	if u.State != "stalled" || u.StalledIn != "downloading" || !u.Since.Equal(began) || u.Reason != string(policy.ReasonHostOffline) ||
		!strings.Contains(u.Detail, "downloading for 1 d 9 h") || !strings.Contains(u.Detail, "ago") {
		t.Errorf("over its budget: %+v", u)
	}
	if u := m.seed.reported(t, "b", "u1"); u.State != "installed" || u.Reason != "" {
		t.Errorf("what is done cannot stall: %+v", u)
	}
	e, err := m.seed.Explain(context.Background(), "u1", "a")
	if err != nil || e.State != "stalled" || e.Reason != string(policy.ReasonHostOffline) || e.NextStep == "" {
		t.Errorf("explained: %+v, %v", e, err)
	}
	m.setting("stalled-downloading", "office", "48h")
	if u := m.seed.reported(t, "a", "u1"); u.State != "downloading" || u.StalledIn != "" || !u.Since.Equal(began) || u.Reason != string(policy.ReasonHostOffline) {
		t.Errorf("a longer budget of its group, signed since: %+v", u)
	}
	m.setting("stalled-downloading", "all", "1h")
	if u := m.seed.reported(t, "a", "u1"); u.State != "downloading" {
		t.Errorf("the nearer group's budget counts: %+v", u)
	}
	m.setting("stalled-downloading", "office", "24h")
	if u := m.seed.reported(t, "a", "u1"); u.State != "stalled" {
		t.Errorf("a shorter one again: %+v", u)
	}
	m.setting("stalled-downloading", "office", "none")
	if u := m.seed.reported(t, "a", "u1"); u.State != "downloading" {
		t.Errorf("for ever: %+v", u)
	}
}

// died leaves a machine with a last report.
func (m *mesh) died(name string, last time.Time, updates ...api.Update) {
	m.t.Helper()
	members, err := m.seed.db.Members()
	if err != nil {
		m.t.Fatal(err)
	}
	for _, k := range members {
		if k.Name != name {
			continue
		}
		b, err := json.Marshal(api.Machine{Updates: updates})
		if err == nil {
			_, err = m.seed.db.PutReport(k.ID, 1, last, b)
		}
		if err != nil {
			m.t.Fatal(err)
		}
		return
	}
	m.t.Fatalf("no machine %s", name)
}

// R-G9: that it is stalled is not what a machine reports: it reports what it does, and whoever shows it judges. A report
// would else go on saying it under budgets that were changed since.
func TestRG9ReportsSayWhatAMachineDoes(t *testing.T) {
	t.Parallel()
	n := newMesh(t).seed
	v := *n.view.Load()
	v.Tasks = []swarm.TaskView{{Verdict: policy.Verdict{Update: "u", Revision: 1}, State: policy.StateDownloading, Since: time.Now().Add(-25 * time.Hour)}}
	m := n.ownRow(v) // what is reported
	if got := m.Updates[0]; got.State != "downloading" || got.StalledIn != "" {
		t.Errorf("reported: %+v", got)
	}
	n.budgets().tellAll(&m, time.Now())
	if got := m.Updates[0]; got.State != "stalled" || got.StalledIn != "downloading" || got.Reason != "" {
		t.Errorf("shown by the machine itself, which is on: %+v", got)
	}
}
