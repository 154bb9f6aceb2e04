package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/policy"
)

// Rings on the seed: reports of the machines drive promotions and halts. All state is in the signed
// manifest (which rings are open, what is held), so that a seed that was off goes on where it was; only
// how many failures an admin has already looked at and released is kept in its own books.

// ringEvery is how often the reports are judged.
const ringEvery = 5 * time.Second

// errNoChange: what a draft was to say, it says already.
var errNoChange = errors.New("nothing to change")

// errDraftWaits: nothing is signed unattended while a draft with other changes waits.
var errDraftWaits = errors.New("a draft with other changes waits for signatures: 'patchmesh sign --show' shows it, 'patchmesh sign' signs it")

// SetRings implements api.Service.
func (n *Node) SetRings(_ context.Context, r api.RingsRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.setRings(r) })
}

// Promote implements api.Service.
func (n *Node) Promote(_ context.Context, r api.PromoteRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.promoteByHand(r) })
}

// Rings implements api.Service.
func (n *Node) Rings(_ context.Context, q api.RingsQuery) (*api.Rings, error) {
	return onSeed(n.seed, func(s *seed) (*api.Rings, error) { return s.rings(q) })
}

// setRings puts a ring plan into the draft, or takes it out.
func (s *seed) setRings(r api.RingsRequest) (*api.Published, error) {
	w := wish{passphrase: r.Passphrase, reason: r.Reason, summary: "ring plan " + r.Plan.Name}
	if r.Drop {
		w.summary = "drop ring plan " + r.Plan.Name
	} else if err := r.Plan.Validate(); err != nil {
		return nil, api.Errorf(api.ClassUsage, "%v", err).WithHint("'patchmesh rings set --help' shows examples")
	}
	return s.change(w, func(m *sheet) error {
		var known []string
		for _, p := range m.ringPlans {
			known = append(known, p.Name)
		}
		if r.Drop && !slices.Contains(known, r.Plan.Name) {
			return api.Errorf(api.ClassNotFound, "no ring plan %q", api.Clean(r.Plan.Name)).WithHint("plans in force: %s", first(strings.Join(known, ", "), "none"))
		}
		for _, a := range m.approvals {
			if a.RingPlan == r.Plan.Name && (r.Drop || len(a.RingsOpened) > len(r.Plan.Rings)) {
				return api.Errorf(api.ClassRefused, "%s is approved along ring plan %s, and is in ring %d of it", a.Update, a.RingPlan, len(a.RingsOpened)).
					WithHint("approve it without --rings first, or give the plan another name")
			}
		}
		if i := slices.IndexFunc(m.rules, func(o policy.ApprovalRule) bool { return o.RingPlan == r.Plan.Name }); r.Drop && i >= 0 {
			return api.Errorf(api.ClassRefused, "approval rule %s goes along ring plan %s", m.rules[i].Name, r.Plan.Name).WithHint("'patchmesh rules drop %s' first", m.rules[i].Name)
		}
		for _, ring := range r.Plan.Rings {
			for _, g := range ring.Groups {
				if err := s.needGroup(m, g); err != nil {
					return err
				}
			}
		}
		m.ringPlans = slices.DeleteFunc(m.ringPlans, func(p policy.RingPlan) bool { return p.Name == r.Plan.Name })
		if !r.Drop {
			m.ringPlans = append(m.ringPlans, r.Plan)
		}
		return nil
	})
}

// rollout is one approval along a plan with what its machines have reported.
type rollout struct {
	approval policy.Approval
	plan     *policy.RingPlan
	tallies  []policy.Tally
	index    int // of the approval in the manifest
	contest  policy.Contest
}

