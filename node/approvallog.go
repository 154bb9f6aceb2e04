package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// The approval log of a seed. Entries are documents under their content ID, each naming the one before
// it; the end is named by the roster, which every machine keeps, so any of them can ask for the whole
// log by content ID. An entry is written before the roster that names it is published: what no roster
// names was never published, and is written anew.

const (
	logWitnessKey = "approval-log.witness"
	logKind       = "approval-log"

	maxWitnesses = 10000
	maxLogRead   = 1 << 20 // entries
)

// logged writes the entry of a draft that is about to be published, and gives the roster that names
// it; nil draft: nothing changes.
func (s *seed) logged(root []byte, t *policy.Trust, d *policy.Draft, roster *policy.Roster, reason string) (*policy.Roster, error) {
	if d == nil {
		return roster, nil
	}
	by := t
	if root != nil {
		var err error
		if by, err = t.WithRoot(root); err != nil {
			return nil, err
		}
	}
	h, err := s.history(t)
	if err != nil {
		return nil, err
	}
	if err := s.writeEntry(h, by, d, "", reason); err != nil {
		return nil, err
	}
	if roster == nil {
		r := *t.Roster()
		roster = &r
	}
	roster.Log = h.Checkpoint()
	return roster, nil
}

// history is the log up to what the roster names. One that does not lead there, because it was lost
// or changed, is not repaired: a new one begins and says so, and every machine's witness shows that
// the old one was longer. Patches do not wait for the log.
func (s *seed) history(t *policy.Trust) (*policy.History, error) {
	want := t.Roster().Log
	reason := "the log begins"
	if c := s.hist; c != nil && want != nil && *c.Checkpoint() == *want {
		return c, nil
	}
	if want != nil {
		h, err := readLog(s.db, want, nil)
		if err == nil {
			s.hist = h
			return h, nil
		}
		reason = fmt.Sprintf("the log begins anew: the one of %d entries ending in %s cannot be read (%v)", want.Entries, want.Head, err)
	}
	h := &policy.History{}
	if err := s.writeEntry(h, t, nil, "", reason[:min(len(reason), 480)]); err != nil {
		return nil, err
	}
	for _, r := range t.Roles() {
		if r.Document == nil {
			continue
		}
		if err := s.writeEntry(h, t, nil, r.Role, reason[:min(len(reason), 480)]); err != nil {
			return nil, err
		}
	}
	s.hist = h
	return h, nil
}

// writeEntry appends one entry, durable when it returns.
func (s *seed) writeEntry(h *policy.History, t *policy.Trust, d *policy.Draft, role, reason string) error {
	e, err := h.Next(t, d, role, reason, s.now())
	if err != nil {
		return fmt.Errorf("approval log: %w", err)
	}
	line, err := e.Encode()
	if err != nil {
		return err
	}
	if _, err := h.Add(line, nil); err != nil {
		return fmt.Errorf("approval log: %w", err)
	}
	return s.db.PutDoc(content.Sum(line), logKind, line)
}

// readLog walks back from a checkpoint to the first entry, and verifies the whole way forward again.
// tell hears of every entry, with its line and the history that it leads to; it may be nil.
func readLog(db *state.DB, end *policy.Checkpoint, tell func(e *policy.Entry, line []byte, h *policy.History) error, roots ...*policy.Trust) (*policy.History, error) {
	var ids []content.ID
	for at := end.Head; at != ""; {
		id, err := content.ParseID(at)
		if err != nil {
			return nil, err
		}
		b, err := db.Doc(id)
		if err != nil {
			return nil, fmt.Errorf("log entry %s: %w", id.Short(), err)
		}
		e, err := policy.DecodeEntry(b)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		at = e.Prev
		if uint64(len(ids)) > end.Entries || len(ids) > maxLogRead {
			return nil, fmt.Errorf("the log is longer than the %d entries that were signed: %w", end.Entries, policy.ErrHash)
		}
	}
	if uint64(len(ids)) != end.Entries {
		return nil, fmt.Errorf("the log has %d entries, signed were %d: %w", len(ids), end.Entries, policy.ErrHash)
	}
	slices.Reverse(ids)
	h := &policy.History{}
	for _, id := range ids {
		line, err := db.Doc(id)
		if err != nil {
			return nil, err
		}
		e, err := h.Add(line, roots)
		if err != nil {
			return nil, err
		}
		if tell != nil {
			if err := tell(e, line, h); err != nil {
				return nil, err
			}
		}
	}
	return h, nil
}

