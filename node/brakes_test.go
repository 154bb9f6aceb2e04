package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// reported puts what a machine says of an update into the seed's books.
func reported(t *testing.T, s *seed, id string, seq uint64, u api.Update) {
	t.Helper()
	body, err := json.Marshal(api.Machine{ID: id, Updates: []api.Update{u}})
	if err != nil {
		t.Fatal(err)
	}
	if newer, err := s.db.PutReport(id, seq, time.Now(), body); err != nil || !newer {
		t.Fatal(newer, err)
	}
}

func turn(t *testing.T, s *seed) {
	t.Helper()
	if err := s.turnRings(); err != nil {
		t.Fatal(err)
	}
}

// takeHome takes the approver's keys off a seed, as people do that keep them elsewhere; back puts them there again.
func takeHome(t *testing.T, dir string) (back func()) {
	t.Helper()
	home := t.TempDir()
	var undo []func()
	for _, pattern := range []string{"approver*", "targets*"} {
		found, err := filepath.Glob(filepath.Join(dir, "keys", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range found {
			away := filepath.Join(home, filepath.Base(k))
			if err := os.Rename(k, away); err != nil {
				t.Fatal(err)
			}
			undo = append(undo, func() {
				if err := os.Rename(away, k); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	if len(undo) == 0 {
		t.Fatal("no approver key was found")
	}
	return func() {
		t.Helper()
		for _, u := range undo {
			u()
		}
	}
}

// R-B10: the approver's key is not on the seed, so that a halt is a draft. The seed's brake holds the update on every
// machine all the same, at gossip speed, and everybody is told whose it is and what ends it.
func TestRB10AHaltActsAtOnceWhereApproversAreElsewhere(t *testing.T) {
	t.Parallel()
	m, a, b := ringed(t, policy.Ring{FailCount: 1, SoakMinutes: 60})
	id := a.id
	a.stop() // its report is written below
	m.file("u1", payload(1000))
	if _, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: "u1", Rings: "standard"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the other machine to wait for its ring", func() bool { return b.update(t, "u1").Reason == string(policy.ReasonRingNotReached) })
	takeHome(t, filepath.Join(m.dir, "seed"))
	reported(t, m.seed.seed, id, 1<<62, api.Update{Update: "u1", Revision: 1, State: "failed-install", Reason: "installer-exit", Failures: 1})
	brake := policy.Brake{Update: "u1", Revision: 1}.ID()
	until(t, "the brake to reach the other machine", func() bool {
		u := b.update(t, "u1")
		return u.State == "held" && u.Reason == string(policy.ReasonPolicyBrake) && u.Hold == brake
	})
	if held := m.seed.believer.current().Manifest().Holds; len(held) != 1 || held[0].Kind != policy.HoldBrake {
		t.Fatalf("holds in force: %+v", held)
	}
	f, err := b.Status(context.Background(), api.StatusQuery{})
	if err != nil || len(f.Attention) != 1 || f.Attention[0].Hold != brake || f.Attention[0].Owner != "admin" || !strings.Contains(f.Attention[0].NextStep, "patchmesh sign") {
		t.Errorf("the machine tells %+v, %v", f, err)
	}
	e, err := b.Explain(context.Background(), "u1", "b")
	if err != nil || e.Reason != string(policy.ReasonPolicyBrake) || e.Owner != "admin" || !strings.Contains(chainText(e), brake+" (brake, by seed)") {
		t.Errorf("explain: %+v, %v", e, err)
	}
	until(t, "the event", func() bool {
		log, err := b.Events(context.Background(), api.EventQuery{Kind: api.EventHalt})
		return err == nil && len(log.Events) == 1 && log.Events[0].Update == "u1"
	})
	v, err := m.seed.Draft(context.Background(), api.DraftQuery{})
	if err != nil || v.Signatures != 0 || len(v.Changes) != 1 || !strings.Contains(v.Changes[0].Text, "halted by ring plan") {
		t.Errorf("the draft that waits: %+v, %v", v, err)
	}
}

func chainText(e *api.Explanation) string {
	var s []string
	for _, f := range e.Chain {
		s = append(s, f.Step+": "+f.Text)
	}
	return strings.Join(s, "\n")
}

// newMachine enrols a machine in the seed's books.
func newMachine(t *testing.T, s *seed, now func() time.Time) string {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := keys.PeerID(pub)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.PutMember(state.MemberRow{ID: id, Name: "pilot-" + id[len(id)-6:], Site: "main", JoinedAt: now(), NotBefore: now(), NotAfter: now().Add(time.Hour), Serial: 1}); err != nil {
		t.Fatal(err)
	}
	return id
}

// haltedSeed is an offline seed whose approver's key is elsewhere, with a machine that reports a failure in the first
// ring; back brings the key.
func haltedSeed(t *testing.T, now func() time.Time) (n *Node, machine string, back func()) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "seed")
	if _, err := Found(FoundRequest{DataDir: dir, Org: "acme"}, now); err != nil {
		t.Fatal(err)
	}
	n, err := OpenOffline(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	ctx := context.Background()
	body := []byte("a patch")
	for _, id := range []string{"u1", "other"} {
		if _, err := n.Import(ctx, api.ImportRequest{FileName: id, SizeBytes: int64(len(body)), ID: id, Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/" + id}}, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	plan := policy.RingPlan{Name: "p", Rings: []policy.Ring{{Name: "one", Groups: []string{"all"}, FailCount: 1, SoakMinutes: 600}, {Name: "two", Groups: []string{"unassigned"}}}}
	if _, err := n.SetRings(ctx, api.RingsRequest{Plan: plan}); err != nil {
		t.Fatal(err)
	}
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Rings: "p"}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	machine = newMachine(t, n.seed, now)
	reported(t, n.seed, machine, 1, api.Update{Update: "u1", Revision: 1, State: "failed-install", Reason: "installer-exit", Failures: 1})
	return n, machine, takeHome(t, dir)
}

func (n *Node) holdKinds() (kinds []string) {
	for _, h := range n.believer.current().Manifest().Holds {
		kinds = append(kinds, h.Kind)
	}
	return kinds
}

// R-B10: the brake is put on once for the same failures, even beside a draft with other changes; approvers make a hold of
// it, which takes its place and is not made anew after they have released it.
func TestRB10ApproversMakeAHoldOfTheBrake(t *testing.T) {
	ctx := context.Background()
	n, machine, back := haltedSeed(t, time.Now)
	if p, err := n.SetSetting(ctx, api.SettingRequest{Setting: policy.Setting{Name: "automation", Group: "all", Value: "off"}}); err != nil || p.Published {
		t.Fatalf("a setting without a signature: %+v, %v", p, err)
	}
	for range 3 {
		turn(t, n.seed)
	}
	head := n.believer.current().HeadVersion()
	if k := n.holdKinds(); len(k) != 1 || k[0] != policy.HoldBrake {
		t.Fatalf("holds %v", k)
	}
	turn(t, n.seed)
	if n.believer.current().HeadVersion() != head {
		t.Error("every turn publishes another roster")
	}
	brake := n.believer.current().Manifest().Holds[0].ID
	if _, err := n.Release(ctx, api.ReleaseRequest{Hold: brake}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("the brake was released like a hold: %v", err)
	}
	if o, err := n.Rings(ctx, api.RingsQuery{}); err != nil || !o.Rollouts[0].Held {
		t.Errorf("rings: %+v, %v", o, err)
	}
	if _, err := n.Promote(ctx, api.PromoteRequest{Update: "u1", Force: true}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("promoted under a brake: %v", err)
	}
	back()
	if p, err := n.Sign(ctx, api.SignRequest{}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	turn(t, n.seed)
	if k := n.holdKinds(); len(k) != 1 || k[0] != policy.HoldPause {
		t.Fatalf("after the approvers signed: %v", k)
	}
	if _, err := n.Release(ctx, api.ReleaseRequest{Hold: n.believer.current().Manifest().Holds[0].ID}); err != nil {
		t.Fatal(err)
	}
	turn(t, n.seed)
	if k := n.holdKinds(); len(k) != 0 {
		t.Errorf("released, and held again for the failures that were known: %v", k)
	}
	reported(t, n.seed, machine, 2, api.Update{Update: "u1", Revision: 1, State: "installed"})
	turn(t, n.seed)
	if f, err := n.Status(ctx, api.StatusQuery{}); err != nil || len(f.Attention) != 0 {
		t.Errorf("when all is well: %+v, %v", f, err)
	}
}

// R-B10: a brake that nobody has decided about ends; it is not put on again for the same failures, and the seed does not
// stop telling that nothing holds the update. The approvers' exception lets it go on, and ends the alarm.
func TestRB10AnUndecidedBrakeEndsAndIsToldOf(t *testing.T) {
	ctx := context.Background()
	at := time.Now()
	now := func() time.Time { return at }
	n, machine, back := haltedSeed(t, now)
	turn(t, n.seed)
	if k := n.holdKinds(); len(k) != 1 {
		t.Fatalf("holds %v", k)
	}
	at = at.Add(policy.MaxBrakeLife + time.Minute)
	turn(t, n.seed)
	f, err := n.Status(ctx, api.StatusQuery{})
	if err != nil || len(f.Attention) != 1 || f.Attention[0].Hold != "" || !strings.Contains(f.Attention[0].Text, "NOTHING HOLDS IT") {
		t.Fatalf("after its end: %+v, %v", f.Attention, err)
	}
	if held, _ := n.believer.current().Manifest().HeldEverywhere("u1", 1, at); held {
		t.Error("the seed holds it again by itself")
	}
	reported(t, n.seed, machine, 2, api.Update{Update: "u1", Revision: 1, State: "failed-install", Reason: "installer-exit", Failures: 2})
	other := newMachine(t, n.seed, now)
	reported(t, n.seed, other, 1, api.Update{Update: "u1", Revision: 1, State: "failed-install", Reason: "installer-exit", Failures: 1})
	turn(t, n.seed)
	if k := n.holdKinds(); len(k) != 1 || k[0] != policy.HoldBrake {
		t.Fatalf("one more machine failed: %v", k)
	}
	back()
	brake := n.believer.current().Manifest().Holds[0].ID
	if p, err := n.ExceptHold(ctx, api.ExceptionRequest{Hold: brake, Group: "all", Until: at.Add(24 * time.Hour), Reason: "known"}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	if held, _ := n.believer.current().Manifest().HeldEverywhere("u1", 1, at); held {
		t.Error("held although the approvers let it go on")
	}
	for range 2 {
		turn(t, n.seed)
	}
	if f, err := n.Status(ctx, api.StatusQuery{}); err != nil || len(n.holdKinds()) != 1 || n.holdKinds()[0] != policy.HoldBrake {
		t.Errorf("the seed asks again: %v, %+v, %v", n.holdKinds(), f, err)
	}
}

// R-B13: an exception is asked for by name, signed for the machine's id, told with its hold, and taken back.
func TestRB13ExceptionsAreMadeShownAndTakenBack(t *testing.T) {
	ctx := context.Background()
	n, machine, back := haltedSeed(t, time.Now)
	back()
	members, err := n.db.Members()
	if err != nil {
		t.Fatal(err)
	}
	hold := func(kind string, match api.HoldMatch) string {
		t.Helper()
		p, err := n.Hold(ctx, api.HoldRequest{Update: "other", Reason: "hangs", HoldScope: api.HoldScope{Kind: kind, Match: match}})
		if err != nil || !p.Published {
			t.Fatalf("%+v, %v", p, err)
		}
		return p.Hold
	}
	guard := hold("safeguard", api.HoldMatch{Query: &api.Query{OS: &policy.OSTest{Name: "linux"}}})
	pause := hold("pause", api.HoldMatch{})
	end := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		r    api.ExceptionRequest
		want api.Class
	}{
		"a pause":               {api.ExceptionRequest{Hold: pause, Machine: machine, Until: end, Reason: "r"}, api.ClassRefused},
		"a hold that is not":    {api.ExceptionRequest{Hold: "h-nowhere", Machine: machine, Until: end, Reason: "r"}, api.ClassNotFound},
		"a machine that is not": {api.ExceptionRequest{Hold: guard, Machine: "nobody", Until: end, Reason: "r"}, api.ClassNotFound},
		"a group that is not":   {api.ExceptionRequest{Hold: guard, Group: "nowhere", Until: end, Reason: "r"}, api.ClassNotFound},
		"nobody":                {api.ExceptionRequest{Hold: guard, Until: end, Reason: "r"}, api.ClassUsage},
		"no reason":             {api.ExceptionRequest{Hold: guard, Machine: machine, Until: end}, api.ClassUsage},
		"no end":                {api.ExceptionRequest{Hold: guard, Machine: machine, Reason: "r"}, api.ClassUsage},
		"a year":                {api.ExceptionRequest{Hold: guard, Machine: machine, Until: end.Add(365 * 24 * time.Hour), Reason: "r"}, api.ClassUsage},
		"a role over the main":  {api.ExceptionRequest{Hold: guard, Machine: machine, Until: end, Reason: "r", Role: "canary"}, api.ClassRefused},
	} {
		if _, err := n.ExceptHold(ctx, c.r); api.ClassOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	back = takeHome(t, n.cfg.DataDir)
	p, err := n.ExceptHold(ctx, api.ExceptionRequest{Hold: guard, Machine: members[0].Name, Until: end, Reason: "tried"})
	if err != nil || p.Published || len(n.believer.current().Manifest().HoldExceptions) != 0 {
		t.Fatalf("without the approver's key: %+v, %v", p, err)
	}
	v, err := n.Draft(ctx, api.DraftQuery{})
	if err != nil || len(v.Changes) != 1 || !strings.Contains(v.Changes[0].Text, "exception "+p.Exception+" from hold "+guard+" for machine "+machine) {
		t.Fatalf("before signing the approver is shown %+v, %v", v, err)
	}
	back()
	if p, err := n.Sign(ctx, api.SignRequest{}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	list, err := n.Holds(ctx, api.HoldQuery{Update: "other"})
	if err != nil || len(list.Holds) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	var x string
	for _, h := range list.Holds {
		switch {
		case h.ID == guard && len(h.Exceptions) == 1 && h.Exceptions[0].Machine == machine && h.Exceptions[0].MachineName == members[0].Name && strings.Contains(h.Match, `"name":"linux"`):
			x = h.Exceptions[0].ID
		case h.ID == pause && len(h.Exceptions) == 0:
		default:
			t.Errorf("told as %+v", h)
		}
	}
	if p, err := n.ExceptHold(ctx, api.ExceptionRequest{Drop: x}); err != nil || !p.Published || p.Exception != x {
		t.Fatalf("taken back: %+v, %v", p, err)
	}
	if _, err := n.ExceptHold(ctx, api.ExceptionRequest{Drop: x}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("taken back twice: %v", err)
	}
	if all := n.believer.current().Manifest().HoldExceptions; len(all) != 0 {
		t.Errorf("left: %+v", all)
	}
}