// rollouts counts the reports for every approval along a plan.
func (s *seed) rollouts(m *policy.Manifest) ([]rollout, error) {
	var out []rollout
	for i, a := range m.Approvals {
		if p := m.RingPlan(a.RingPlan); a.RingPlan != "" && p != nil {
			out = append(out, rollout{a, p, make([]policy.Tally, len(p.Rings)), i, m.Contest(a.Update)})
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	fleet, err := s.fleet(nil)
	if err != nil {
		return nil, err
	}
	for _, machine := range fleet {
		if machine.Reason == string(policy.ReasonHostRevoked) || machine.Reason == reasonReimaged && !machine.Online {
			continue
		}
		for i := range out {
			// Where another approval of the update counts, this one is nothing that the machine could do.
			if ring := m.RingOf(out[i].plan, machine.Groups); ring >= 0 && out[i].contest.Winner(machine.Groups, s.now()) == out[i].index {
				count(&out[i].tallies[ring], machine, out[i].approval)
			}
		}
	}
	return out, nil
}

// count adds what one machine says of one revision. A machine that has not reported needs the update, as
// far as anybody knows.
func count(t *policy.Tally, m api.Machine, a policy.Approval) {
	t.Machines++
	i := slices.IndexFunc(m.Updates, func(u api.Update) bool { return u.Update == string(a.Update) && u.Revision == a.Revision })
	if i < 0 {
		t.Needed++
		return
	}
	switch u := m.Updates[i]; {
	case carriedOut(a.Action, u):
		t.Needed++
		t.Installed++
	case u.Failures > 0 || u.State == policy.StateRolledBack.String(): // whatever it waits for since
		t.Needed++
		t.Failed++
	case u.Compliance != string(policy.NotApplicable):
		t.Needed++
	}
}

// turnRings judges now and then, and does what is due.
func (n *Node) turnRings(ctx context.Context) {
	t := time.NewTicker(ringEvery)
	defer t.Stop()
	said, told := "", map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		err := n.seed.turnRings()
		n.raiseAlarms()
		n.tellDrafts(told)
		if err != nil && err.Error() != said { // once, not every few seconds
			n.log.Error("an update does not go on along its rings", "err", err)
		}
		if said = ""; err != nil {
			said = err.Error()
		}
	}
}

func (s *seed) turnRings() error {
	t := s.believer.current()
	m := t.Manifest()
	if m == nil || s.whole() != nil {
		return nil
	}
	all, err := s.rollouts(m)
	if err != nil {
		return err
	}
	var errs []error
	note := func(r rollout, err error) { // what goes wrong with one keeps no other from being stopped
		if err != nil && !errors.Is(err, errNoChange) {
			errs = append(errs, fmt.Errorf("%s: %w", r.approval.Update, err))
		}
	}
	var halting, promoting []judged
	for _, r := range all {
		step, why, err := s.judgeRollout(r, false)
		note(r, err)
		switch step {
		case policy.RingHalt:
			halting = append(halting, judged{r, why})
		case policy.RingPromote:
			promoting = append(promoting, judged{r, why})
		}
	}
	for _, v := range halting { // what stops comes first
		note(v.rollout, s.halt(m, v.rollout, v.why))
	}
	for _, v := range promoting {
		if !s.heldEverywhere(m, v.approval) {
			_, err := s.promote(v.rollout, v.why, wish{unattended: true})
			note(v.rollout, err)
		}
	}
	errs = append(errs, s.unbrake(s.believer.current().Manifest()))
	unheld := s.alarms(s.believer.current().Manifest(), halting)
	s.unheld.Store(&unheld)
	return errors.Join(errs...)
}

// judged is a rollout for which something is due, and why.
type judged struct {
	rollout
	why string
}

func (s *seed) heldEverywhere(m *policy.Manifest, a policy.Approval) bool {
	held, _ := m.HeldEverywhere(a.Update, a.Revision, s.now())
	return held
}

// promote opens the next ring. It is signed as any approval is: where the keys are elsewhere, or want a
// passphrase that nobody is there to give, the draft waits for 'patchmesh sign'.
func (s *seed) promote(r rollout, why string, w wish) (*api.Published, error) {
	next := r.plan.Rings[len(r.approval.RingsOpened)].Name
	w.summary = fmt.Sprintf("promote %s to ring %s of %s", r.approval.Update, next, r.plan.Name)
	if w.reason = strings.TrimPrefix(w.reason+"; "+why, "; "); len(w.reason) > 480 { // a log entry takes no more than 500
		w.reason = strings.ToValidUTF8(w.reason[:480], "")
	}
	return s.change(w, func(m *sheet) error {
		for i := range m.approvals {
			a := &m.approvals[i]
			if a.Update != r.approval.Update || a.Group != r.approval.Group || a.RingPlan != r.approval.RingPlan {
				continue
			}
			if a.Revision != r.approval.Revision || len(a.RingsOpened) != len(r.approval.RingsOpened) {
				return errNoChange // a pending draft opens it already, or speaks of another revision
			}
			a.RingsOpened = append(slices.Clone(a.RingsOpened), s.stamp())
			return nil
		}
		return errNoChange
	})
}

// haltKey is where the number of failures stands that the last halt was about: an admin who releases the
// hold has seen those.
func haltKey(a policy.Approval) string { return fmt.Sprintf("ring-halt/%s/%d", a.Update, a.Revision) }

// promoteByHand opens the next ring because somebody says so.
func (s *seed) promoteByHand(r api.PromoteRequest) (*api.Published, error) {
	m := s.believer.current().Manifest()
	if m == nil {
		return nil, api.Errorf(api.ClassFailed, "the seed has lost its approvals and waits for those of the mesh")
	}
	all, err := s.rollouts(m)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(o rollout) bool { return string(o.approval.Update) == r.Update })
	if i < 0 {
		return nil, api.Errorf(api.ClassNotFound, "%q is not approved along a ring plan", api.Clean(r.Update)).WithHint("'patchmesh rings list' shows what is")
	}
	if s.heldEverywhere(m, all[i].approval) {
		return nil, api.Errorf(api.ClassRefused, "%s is held", api.Clean(r.Update)).WithHint("'patchmesh release' ends the hold; 'patchmesh explain' tells its reason")
	}
	step, why, err := s.judgeRollout(all[i], true)
	if err != nil {
		return nil, err
	}
	if step == policy.RingWait {
		return nil, api.Errorf(api.ClassRefused, "%s: %s", api.Clean(r.Update), why).WithHint("'patchmesh evidence show %s' tells what was tested, 'patchmesh evidence record' notes it", api.Clean(r.Update))
	}
	if step == policy.RingDone {
		return nil, api.Errorf(api.ClassRefused, "%s: %s, there is nothing to promote it to", api.Clean(r.Update), why)
	}
	if step == policy.RingHalt && !r.Force {
		return nil, api.Errorf(api.ClassRefused, "%s: %s", api.Clean(r.Update), why).WithHint("look at 'patchmesh status --update %s'; --force promotes all the same", api.Clean(r.Update))
	}
	p, err := s.promote(all[i], why, wish{passphrase: r.Passphrase, reason: r.Reason})
	if errors.Is(err, errNoChange) {
		return nil, api.Errorf(api.ClassRefused, "a draft that waits for signatures promotes it already").WithHint("'patchmesh sign --show' shows it, 'patchmesh sign' signs it")
	}
	return p, err
}

