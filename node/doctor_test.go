package node

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

func finding(t *testing.T, d *api.Diagnosis, scope, reason string) api.Finding {
	t.Helper()
	for _, f := range d.Findings {
		if f.Scope == scope && f.Reason == reason {
			return f
		}
	}
	t.Fatalf("no %s in scope %s: %+v", reason, scope, d.Findings)
	return api.Finding{}
}

// R-G8: the doctor finds a machine that is cut off, says who should do what, changes nothing without --fix, and works
// with and without a running node.
func TestRG8DoctorFindsAndExplainsWithoutNetwork(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(50_000))
	m.approve("u1")
	until(t, "the install", func() bool { return a.update(t, "u1").State == "installed" })
	if _, err := m.seed.Hold(context.Background(), api.HoldRequest{Update: "u1", Reason: "what is there stays"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the hold to arrive", func() bool { return len(a.believer.current().Manifest().Holds) == 1 })
	d, err := a.Doctor(context.Background(), api.DoctorQuery{})
	if err != nil || !d.Healthy || !d.Running || len(d.Findings) < 7 {
		t.Fatalf("a healthy machine: %+v, %v", d, err)
	}
	if d, err := a.Doctor(context.Background(), api.DoctorQuery{Scopes: []string{api.ScopeTime}}); err != nil || len(d.Findings) != 1 {
		t.Errorf("one scope: %+v, %v", d, err)
	}
	if _, err := a.Doctor(context.Background(), api.DoctorQuery{Scopes: []string{"../x"}}); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("a scope that is none: %v", err)
	}
	m.seed.stop()
	until(t, "the loss of the seed to be found", func() bool {
		d, err := a.Doctor(context.Background(), api.DoctorQuery{Scopes: []string{api.ScopeP2P, api.ScopeWAN}})
		return err == nil && !d.Healthy && len(a.host.Peers()) == 0
	})
	d, err = a.Doctor(context.Background(), api.DoctorQuery{})
	if err != nil {
		t.Fatal(err)
	}
	f := finding(t, d, api.ScopeP2P, string(policy.ReasonNetNoPeer))
	if f.OK || f.Owner != "network" || f.NextStep == "" || !f.CanFix || f.Did != "" {
		t.Errorf("%+v", f)
	}
	if d, err = a.Doctor(context.Background(), api.DoctorQuery{Fix: true}); err != nil {
		t.Fatal(err)
	}
	if f := finding(t, d, api.ScopeP2P, string(policy.ReasonNetNoPeer)); f.Did == "" {
		t.Errorf("--fix changed nothing: %+v", f)
	}
	e, err := a.Explain(context.Background(), "u1", "a")
	if err != nil || e.State != "installed" {
		t.Errorf("explained offline: %+v, %v", e, err)
	}
	dir := a.cfg.DataDir
	if _, err := DoctorStopped(context.Background(), dir, api.DoctorQuery{}, time.Now); err == nil {
		t.Error("the folder of a running node was opened")
	}
	a.stop()
	d, err = DoctorStopped(context.Background(), dir, api.DoctorQuery{}, time.Now)
	if err != nil || d.Running || d.Healthy {
		t.Fatalf("a stopped node: %+v, %v", d, err)
	}
	finding(t, d, api.ScopeService, string(policy.ReasonAgentStopped))
	for _, scope := range []string{api.ScopeP2P, api.ScopeWAN, api.ScopeUpdates} { // looked at alone they are no healthier
		d, err = DoctorStopped(context.Background(), dir, api.DoctorQuery{Scopes: []string{scope}}, time.Now)
		if err != nil || d.Healthy {
			t.Errorf("%s of a stopped node: %+v, %v", scope, d, err)
		}
	}
	if u := d.Findings[len(d.Findings)-1]; u.Scope != api.ScopeUpdates || u.Check != "u1" || !u.OK {
		t.Errorf("the installed update of a stopped node: %+v", d.Findings)
	}
	e, err = ExplainStopped(context.Background(), dir, "u1", "a", time.Now)
	if err != nil || e.State != "installed" || e.Reason != "" || e.Owner == "" || len(e.Chain) < 3 {
		t.Errorf("explained without a node: %+v, %v", e, err)
	}
	if _, err := ExplainStopped(context.Background(), dir, "u1", "somebody", time.Now); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("another machine: %v", err)
	}
	if _, err := ExplainStopped(context.Background(), dir, "nonsense", "a", time.Now); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("another update: %v", err)
	}
	if _, err := DoctorStopped(context.Background(), t.TempDir(), api.DoctorQuery{}, time.Now); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("a folder of no mesh: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "state.db"), []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := DoctorStopped(context.Background(), dir, api.DoctorQuery{}, time.Now); err != nil || finding(t, d, api.ScopeStore, string(policy.ReasonDiskError)).Owner == "" {
		t.Errorf("a damaged folder: %+v, %v", d, err)
	}
}

