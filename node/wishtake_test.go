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
)

// asked makes an approval of the office.
func (m *mesh) asked(id, action string) {
	m.t.Helper()
	if p, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: id, Group: "office", Action: action}); err != nil || !p.Published {
		m.t.Fatalf("%s %s: %+v, %v", action, id, p, err)
	}
}

// R-B1, R-B18: what is approved as optional is offered to the people at a machine and not fetched; their yes outlasts a
// restart, waits for the window, is on record with who gave it, can be taken back, and has it installed at last.
func TestRB1OptionalIsInstalledOnTheUsersWord(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", "", Config{Egress: EgressYes})
	m.closedNow()
	m.file("u1", payload(1000))
	m.asked("u1", "optional")
	ctx := api.WithCaller(context.Background(), api.Caller{UID: os.Getuid()})
	state := func(s string) func() bool { return func() bool { return a.update(t, "u1").State == s } }
	until(t, "it to be offered", state("waiting-user"))
	if u := a.update(t, "u1"); u.HaveBytes != 0 {
		t.Errorf("fetched before anybody wants it: %+v", u)
	}
	v, err := a.Notices(ctx, api.NoticesQuery{})
	if err != nil || len(v.Offers) != 1 || !strings.Contains(v.Offers[0].Text, "patchmesh accept u1") {
		t.Errorf("%+v, %v", v, err)
	}
	accept := func(undo bool) *api.WishTaken {
		t.Helper()
		w, err := a.Wish(ctx, api.WishRequest{Update: "u1", Accept: true, Undo: undo})
		if err != nil || w.Accepted == undo {
			t.Fatalf("%+v, %v", w, err)
		}
		return w
	}
	if w := accept(false); !strings.Contains(w.Detail, "maintenance window") {
		t.Errorf("nobody is told that it waits for a window: %+v", w)
	}
	until(t, "it to wait for its window", state("waiting-window"))
	accept(true)
	until(t, "it to be offered again", state("waiting-user"))
	if _, err := a.Wish(ctx, api.WishRequest{Update: "u1", Accept: true, Undo: true}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("taken back twice: %v", err)
	}
	accept(false)
	a.stop()
	a = m.run("a", Config{Egress: EgressYes})
	until(t, "the yes to outlast a restart", state("waiting-window"))
	if _, err := m.seed.SetWindow(context.Background(), api.WindowRequest{Window: policy.Window{ID: "far"}, Drop: true}); err != nil {
		t.Fatal(err)
	}
	until(t, "it to be installed", state("installed"))
	if w, err := a.Wish(ctx, api.WishRequest{Update: "u1", Accept: true}); err != nil || !w.Unchanged || w.Accepted {
		t.Errorf("accepted what is there: %+v, %v", w, err)
	}
	if _, err := a.Wish(ctx, api.WishRequest{Update: "u1", Accept: true, Undo: true}); api.ClassOf(err) != api.ClassRefused || !strings.Contains(err.Error(), "installed already") {
		t.Errorf("taken back when it is there: %v", err)
	}
	if log, err := a.Events(ctx, api.EventQuery{Kind: api.EventWish}); err != nil || len(log.Events) != 3 ||
		!strings.Contains(log.Events[0].Detail, "accepted by") || !strings.Contains(log.Events[0].Detail, "uid ") || !strings.Contains(log.Events[1].Detail, "taken back") || !strings.Contains(log.Events[1].Detail, "uid ") {
		t.Errorf("%+v, %v", log, err)
	}
	if u := b.update(t, "u1"); u.State != "waiting-user" {
		t.Errorf("a word on one machine counts on another: %+v", u)
	}

	// The yes was about that install: who takes it off does not get it back unasked.
	if err := os.Remove(filepath.Join(a.root, "srv", "u1")); err != nil {
		t.Fatal(err)
	}
	until(t, "it to be offered anew", func() bool {
		_, _ = a.Scan(ctx, api.ScanRequest{})
		return a.update(t, "u1").State == "waiting-user"
	})
}

// R-B1: accept says what is so of everything that is not there to be accepted, and changes nothing.
func TestRB1AcceptTellsWhatCannotBeAccepted(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	for _, action := range []string{"decline", "detect-only", "stage-only"} {
		m.file(action, payload(100))
		m.asked(action, action)
	}
	until(t, "the approvals to arrive", func() bool { return a.update(t, "stage-only").State == "downloaded" })
	ctx := context.Background()
	for id, want := range map[string]api.Class{"decline": api.ClassRefused, "detect-only": api.ClassRefused, "stage-only": api.ClassRefused, "nothing": api.ClassNotFound} {
		if _, err := a.Wish(ctx, api.WishRequest{Update: id, Accept: true}); api.ClassOf(err) != want {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := m.seed.Wish(ctx, api.WishRequest{Update: "detect-only", Accept: true}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("on the seed: %v", err)
	}
	if _, err := m.seed.Approve(ctx, api.ApproveRequest{Update: "decline", Group: "office", Action: "optional", Deadline: time.Now().Add(time.Hour)}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("an offer with a deadline: %v", err)
	}
}
