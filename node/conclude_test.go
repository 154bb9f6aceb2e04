package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-G8: what needs nobody says so, and what waits for somebody names who and what to do, also where no reason stands.
func TestRG8AnExplanationEndsByItsState(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	for id, action := range map[string]string{"gone": "remove", "ready": "stage-only", "offer": "optional", "here": "install"} {
		m.file(id, payload(100))
		m.asked(id, action)
	}
	for id, want := range map[string]struct{ state, owner, next string }{
		"gone": {"removed", "nobody", "nothing"}, "ready": {"downloaded", "nobody", "nothing: it is only to be ready"},
		"offer": {"waiting-user", "user", "patchmesh accept offer"}, "here": {"installed", "nobody", "nothing"},
	} {
		until(t, id+" to be "+want.state, func() bool { return a.update(t, id).State == want.state })
		e, err := a.Explain(context.Background(), id, "a")
		if err != nil || e.Owner != want.owner || !strings.HasPrefix(strings.TrimPrefix(e.NextStep, "run '"), want.next) {
			t.Errorf("%s: %+v, %v", id, e, err)
		}
	}
	a.stop()
	if e, err := ExplainStopped(context.Background(), a.cfg.DataDir, "ready", "", time.Now); err != nil || e.Reason != "" || !strings.HasPrefix(e.NextStep, "nothing: it is only to be ready") {
		t.Errorf("on a stopped machine: %+v, %v", e, err)
	}
	turn := explanation{verdict: policy.Verdict{Reason: policy.ReasonRingNotReached, Until: time.Now().Add(time.Hour)}}
	turn.State, turn.Reason = "deferred", string(policy.ReasonRingNotReached)
	if conclude(&turn, true); strings.Contains(turn.NextStep, "promote") || turn.Owner != "nobody" {
		t.Errorf("a turn in an open ring: %+v", turn)
	}
	at := time.Date(2026, 3, 2, 18, 0, 0, 0, time.UTC)
	later := explanation{verdict: policy.Verdict{Reason: policy.ReasonPolicyDeferred, Until: at}}
	later.State, later.Reason = "deferred", string(policy.ReasonPolicyDeferred)
	if conclude(&later, true); later.Owner != "admin" || !strings.Contains(later.NextStep, "2026-03-02T18:00:00Z") {
		t.Errorf("deferred by policy: %+v", later)
	}
	postponed := explanation{}
	postponed.State, postponed.Reason = "waiting-user", string(policy.ReasonUserPostponed)
	if conclude(&postponed, true); postponed.Owner != "user" || !strings.Contains(postponed.NextStep, "patchmesh accept") {
		t.Errorf("postponed by the user: %+v", postponed)
	}
	if owner, next := (&explanation{}).ends(policy.StateWaitingWindow); owner != ownerNobody || !strings.Contains(next, "maintenance window") {
		t.Errorf("a window that only the machine knows to wait for: %s, %s", owner, next)
	}
	failed := explanation{verdict: policy.Verdict{Hold: "h-1"}}
	failed.State, failed.Reason = "failed-install", string(policy.ReasonInstallerExit)
	if conclude(&failed, true); !strings.Contains(failed.NextStep, "hold h-1") || strings.Contains(failed.NextStep, "approving it again") {
		t.Errorf("a failure under a hold: %+v", failed)
	}
	turn.verdict.Until = time.Time{}
	if conclude(&turn, true); !strings.Contains(turn.NextStep, "promote") {
		t.Errorf("a ring that is closed: %+v", turn)
	}
}

// R-H1, R-B5: a deadline before the next maintenance window is told when it is approved, by status and by explain, and
// doctor counts it as trouble.
func TestRH1ADeadlineBeforeTheNextWindowIsTold(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.closedNow()
	m.file("u1", payload(100))
	ctx := context.Background()
	p, err := m.seed.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "office", Deadline: time.Now().Add(time.Hour)})
	if err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "1 machine(s)") {
		t.Fatalf("%+v, %v", p, err)
	}
	until(t, "it to be told", func() bool {
		u := a.update(t, "u1")
		return u.State == "waiting-window" && u.Reason == string(policy.ReasonWindowLate)
	})
	if e, err := a.Explain(ctx, "u1", "a"); err != nil || e.Owner != "admin" || !strings.Contains(e.NextStep, "--ignore-windows") {
		t.Errorf("%+v, %v", e, err)
	}
	if blocks(policy.ReasonWindowLate) != true {
		t.Error("doctor takes it for what is meant")
	}
	p, err = m.seed.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "office", Deadline: time.Now().Add(14 * time.Hour)})
	if err != nil || len(p.Warnings) != 0 {
		t.Fatalf("a window opens before it: %+v, %v", p, err)
	}
	bring(t, m.seed.Node, "u2", "a patch", nil)
	if _, err := m.seed.SetSetting(ctx, api.SettingRequest{Setting: policy.Setting{Name: "deadline-critical", Group: "office", Value: "2h"}}); err != nil {
		t.Fatal(err)
	}
	if p, err := m.seed.Approve(ctx, api.ApproveRequest{Update: "u2", Group: "office"}); err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "1 machine(s)") {
		t.Errorf("a deadline by severity before the next window: %+v, %v", p, err)
	}
	until(t, "it to wait for its window alone", func() bool { return a.update(t, "u1").Reason == "" })
}