// R-G9, R-G8: an update that has been in a state for too long is told as stalled, with what it was doing and why, by the
// machine itself and by the seed for one that is silent.
func TestRG9StalledUpdatesAreToldAndExplained(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	u := api.Update{Update: "u", State: "downloading", Reason: "net-timeout", Detail: "the other side fell silent", Since: now.Add(-25 * time.Hour)}
	usualStall.tell(&u, now)
	if u.State != "stalled" || u.Reason != "net-timeout" || !strings.Contains(u.Detail, "downloading for 1 d 1 h") {
		t.Errorf("%+v", u)
	}
	again := u
	usualStall.tell(&again, now.Add(time.Hour))
	if again.Detail != u.Detail {
		t.Errorf("told twice: %+v", again)
	}
	w := api.Update{State: "waiting-window", Since: now.Add(-9999 * time.Hour)}
	if usualStall.tell(&w, now); w.State != "waiting-window" {
		t.Errorf("waiting as it was told to: %+v", w)
	}
	e := &explanation{Explanation: api.Explanation{Update: "u"}}
	explainState(e, api.Machine{Updates: []api.Update{u}, LastReport: now, Online: true}, false, now)
	if e.State != "stalled" || e.Owner != "network" || e.NextStep == "" {
		t.Errorf("%+v", e.Explanation)
	}
}

// R-G5, R-G6: to scan on demand looks for the updates again: what vanished behind our back is found and brought back.
func TestRG5RG6ScanOnDemandMendsDrift(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(50_000))
	m.approve("u1")
	until(t, "the install", func() bool { return a.update(t, "u1").State == "installed" })
	path := filepath.Join(a.root, "srv", "u1")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	before := a.view.Load().Tasks[0].DetectedAt
	if _, err := a.Scan(context.Background(), api.ScanRequest{}); err != nil {
		t.Fatal(err)
	}
	until(t, "what vanished to come back", func() bool {
		_, err := os.Stat(path)
		return err == nil && a.update(t, "u1").State == "installed" && a.view.Load().Tasks[0].DetectedAt.After(before)
	})
}

// R-G3: last contact, last report, last scan and epoch are four different facts, and each moves for its own reason.
func TestRG3FourClocksAreKeptApart(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	row := func() api.Machine {
		f, err := m.seed.Status(context.Background(), api.StatusQuery{Machine: "a"})
		if err != nil {
			t.Fatal(err)
		}
		return f.Machines[0]
	}
	until(t, "a first report with a scan", func() bool {
		r := row()
		return !r.LastReport.IsZero() && !r.LastScan.IsZero() && r.Epoch == m.seed.believer.current().Epoch()
	})
	first := row()
	if _, err := a.Scan(context.Background(), api.ScanRequest{}); err != nil {
		t.Fatal(err)
	}
	a.events.send(swarm.InventoryChanged{Machine: a.machineFacts()}) // has it report
	until(t, "the scan to be reported", func() bool { return row().LastScan.After(first.LastScan) })
	second := row()
	if !second.LastReport.After(first.LastReport) || second.Epoch != first.Epoch {
		t.Errorf("%+v, before %+v", second, first)
	}
	a.stop()
	until(t, "the contact to end", func() bool { return len(m.seed.host.Peers()) == 0 })
	gone := row()
	time.Sleep(20 * time.Millisecond)
	if later := row(); !later.LastContact.Equal(gone.LastContact) || !later.LastReport.Equal(gone.LastReport) || !later.LastScan.Equal(gone.LastScan) {
		t.Errorf("the clocks of a machine that is off move: %+v, then %+v", gone, later)
	}
	if gone.LastContact.Before(gone.LastReport) {
		t.Errorf("a report without contact: %+v", gone)
	}
	m.file("u1", payload(1000))
	m.approve("u1")
	until(t, "the seed to be further", func() bool {
		f, err := m.seed.Status(context.Background(), api.StatusQuery{Machine: "a"})
		return err == nil && f.Epoch > gone.Epoch
	})
	if later := row(); later.Epoch != gone.Epoch {
		t.Errorf("the epoch of a machine that is off moved: %+v", later)
	}
}
