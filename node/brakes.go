package node

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// Brakes: a halt is a hold, and a hold is signed by approvers. Where their keys are not at hand, the seed prepares it as
// a draft, and until they have decided it holds the update by its own word, in the roster. See policy.Brake for what
// that word can do and what not.

// brakeKey is where the number of failures stands that the last brake was about: it is not put on again for those.
func brakeKey(a policy.Approval) string { return fmt.Sprintf("ring-brake/%s/%d", a.Update, a.Revision) }

// seenFailures is the number that stands there; 0 for none.
func (s *seed) seenFailures(key string) int {
	b, err := s.db.Value(key)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(string(b))
	if err != nil {
		return 0
	}
	return n
}

func (r rollout) failures() (n int) {
	for _, t := range r.tallies {
		n += t.Failed
	}
	return n
}

// brake holds an update by the seed's own word, once for the same failures: what approvers do not confirm before it
// ends was not worth their while, and machines must not be kept from an update for good by a seed.
func (s *seed) brake(r rollout, why string) error {
	failed := r.failures()
	if s.seenFailures(brakeKey(r.approval)) >= failed {
		return nil
	}
	at := s.stamp()
	b := policy.Brake{Update: r.approval.Update, Revision: r.approval.Revision, Reason: why, At: at, Until: at.Add(policy.MaxBrakeLife)}
	if err := s.reroster(func(roster *policy.Roster) (*policy.Roster, error) { return roster.Brake(b) }); err != nil {
		return err
	}
	return s.db.PutValue(brakeKey(r.approval), []byte(strconv.Itoa(failed)))
}

// unbrake takes brakes off that approvers have made holds of, or whose update nobody approves any more. A hold that ends
// before the brake would, such as a freeze, is none that takes its place: nothing would be left when it ends.
func (s *seed) unbrake(m *policy.Manifest) error {
	over := func(b policy.Brake) bool {
		_, signed := m.HeldEverywhere(b.Update, b.Revision, b.Until.Add(-time.Second))
		return signed || !slices.ContainsFunc(m.Approvals, func(a policy.Approval) bool { return a.Update == b.Update && a.Revision == b.Revision && !a.Listed() })
	}
	if !slices.ContainsFunc(s.believer.current().Roster().Brakes, over) {
		return nil
	}
	return s.reroster(func(roster *policy.Roster) (*policy.Roster, error) { return roster.Unbrake(over), nil })
}

