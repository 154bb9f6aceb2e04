package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-B10: where the keys are not at hand, a promotion that the seed has prepared asks for signatures wherever people
// look, once; and what is signed days later soaks from then.
func TestRB10APromotionThatWaitsForSignaturesIsToldEverywhere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "seed")
	at := time.Now()
	if _, err := Found(FoundRequest{DataDir: dir, Org: "acme"}, func() time.Time { return at }); err != nil {
		t.Fatal(err)
	}
	n, err := OpenOffline(dir, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	ctx := context.Background()
	body := []byte("a patch")
	if _, err := n.Import(ctx, api.ImportRequest{FileName: "u1", SizeBytes: int64(len(body)), ID: "u1", Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/u1"}}, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	plan := policy.RingPlan{Name: "p", Rings: []policy.Ring{{Name: "one", Groups: []string{"unassigned"}}, {Name: "two", Groups: []string{"all"}, SoakMinutes: 60}, {Name: "three", Groups: []string{"all"}}}}
	if _, err := n.SetRings(ctx, api.RingsRequest{Plan: plan}); err != nil {
		t.Fatal(err)
	}
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Rings: "p"}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	told := map[string]time.Time{}
	n.tellDrafts(told)
	if f, err := n.seed.waitingDrafts(); err != nil || len(f) != 0 || len(told) != 0 {
		t.Fatalf("nothing waits: %+v, %v", f, err)
	}
	have, err := filepath.Glob(filepath.Join(dir, "keys", "approver*"))
	if err != nil || len(have) == 0 {
		t.Fatal(have, err)
	}
	move := func(from, to string) {
		t.Helper()
		for _, k := range have {
			if err := os.Rename(filepath.Join(from, filepath.Base(k)), filepath.Join(to, filepath.Base(k))); err != nil {
				t.Fatal(err)
			}
		}
	}
	at = at.Add(time.Minute)
	move(filepath.Join(dir, "keys"), filepath.Dir(dir)) // as in an organisation whose approvers are elsewhere
	r := n.seed.promotable(t, "u1")
	if p, err := n.seed.promote(r, "it works", wish{unattended: true}); err != nil || p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := n.seed.promote(r, "it works", wish{unattended: true}); !errors.Is(err, errNoChange) {
		t.Fatalf("the key is elsewhere, the draft that waits promotes it already: %v", err)
	}
	at = at.Add(4 * 24 * time.Hour)
	want := func(where, text string) {
		t.Helper()
		for _, s := range []string{"it works", "0 of 1"} {
			if !strings.Contains(text, s) {
				t.Errorf("%s does not say %q: %s", where, s, text)
			}
		}
	}
	v, err := n.Rings(ctx, api.RingsQuery{})
	if err != nil || len(v.Drafts) != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
	d := v.Drafts[0]
	if h, err := n.Holds(ctx, api.HoldQuery{}); err != nil || len(h.Drafts) != 1 || h.Drafts[0].Reason != d.Reason {
		t.Errorf("the list of holds tells none of it: %+v, %v", h, err)
	}
	if d.Changes != 1 || d.Threshold != 1 || d.Signatures != 0 || len(d.Missing) != 1 || !strings.Contains(d.NextStep, "patchmesh sign") || d.Reason != "it works" || at.Sub(d.Since) < 95*time.Hour {
		t.Errorf("%+v", d)
	}
	f, err := n.Status(ctx, api.StatusQuery{})
	if err != nil || len(f.Drafts) != 1 {
		t.Errorf("status %+v, %v", f, err)
	}
	e, _ := newExamination("seed", api.DoctorQuery{}, at)
	n.lookAtDrafts(e)
	if len(e.Findings) != 1 || e.Findings[0].OK || !strings.Contains(e.Findings[0].NextStep, "patchmesh sign") {
		t.Fatalf("%+v", e.Findings)
	}
	want("doctor", e.Findings[0].Detail)
	n.tellDrafts(told)
	n.tellDrafts(told) // not every few seconds
	l, err := n.Events(ctx, api.EventQuery{Kind: api.EventDraft})
	if err != nil || len(l.Events) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	want("the event log", l.Events[0].Detail)
	at = at.Add(25 * time.Hour)
	n.tellDrafts(told)
	if l, err := n.Events(ctx, api.EventQuery{Kind: api.EventDraft}); err != nil || len(l.Events) != 2 {
		t.Fatalf("no reminder: %+v, %v", l, err)
	}
	move(filepath.Dir(dir), filepath.Join(dir, "keys"))
	if p, err := n.Sign(ctx, api.SignRequest{}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	if o, err := n.Rings(ctx, api.RingsQuery{}); err != nil || len(o.Drafts) != 0 || at.Sub(o.Rollouts[0].Rings[1].OpenedAt) > time.Minute || at.Sub(o.Rollouts[0].Rings[0].OpenedAt) < 95*time.Hour {
		t.Errorf("after the signature at %s: %+v, %v", at.UTC(), o, err)
	}
	if step, why, _ := n.seed.judgeRollout(n.seed.promotable(t, "u1"), false); step != policy.RingWait || !strings.Contains(why, "soaks until") {
		t.Errorf("ring two has soaked before anybody could have it: %s, %s", step, why)
	}
}

// promotable is the rollout of an update as it stands.
func (s *seed) promotable(t *testing.T, update policy.UpdateID) rollout {
	t.Helper()
	all, err := s.rollouts(s.believer.current().Manifest())
	if err != nil || len(all) != 1 || all[0].approval.Update != update {
		t.Fatalf("%+v, %v", all, err)
	}
	return all[0]
}
