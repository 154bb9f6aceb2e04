package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// openSeedFolder is a seed whose node is not running, with a clock that can be moved on.
func openSeedFolder(t *testing.T, passphrase api.Secret) (n *Node, wait func(time.Duration)) {
	t.Helper()
	var ahead time.Duration
	now := func() time.Time { return time.Now().Add(ahead) }
	dir := filepath.Join(t.TempDir(), "seed")
	if _, err := Found(FoundRequest{DataDir: dir, Org: "acme", Passphrase: passphrase}, now); err != nil {
		t.Fatal(err)
	}
	n, err := OpenOffline(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n, func(d time.Duration) { ahead += d }
}

// bring imports a small file; change may alter the request.
func bring(t *testing.T, n *Node, id string, body string, change func(*api.ImportRequest)) *api.Imported {
	t.Helper()
	r := api.ImportRequest{FileName: id, SizeBytes: int64(len(body)), ID: id, Severity: "critical", Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/" + id}}
	if change != nil {
		change(&r)
	}
	i, err := n.Import(context.Background(), r, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func approvedIDs(n *Node) string {
	var out []string
	for _, a := range n.believer.current().Manifest().Approvals {
		if a.Listed() { // nobody has decided about it
			continue
		}
		out = append(out, string(a.Update)+":"+string(a.Action))
	}
	return strings.Join(out, " ")
}

// R-B6: a rule alone never approves. Whether the key lies open on the seed or wants a passphrase, what a rule fits waits
// as a draft for a person, and nothing that somebody approves meanwhile signs it along.
func TestRB6ARuleAloneNeverApproves(t *testing.T) {
	t.Parallel()
	keys := []api.Secret{"", "open sesame"}
	for _, passphrase := range keys[:soak(1, 2)] { // a passphrase costs seconds each time, on purpose
		t.Run(fmt.Sprintf("passphrase %v", passphrase != ""), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			n, wait := openSeedFolder(t, passphrase)
			rule := policy.ApprovalRule{Name: "fast", Severities: []string{"critical"}, Group: "all", Action: policy.ActionInstall}
			bring(t, n, "before", "old", nil)
			if v, err := n.ApprovalRules(ctx, api.RulesQuery{Try: &rule}); err != nil || len(v.Matches) != 1 || v.Matches[0].Proposed {
				t.Fatalf("the dry run: %+v, %v", v, err)
			}
			if p, err := n.SetApprovalRule(ctx, api.RuleRequest{Rule: rule, Passphrase: passphrase}); err != nil || !p.Published {
				t.Fatalf("%+v, %v", p, err)
			}
			wait(2 * time.Second) // stamps are whole seconds
			bring(t, n, "u1", "a patch", nil)
			bring(t, n, "u2", "another", func(r *api.ImportRequest) { r.Severity = "low" })
			epoch := n.believer.current().Epoch()
			p, err := n.Propose(ctx, api.ProposeRequest{})
			if err != nil || p.Published || p.Signatures != 0 || p.Threshold != 1 {
				t.Fatalf("%+v, %v", p, err)
			}
			if p, err := n.Propose(ctx, api.ProposeRequest{}); err != nil || !p.Unchanged {
				t.Fatalf("the same again: %+v, %v", p, err)
			}
			if n.believer.current().Epoch() != epoch || approvedIDs(n) != "" {
				t.Fatalf("approved by a rule: %s", approvedIDs(n))
			}

			// By hand, another update: it alone is signed, and the proposal comes back afterwards.
			if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u2", Group: "all", Passphrase: passphrase}); err != nil || !p.Published {
				t.Fatalf("%+v, %v", p, err)
			}
			if got := approvedIDs(n); got != "u2:install" {
				t.Fatalf("approved: %s", got)
			}
			if p, err := n.Propose(ctx, api.ProposeRequest{}); err != nil || p.Published {
				t.Fatalf("%+v, %v", p, err)
			}
			v, err := n.Draft(ctx, api.DraftQuery{})
			if err != nil || len(v.Changes) != 1 || !strings.Contains(v.Changes[0].Text, "install u1 revision 1 for group all") || !strings.Contains(v.Reason, "fast") {
				t.Fatalf("%+v, %v", v, err)
			}
			if r, err := n.ApprovalRules(ctx, api.RulesQuery{}); err != nil || !r.Waiting || len(r.Matches) != 2 {
				t.Fatalf("%+v, %v", r, err)
			}
			if p, err := n.Sign(ctx, api.SignRequest{Digest: v.Digest, Passphrase: passphrase}); err != nil || !p.Published {
				t.Fatalf("%+v, %v", p, err)
			}
			if got := approvedIDs(n); got != "u1:install u2:install" {
				t.Errorf("approved: %s", got)
			}
			if p, err := n.Propose(ctx, api.ProposeRequest{}); err != nil || !p.Unchanged {
				t.Errorf("afterwards: %+v, %v", p, err)
			}
		})
	}
}

// A ring plan's halt is signed by the seed itself where it can: a proposal that waits must not stand in its way, nor be
// signed with it. And rules wait while somebody's own draft does.
func TestRB6AProposalStandsInNobodysWay(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, _ := openSeedFolder(t, "")
	rule := policy.ApprovalRule{Name: "all", Updates: []string{"u*"}, Group: "all", Action: policy.ActionInstall, Existing: true}
	if _, err := n.SetApprovalRule(ctx, api.RuleRequest{Rule: rule}); err != nil {
		t.Fatal(err)
	}
	bring(t, n, "u1", "a patch", nil)
	if _, err := n.Propose(ctx, api.ProposeRequest{}); err != nil {
		t.Fatal(err)
	}
	hold := policy.Hold{ID: "ring-1", Update: "all", Kind: "pause", Reason: "halted", At: n.seed.stamp()}
	p, err := n.seed.change(wish{unattended: true, summary: "halt"}, func(sh *sheet) error { sh.holds = append(sh.holds, hold); return nil })
	if err != nil || !p.Published {
		t.Fatalf("the halt waits behind a proposal: %+v, %v", p, err)
	}
	if m := n.believer.current().Manifest(); len(m.Holds) != 1 || len(m.Approvals) != 0 {
		t.Fatalf("%+v", m)
	}

	d, err := n.seed.redraft(n.believer.current(), nil, wish{}, func(sh *sheet) error { sh.holds = nil; return nil })
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Encode()
	if err == nil {
		err = n.seed.saveDraft("", b)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.seed.propose(); !errors.Is(err, errDraftWaits) {
		t.Errorf("a rule touched somebody's draft: %v", err)
	}
	if _, err := n.Propose(ctx, api.ProposeRequest{}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("%v", err)
	}

	// Without the rule its draft goes.
	if _, err := n.Sign(ctx, api.SignRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Propose(ctx, api.ProposeRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.SetApprovalRule(ctx, api.RuleRequest{Rule: policy.ApprovalRule{Name: "all"}, Drop: true}); err != nil {
		t.Fatal(err)
	}
	if p, err := n.Propose(ctx, api.ProposeRequest{}); err != nil || !p.Unchanged {
		t.Errorf("%+v, %v", p, err)
	}
	if v, err := n.Draft(ctx, api.DraftQuery{}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("%+v, %v", v, err)
	}
}

// R-B7: on the seed, a corrected title is laid before the approvers where the switch says so, and other bytes are not.
func TestRB7TheSwitchProposesACorrectedTitleAndNoOtherBytes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, _ := openSeedFolder(t, "")
	for _, id := range []string{"u1", "u2"} {
		bring(t, n, id, "bytes of "+id, nil)
		if _, err := n.Approve(ctx, api.ApproveRequest{Update: id, Group: "all"}); err != nil {
			t.Fatal(err)
		}
	}
	bring(t, n, "u1", "bytes of u1", func(r *api.ImportRequest) { r.Title = "corrected" })
	bring(t, n, "u2", "other bytes", nil)
	if p, err := n.Propose(ctx, api.ProposeRequest{}); err != nil || !p.Unchanged {
		t.Fatalf("with the switch off: %+v, %v", p, err)
	}
	if _, err := n.SetSetting(ctx, api.SettingRequest{Setting: policy.Setting{Name: policy.SetRevisions, Group: "all", Value: "metadata"}}); err != nil {
		t.Fatal(err)
	}
	if p, err := n.Propose(ctx, api.ProposeRequest{}); err != nil || p.Published || p.Unchanged {
		t.Fatalf("%+v, %v", p, err)
	}
	v, err := n.Draft(ctx, api.DraftQuery{})
	if err != nil || len(v.Changes) != 1 || v.Changes[0].Op != "change" || !strings.Contains(v.Changes[0].Text, "u1 revision 2") {
		t.Fatalf("%+v, %v", v, err)
	}
	r, err := n.ApprovalRules(ctx, api.RulesQuery{})
	if err != nil || len(r.Matches) != 2 || r.Matches[1].Update != "u2" || r.Matches[1].Proposed || !strings.Contains(r.Matches[1].Why, "by hand") {
		t.Errorf("%+v, %v", r, err)
	}
	for _, a := range n.believer.current().Manifest().Approvals {
		if a.Revision != 1 {
			t.Errorf("approved by a switch: %+v", a)
		}
	}
}
