package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// Test evidence on the seed: who has made which check of an update, and when, in the seed's own books. It opens
// no ring by itself: the promotion is signed as ever, but it is not prepared before the evidence is there.

func evidenceKey(update policy.UpdateID) string {
	return "evidence/" + content.Sum([]byte(update)).String() // ids may be longer than names of values
}

func (s *seed) evidence(update policy.UpdateID) ([]policy.Evidence, error) {
	b, err := s.db.Value(evidenceKey(update))
	if errors.Is(err, state.ErrNotFound) || err == nil && len(b) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return policy.DecodeEvidence(b)
}

// RecordEvidence implements api.Service.
func (n *Node) RecordEvidence(ctx context.Context, r api.EvidenceRequest) (*api.Evidence, error) {
	return onSeed(n.seed, func(s *seed) (*api.Evidence, error) { return s.recordEvidence(ctx, r) })
}

// Evidence implements api.Service.
func (n *Node) Evidence(_ context.Context, q api.EvidenceQuery) (*api.Evidence, error) {
	return onSeed(n.seed, func(s *seed) (*api.Evidence, error) { return s.showEvidence(q.Update) })
}

// recordEvidence notes a check of the newest revision of an update.
func (s *seed) recordEvidence(ctx context.Context, r api.EvidenceRequest) (*api.Evidence, error) {
	row, err := s.update(r.Update)
	if err != nil {
		return nil, err
	}
	if r.Revision != 0 && r.Revision != row.Revision {
		return nil, api.Errorf(api.ClassRefused, "%s has revision %d by now, %d was tested", api.Clean(r.Update), row.Revision, r.Revision).WithHint("test the newest revision")
	}
	by := api.Clean(r.By)
	if who, ok := api.CallerOf(ctx); ok { // what the kernel says counts; the name is for people
		by = fmt.Sprintf("%s (uid %d)", first(by, "somebody"), who.UID)
	}
	e := policy.Evidence{
		Check: policy.Check(r.Check), Descriptor: row.Descriptor, Revision: row.Revision, Passed: r.Passed, By: first(by, "somebody"),
		At: s.stamp(), Note: api.Clean(r.Note),
	}
	if err := e.Validate(); err != nil {
		return nil, api.Errorf(api.ClassUsage, "%v", err).WithHint("checks that people record are business, restart and rollback; a note has at most %d characters", policy.MaxEvidenceText)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	have, err := s.evidence(policy.UpdateID(r.Update))
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(policy.Record(have, e))
	if err == nil {
		err = s.db.PutValue(evidenceKey(policy.UpdateID(r.Update)), b)
	}
	if err != nil {
		return nil, fmt.Errorf("record evidence of %s: %w", r.Update, err)
	}
	return s.showEvidence(r.Update)
}

// showEvidence tells how each check of an update stands: against the approval along a ring plan where there is
// one, else against the newest revision.
func (s *seed) showEvidence(update string) (*api.Evidence, error) {
	row, err := s.update(update)
	if err != nil {
		return nil, err
	}
	records, err := s.evidence(policy.UpdateID(update))
	if err != nil {
		return nil, err
	}
	out := &api.Evidence{Update: update, Revision: row.Revision, Records: nonNil(records)}
	at := rollout{approval: policy.Approval{Update: policy.UpdateID(update), Revision: row.Revision, Descriptor: row.Descriptor}}
	if m := s.believer.current().Manifest(); m != nil {
		all, err := s.rollouts(m)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(all, func(o rollout) bool { return string(o.approval.Update) == update }); i >= 0 {
			at, out.Revision = all[i], all[i].approval.Revision
		}
	}
	out.Checks = policy.EvidenceFor(at.approval, records, at.tallies)
	return out, nil
}

// judgeRollout says what is due for a rollout, with the evidence that its next ring asks for.
func (s *seed) judgeRollout(r rollout, by bool) (policy.RingStep, string, error) {
	records, err := s.evidence(r.approval.Update)
	if err != nil {
		return policy.RingWait, "", err
	}
	step, why := r.plan.JudgeTested(r.approval, r.tallies, records, by, s.now())
	return step, why, nil
}
