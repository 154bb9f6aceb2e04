package node

import (
	"fmt"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// A draft that lacks signatures asks for them: where the keys are elsewhere, a promotion or a halt that the seed has
// prepared would else wait for somebody who knows nothing of it. Status, the list of rings, doctor, the event log and
// the node's log all tell it.

// waitingDrafts are the drafts of the main approvers and of the roles that lack signatures.
func (s *seed) waitingDrafts() ([]api.WaitingDraft, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.believer.current()
	if t.Manifest() == nil {
		return nil, nil
	}
	_, by, err := s.judge(t)
	if err != nil {
		return nil, err
	}
	roles := []string{""}
	for _, r := range t.Roles() {
		roles = append(roles, r.Role)
	}
	var out []api.WaitingDraft
	for _, role := range roles {
		d, err := s.pending(by, role)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		w, err := waitingDraft(by, d)
		if err != nil {
			return nil, err
		}
		w.Reason = first(s.reason(role), fmt.Sprintf("%d change(s)", w.Changes))
		out = append(out, w)
	}
	return out, nil
}

func waitingDraft(by *policy.Trust, d *policy.Draft) (api.WaitingDraft, error) {
	w := api.WaitingDraft{Role: d.Role(), NextStep: "'patchmesh sign --show' shows it, 'patchmesh sign' signs it; 'patchmesh draft export' where the keys are elsewhere"}
	if w.Role != "" {
		w.NextStep = fmt.Sprintf("'patchmesh sign --role %s --show' shows it, 'patchmesh sign --role %s' signs it; 'patchmesh draft export' where the keys are elsewhere", w.Role, w.Role)
	}
	changes, err := d.Changes(by)
	if err != nil {
		return w, err
	}
	if w.Since, err = d.IssuedAt(); err != nil {
		return w, err
	}
	w.Changes, w.Said = len(changes), changes
	w.Signatures, w.Threshold, w.Missing = d.Status(by)
	return w, nil
}

// draftText is one line about a draft that waits.
func draftText(w api.WaitingDraft, now time.Time) string {
	whose := ""
	if w.Role != "" {
		whose = " of role " + w.Role
	}
	return fmt.Sprintf("a draft%s waits for signatures since %s (%s), %d of %d are there, missing one of %s: %s",
		whose, w.Since.UTC().Format(time.RFC3339), api.Duration(max(now.Sub(w.Since), 0).Round(time.Second)), w.Signatures, w.Threshold, strings.Join(w.Missing, ", "), w.Reason)
}

// draftRemind is how often a draft that goes on waiting is told of again.
const draftRemind = 24 * time.Hour

// tellDrafts writes of drafts that wait into the node's log and its event log: once each, and every day.
func (n *Node) tellDrafts(told map[string]time.Time) {
	all, err := n.seed.waitingDrafts()
	if err != nil {
		n.log.Warn("whether a draft waits for signatures could not be found out", "err", err)
		return
	}
	now := n.cfg.Now()
	wait := map[string]bool{}
	for _, w := range all {
		key := fmt.Sprintf("%s %s %d", w.Role, w.Since, w.Signatures)
		wait[key] = true
		if at, known := told[key]; known && now.Sub(at) < draftRemind {
			continue
		}
		told[key] = now
		n.log.Warn("a draft waits for signatures", "role", w.Role, "since", w.Since, "signatures", w.Signatures, "threshold", w.Threshold, "for", w.Reason, "next", "patchmesh sign")
		n.record(state.EventRow{Kind: api.EventDraft, Detail: api.Clean(draftText(w, now))})
	}
	for key := range told {
		if !wait[key] {
			delete(told, key)
		}
	}
}

// lookAtDrafts is doctor's look at them, on a seed.
func (n *Node) lookAtDrafts(e *examination) {
	if n.seed == nil {
		return
	}
	all, err := n.seed.waitingDrafts()
	if err != nil {
		e.wrong(api.ScopeUpdates, "drafts", policy.ReasonDiskError, err.Error(), nil, nil)
		return
	}
	if len(all) == 0 {
		e.fine(api.ScopeUpdates, "drafts", "none waits for signatures")
	}
	for _, w := range all {
		e.Findings = append(e.Findings, api.Finding{
			Scope: api.ScopeUpdates, Check: "drafts", Detail: api.Clean(draftText(w, e.AsOf)), Owner: "approvers", NextStep: w.NextStep,
			Facts: map[string]int64{"signatures": int64(w.Signatures), "threshold": int64(w.Threshold), "waits_seconds": int64(max(e.AsOf.Sub(w.Since), 0) / time.Second)},
		})
	}
}

// waitsAlready says why an unattended change is not made while a draft waits: that draft makes it already, or it has
// other changes, which nobody may have read.
func waitsAlready(pending *policy.Draft, edit func(*sheet) error) error {
	if pending == nil || pending.Role() != "" {
		return errDraftWaits
	}
	m, err := policy.DecodeManifest(pending.Manifest())
	if err != nil {
		return errDraftWaits
	}
	if err := edit(&sheet{groups: m.Groups, approvals: m.Approvals, holds: m.Holds, ringPlans: m.RingPlans, exceptions: m.HoldExceptions}); err == errNoChange {
		return errNoChange
	}
	return errDraftWaits
}