// reroster publishes a changed roster; edit gives nil for one that needs no change.
func (s *seed) reroster(edit func(*policy.Roster) (*policy.Roster, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.whole(); err != nil {
		return err
	}
	t := s.believer.current()
	r, err := edit(t.Roster())
	if err != nil || r == nil {
		return err
	}
	return s.publish(t, nil, r)
}

// halt holds an update everywhere. Released by an admin, it is held again only when more machines fail.
func (s *seed) halt(m *policy.Manifest, r rollout, why string) error {
	failed, seen := r.failures(), s.seenFailures(haltKey(r.approval))
	if _, signed := m.HeldEverywhere(r.approval.Update, r.approval.Revision, s.now()); signed {
		about := func(h policy.Hold) bool {
			return h.Group == "" && h.Update == r.approval.Update && h.Kind == policy.HoldPause
		}
		if seen < failed && slices.ContainsFunc(m.Holds, about) { // who releases it has seen these
			return s.db.PutValue(haltKey(r.approval), []byte(strconv.Itoa(failed)))
		}
		return nil
	}
	if failed <= seen {
		return nil
	}
	if openedForAll(m, r.approval, s.now()) { // the approvers have answered
		return s.db.PutValue(haltKey(r.approval), []byte(strconv.Itoa(failed)))
	}
	h := policy.Hold{ID: fmt.Sprintf(policy.HaltPrefix+"%s-%d", s.stamp().Format("20060102T150405"), r.approval.Revision), Update: r.approval.Update, Kind: policy.HoldPause,
		Reason: haltReason(r, why), At: s.stamp()}
	p, err := s.change(wish{unattended: true, summary: "halt " + string(h.Update), reason: h.Reason}, func(sh *sheet) error { return sh.halt(h, r.approval) })
	if err == nil && p.Published {
		return s.db.PutValue(haltKey(r.approval), []byte(strconv.Itoa(failed)))
	}
	// Whatever keeps the approvers' word from being given now: machines must not wait for it.
	if berr := s.brake(r, h.Reason); berr != nil {
		return errors.Join(err, fmt.Errorf("brake: %w", berr))
	}
	if errors.Is(err, errNoChange) || errors.Is(err, errDraftWaits) {
		return nil // approvers are told by the status
	}
	return err
}

// halt puts a halt into a draft, unless what is to be signed says as much already: the same stop or a wider one, or that
// the approvers let it go on.
func (m *sheet) halt(h policy.Hold, a policy.Approval) error {
	draft := m.draft()
	if held, _ := draft.HeldEverywhere(a.Update, a.Revision, h.At); held || openedForAll(draft, a, h.At) {
		return errNoChange
	}
	m.holds = append(m.holds, h)
	m.carry(h, a, h.At)
	return nil
}

// answered drops the halts that wait in a draft for an answer to a brake: it is the answer that is being signed.
func (m *sheet) answered(inForce *policy.Manifest, brake string) {
	m.holds = slices.DeleteFunc(m.holds, func(h policy.Hold) bool {
		waits := inForce != nil && !slices.ContainsFunc(inForce.Holds, func(o policy.Hold) bool { return o.ID == h.ID })
		about := func(o policy.Hold) bool { return o.Kind == policy.HoldBrake && o.ID == brake && o.Update == h.Update }
		return waits && h.Halt() && slices.ContainsFunc(inForce.Holds, about)
	})
}

func haltReason(r rollout, why string) string {
	return fmt.Sprintf("halted by ring plan %s: %s", r.plan.Name, why)
}

// alarms tells of every halt that waits for approvers and that nothing holds, or nothing any more.
func (s *seed) alarms(m *policy.Manifest, halting []judged) []api.Attention {
	var out []api.Attention
	for _, v := range halting {
		a := v.approval
		held, _ := m.HeldEverywhere(a.Update, a.Revision, s.now()) // a brake that holds it tells by itself, on every machine
		if held || s.seenFailures(haltKey(a)) >= v.failures() || openedForAll(m, a, s.now()) {
			continue
		}
		text := haltReason(v.rollout, v.why) + "; NOTHING HOLDS IT: its brake has ended or could not be put on, and machines go on with it"
		out = append(out, attention(a.Update, a.Revision, "", time.Time{}, text))
	}
	return out
}

// openedForAll: the approvers let a braked or halted revision go on everywhere, so they know of its failures.
func openedForAll(m *policy.Manifest, a policy.Approval, now time.Time) bool {
	ids := []string{policy.Brake{Update: a.Update, Revision: a.Revision}.ID()}
	for _, h := range m.Holds {
		if h.Halt() && h.Update == a.Update {
			ids = append(ids, h.ID)
		}
	}
	return slices.ContainsFunc(m.HoldExceptions, func(e policy.HoldException) bool {
		return e.Role() == "" && slices.Contains(ids, e.Hold) && e.Group == policy.GroupAll && now.Before(e.Until)
	})
}

func attention(u policy.UpdateID, revision int, hold string, until time.Time, text string) api.Attention {
	info, _ := policy.ReasonPolicyBrake.Info()
	return api.Attention{Update: string(u), Revision: revision, Hold: hold, Until: until, Reason: string(policy.ReasonPolicyBrake), Text: api.Clean(text), Owner: info.Owner, NextStep: info.NextStep}
}

// attentions are what waits for a person, as this machine knows it: brakes everywhere, on the seed besides what it could
// not brake.
func (n *Node) attentions() []api.Attention {
	man := n.believer.current().Manifest()
	if man == nil {
		return nil
	}
	var out []api.Attention
	for _, h := range man.Holds {
		if h.Kind != policy.HoldBrake {
			continue
		}
		if held, signed := man.HeldEverywhere(h.Update, h.Revision(), n.cfg.Now()); !held || signed {
			continue // it has ended, or approvers have answered
		}
		text := fmt.Sprintf("held by the seed alone since %s: %s", h.At.UTC().Format(time.RFC3339), h.Reason)
		out = append(out, attention(h.Update, h.Revision(), h.ID, h.ExpiresAt, text))
	}
	if n.seed != nil {
		if list := n.seed.unheld.Load(); list != nil {
			out = append(out, *list...)
		}
	}
	return out
}

// alarmbook remembers which alarms were raised.
type alarmbook struct {
	mu     sync.Mutex
	raised map[string]bool
}

// raiseAlarms notes what begins to wait for a person, and what does no more: in the log, and among the events of the
// machine. It is asked when approvals change and when the rings have been judged.
func (n *Node) raiseAlarms() {
	n.alarmed.mu.Lock()
	defer n.alarmed.mu.Unlock()
	now := map[string]bool{}
	for _, a := range n.attentions() {
		key := fmt.Sprintf("%s/%d/%s", a.Update, a.Revision, a.Hold)
		if now[key] = true; n.alarmed.raised[key] {
			continue
		}
		n.log.Error("an update waits for its approvers", "update", a.Update, "revision", a.Revision, "hold", a.Hold, "why", a.Text, "next", a.NextStep)
		n.record(state.EventRow{Kind: api.EventHalt, Update: a.Update, Reason: a.Reason, Detail: a.Text})
	}
	n.alarmed.raised = now
}