// rings tells the plans and how far each update has got along them.
func (s *seed) rings(q api.RingsQuery) (*api.Rings, error) {
	m := s.believer.current().Manifest()
	if m == nil {
		return nil, api.Errorf(api.ClassFailed, "the seed has lost its approvals and waits for those of the mesh")
	}
	out := &api.Rings{Plans: nonNil(m.RingPlans), Rollouts: []api.Rollout{}}
	all, err := s.rollouts(m)
	if err == nil {
		out.Drafts, err = s.waitingDrafts()
	}
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if q.Update != "" && q.Update != string(r.approval.Update) {
			continue
		}
		step, why, err := s.judgeRollout(r, false)
		if err != nil {
			return nil, err
		}
		o := api.Rollout{
			Update: string(r.approval.Update), Revision: r.approval.Revision, Group: r.approval.Group, Plan: r.plan.Name, Next: string(step), Why: why,
			Held: s.heldEverywhere(m, r.approval),
		}
		if step == policy.RingHalt && !o.Held {
			o.Why += fmt.Sprintf("; approvers have let it go on where it is, 'patchmesh promote %s --force' opens the next ring", o.Update)
		}
		for i, ring := range r.plan.Rings {
			row := api.RingRow{Ring: ring.Name, Machines: r.tallies[i].Machines, Needed: r.tallies[i].Needed, Installed: r.tallies[i].Installed, Failed: r.tallies[i].Failed}
			if i < len(r.approval.RingsOpened) {
				row.OpenedAt = r.approval.OpenedAt(i)
			}
			o.Rings = append(o.Rings, row)
		}
		out.Rollouts = append(out.Rollouts, o)
	}
	if q.Update != "" && len(out.Rollouts) == 0 {
		return nil, api.Errorf(api.ClassNotFound, "%q is not approved along a ring plan", api.Clean(q.Update))
	}
	return out, nil
}

// askedFor says whether a key of this folder that the draft lacks wants a passphrase.
func (s *seed) askedFor(t *policy.Trust, d *policy.Draft) bool {
	roles, err := keys.Roles(filepath.Join(s.dir, "keys"))
	if err != nil {
		return false
	}
	_, _, missing := d.Status(t)
	return slices.ContainsFunc(roles, func(r keys.RoleInfo) bool {
		named, err := policy.NamePublic(r.Public)
		return err == nil && r.Protected && slices.Contains(missing, named.KeyID())
	})
}