// witnessed is a checkpoint as a machine has seen it, in a roster that was signed.
type witnessed struct {
	policy.Checkpoint
	At time.Time `json:"at"`
}

// witness remembers the checkpoint of a trust: what a thief of the seed's keys shows later must lead
// through it.
func witness(db *state.DB, t *policy.Trust, now time.Time) error {
	c := t.Roster().Log
	if c == nil {
		return nil
	}
	all, err := witnesses(db)
	if err != nil {
		return err
	}
	if n := len(all); n > 0 && all[n-1].Checkpoint == *c {
		return nil
	}
	all = append(all, witnessed{*c, now.UTC()})
	b, err := json.Marshal(all[max(0, len(all)-maxWitnesses):])
	if err != nil {
		return err
	}
	return db.PutValue(logWitnessKey, b)
}

func witnesses(db *state.DB) ([]witnessed, error) {
	b, err := db.Value(logWitnessKey)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []witnessed
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("witnesses of the approval log: %w", err)
	}
	return all, nil
}

// ApprovalLog implements api.Service.
func (n *Node) ApprovalLog(_ context.Context, q api.LogQuery) (*api.ApprovalLog, error) {
	return onSeed(n.seed, func(s *seed) (*api.ApprovalLog, error) { return s.approvalLog(q) })
}

func (s *seed) approvalLog(q api.LogQuery) (*api.ApprovalLog, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.believer.current()
	out := &api.ApprovalLog{Entries: []api.LogEntry{}, At: q.At}
	end := t.Roster().Log
	if end == nil {
		out.Verified = true
		return out, nil
	}
	out.Checkpoint = fmt.Sprintf("%d %s", end.Entries, end.Head)
	roots, err := s.roots()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	_, err = readLog(s.db, end, func(e *policy.Entry, line []byte, h *policy.History) error {
		seen[h.Checkpoint().Head] = true
		out.Entries = append(out.Entries, viewEntry(e, h.Checkpoint().Head))
		if !q.At.IsZero() && !e.At.After(q.At) {
			out.InForce = describeManifest(h.InForce())
		}
		return nil
	}, roots...)
	out.Verified = err == nil
	if err != nil {
		out.Trouble = err.Error()
		return out, nil
	}
	return out, s.checkWitnesses(out, seen)
}

// checkWitnesses asks whether the log leads through every checkpoint that this machine has seen.
func (s *seed) checkWitnesses(out *api.ApprovalLog, seen map[string]bool) error {
	all, err := witnesses(s.db)
	if err != nil {
		return err
	}
	for _, w := range all {
		if !seen[w.Head] {
			out.Verified = false
			out.Trouble = fmt.Sprintf("on %s the log had %d entries and ended in %s; this one does not lead through there", w.At.Format(time.RFC3339), w.Entries, w.Head)
			return nil
		}
		out.Witnessed++
	}
	return nil
}

// roots are all roots of the organisation that are kept here, as trusts of their own.
func (s *seed) roots() ([]*policy.Trust, error) {
	var all []*policy.Trust
	for v := int64(1); ; v++ {
		b, err := s.db.Value(rootKey(v))
		if errors.Is(err, state.ErrNotFound) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		t, err := policy.NewTrust(b)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
}

func viewEntry(e *policy.Entry, id string) api.LogEntry {
	v := api.LogEntry{
		Index: e.Index, ID: id, At: e.At, Role: e.Role, Before: e.Before, After: e.After, Signers: e.Signers, Threshold: e.Threshold,
		Reason: e.Reason, Manifest: e.Manifest, Changes: []string{},
	}
	for _, c := range e.Changes {
		v.Changes = append(v.Changes, c.Text())
	}
	return v
}

// describeManifest lists what is in force, one line each.
func describeManifest(m *policy.Manifest) []string {
	out := []string{}
	if m == nil {
		return out
	}
	out = append(out, fmt.Sprintf("epoch %d", m.Epoch))
	for i := range m.Approvals {
		out = append(out, policy.Change{Approval: &m.Approvals[i]}.Text()+byRole(m.Approvals[i].Role()))
	}
	for i := range m.Holds {
		out = append(out, policy.Change{Hold: &m.Holds[i]}.Text()+byRole(m.Holds[i].Role()))
	}
	return out
}

// byRole says whose word it is, where it is not the main approvers'.
func byRole(role string) string {
	if role == "" {
		return ""
	}
	return " (role " + role + ")"
}
