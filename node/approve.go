package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// approve puts approvals into the draft, each in place of the one for the same update and group. All of them are signed
// and published together, or none is.
func (s *seed) approve(r api.ApproveRequest) (*api.Published, error) {
	updates, err := namedIn(&r)
	if err != nil {
		return nil, err
	}
	if r.Withdraw {
		return s.withdraw(r)
	}
	all := make([]policy.Approval, 0, len(updates))
	for _, u := range updates {
		one := r
		one.Update, one.Revision = u.Update, u.Revision
		a, err := s.approval(&one)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	a := all[0]
	w := wish{role: r.Role, passphrase: r.Passphrase, summary: fmt.Sprintf("%s %s for group %s", a.Action, a.Update, a.Group), reason: r.Reason}
	if len(all) > 1 {
		w.summary = fmt.Sprintf("%s %s and %d more for group %s", a.Action, a.Update, len(all)-1, a.Group)
	}
	p, err := s.change(w, func(m *sheet) error { return s.putApprovals(m, all) })
	if err == nil {
		s.afterthoughts(p, all)
	}
	return p, err
}

// namedIn lists the updates that a request is of. One that is named twice is refused: the last would win, and be counted
// as another.
func namedIn(r *api.ApproveRequest) ([]api.Revised, error) {
	if len(r.Also) > api.MaxAlso || r.Withdraw && len(r.Also) > 0 {
		return nil, api.Errorf(api.ClassUsage, "%d updates at once: up to %d can be approved together, and one can be withdrawn", len(r.Also)+1, api.MaxAlso+1)
	}
	all := append([]api.Revised{{Update: r.Update, Revision: r.Revision}}, r.Also...)
	seen := make(map[string]bool, len(all))
	for _, u := range all {
		if seen[u.Update] {
			return nil, api.Errorf(api.ClassUsage, "%s is named twice", api.Clean(u.Update))
		}
		seen[u.Update] = true
	}
	return all, nil
}

// maxWarnings bounds what is said of many approvals at once, maxDoubted of how many it is asked: each is a look at every
// machine.
const (
	maxWarnings = 20
	maxDoubted  = 100
)

// afterthoughts says what follows from approvals that were not asked for in so many words.
func (s *seed) afterthoughts(p *api.Published, all []policy.Approval) {
	decided, m := map[string]bool{}, s.believer.current().Manifest()
	if len(all) > maxDoubted {
		p.Warnings = []string{fmt.Sprintf("whether windows and deadlines leave time was asked for the first %d of %d updates", maxDoubted, len(all))}
	}
	for i, a := range all {
		decided[string(a.Update)] = a.Group == policy.GroupAll
		if i < maxDoubted && len(p.Warnings) < maxWarnings {
			p.Warnings = append(append(p.Warnings, s.tooLate(a)...), s.untriedRemoval(a)...)
		}
	}
	p.DeadlineBy = s.deadlineBy(m, all[0])
	p.Listed = slices.DeleteFunc(p.Listed, func(u string) bool { return decided[u] }) // that is a decision, not the list
}

// expedite gives a request the deadline that out of band means: at once, or as soon as it is available.
func expedite(r *api.ApproveRequest, action policy.Action, now time.Time) error {
	if r.LocalTime {
		return api.Errorf(api.ClassUsage, "what is expedited is due everywhere at once, not by each machine's clock").WithHint("leave out --local or --expedite")
	}
	if r.Deadline.After(now) && r.Deadline.After(r.NotBefore) {
		return api.Errorf(api.ClassUsage, "what is expedited has its deadline at once, not at %s", r.Deadline.UTC().Format(time.RFC3339)).WithHint("leave out --deadline or --expedite")
	}
	if action == policy.ActionInstall || action == policy.ActionRemove {
		r.Deadline = now
		if r.NotBefore.After(now) {
			r.Deadline = r.NotBefore
		}
	}
	return nil
}

func checkRingDeadline(r *api.ApproveRequest) error {
	if r.DeadlineMinutes < 0 || r.DeadlineMinutes > policy.MaxDeadlineMinutes {
		return api.Errorf(api.ClassUsage, "a deadline of %d minutes from each ring's opening: it may be up to %d days", r.DeadlineMinutes, policy.MaxDeadlineMinutes/(24*60))
	}
	if r.DeadlineMinutes > 0 && (r.Rings == "" || !r.Deadline.IsZero() || r.LocalTime || r.Expedite) {
		return api.Errorf(api.ClassUsage, "a deadline that counts from each ring's opening goes along rings, and is the only one").WithHint("--rings PLAN --deadline 7d, without --local and --expedite")
	}
	return nil
}

// approval is what a request asks for of one update. It completes the request.
func (s *seed) approval(r *api.ApproveRequest) (policy.Approval, error) {
	var a policy.Approval
	action, err := policy.ParseAction(first(r.Action, string(policy.ActionInstall)))
	if err != nil {
		return a, api.Errorf(api.ClassUsage, "unknown action %q", r.Action).
			WithHint("install, remove, detect-only, decline, optional or stage-only")
	}
	row, err := s.revision(r.Update, r.Revision)
	if err != nil {
		return a, err
	}
	if !r.Deadline.IsZero() && r.Deadline.Before(r.NotBefore) {
		return a, api.Errorf(api.ClassUsage, "the deadline lies before the available time")
	}
	if err := checkRingDeadline(r); err != nil {
		return a, err
	}
	if r.LocalTime && r.Deadline.IsZero() && r.NotBefore.IsZero() {
		return a, api.Errorf(api.ClassUsage, "no time is given that could be local").WithHint("--local goes with --deadline or --not-before")
	}
	if err := suits(row, action, *r, s.now()); err != nil {
		return a, err
	}
	if r.Expedite {
		if err := expedite(r, action, s.stamp()); err != nil {
			return a, err
		}
	}
	a = policy.Approval{
		Update: policy.UpdateID(row.Update), Revision: row.Revision, Descriptor: row.Descriptor, DescriptorBytes: len(row.Body),
		Group: r.Group, Action: action, NotBefore: r.NotBefore.UTC(), Deadline: r.Deadline.UTC(), Expedite: r.Expedite, IgnoreWindows: r.IgnoreWindows,
		IgnoreBudget: r.IgnoreBudget, LocalTime: r.LocalTime, DeadlineMinutes: r.DeadlineMinutes, At: s.stamp(),
	}
	if r.Rings != "" {
		a.RingPlan, a.RingsOpened, a.Group = r.Rings, []time.Time{a.At}, first(r.Group, policy.GroupAll)
		r.Group = a.Group
	}
	return a, nil
}

// putApprovals puts approvals of one group and ring plan into a draft, each in place of the one for the same update. Thousands
// may be, and the draft may have thousands: it is gone through once.
func (s *seed) putApprovals(m *sheet, all []policy.Approval) error {
	group, rings := all[0].Group, all[0].RingPlan
	if err := s.needGroup(m, group); err != nil {
		return err
	}
	if rings != "" && !slices.ContainsFunc(m.ringPlans, func(p policy.RingPlan) bool { return p.Name == rings }) {
		return api.Errorf(api.ClassNotFound, "no ring plan %q", api.Clean(rings)).WithHint("'patchmesh rings list' shows the plans, 'patchmesh rings set' makes one")
	}
	was := make(map[policy.UpdateID]policy.Approval, len(all))
	for _, a := range all {
		was[a.Update] = policy.Approval{}
	}
	m.approvals = slices.DeleteFunc(m.approvals, func(o policy.Approval) bool {
		_, anew := was[o.Update]
		if anew = anew && o.Group == group; anew {
			was[o.Update] = o
		}
		return anew
	})
	for _, a := range all {
		o := was[a.Update]
		// To change a deadline does not take an update back to its first ring; to do something else with it does.
		if rings != "" && o.Revision == a.Revision && o.Action == a.Action && o.RingPlan == a.RingPlan {
			a.RingsOpened = o.RingsOpened
		} else if err := s.testedFor(a, m.ringPlans); err != nil {
			return err
		}
		m.approvals = append(m.approvals, a)
	}
	return nil
}

// stamp is the time that goes into signed documents: whole seconds, UTC.
func (s *seed) stamp() time.Time { return s.now().UTC().Truncate(time.Second) }

func (s *seed) update(id string) (state.CatalogueRow, error) {
	row, err := s.db.Update(id)
	if errors.Is(err, state.ErrNotFound) {
		e := api.Errorf(api.ClassNotFound, "no update %q in the catalogue", api.Clean(id))
		if all, _ := s.db.Updates(); len(all) > 0 {
			return row, e.WithHint("the newest is %s; import the file first if it is missing", all[len(all)-1].Update)
		}
		return row, e.WithHint("the catalogue is empty: begin with 'patchmesh import FILE'")
	}
	return row, err
}

// needGroup makes sure that a group exists, and that the main manifest lists it.
func (s *seed) needGroup(m *sheet, name string) error {
	if name == policy.GroupUnassigned && m.role == "" {
		return s.listEnrolled(m)
	}
	if name == policy.GroupAll || name == policy.GroupUnassigned || slices.ContainsFunc(m.groups, func(g policy.Group) bool { return g.Name == name }) {
		return nil
	}
	if m.role != "" {
		return api.Errorf(api.ClassRefused, "the main approvers have not listed the group %s yet", api.Clean(name)).
			WithHint("role %s may only decide for groups that its grant names", m.role)
	}
	groups, err := s.db.Groups()
	if err != nil {
		return err
	}
	var names []string
	for _, g := range groups {
		if g.Name == name {
			m.list(name, parentsOf(groups))
			return nil
		}
		names = append(names, g.Name)
	}
	return api.Errorf(api.ClassNotFound, "no group %q", api.Clean(name)).
		WithHint("known groups: %s; a group is made by 'patchmesh group set NAME' or 'patchmesh invite --group NAME'", strings.Join(append([]string{"all", "unassigned"}, names...), ", "))
}

// hold adds a signed stop.
func (s *seed) hold(r api.HoldRequest) (*api.Published, error) {
	if strings.TrimSpace(r.Reason) == "" {
		return nil, api.Errorf(api.ClassUsage, "a hold needs a reason").WithHint("add --reason \"why\": everybody who meets the hold will read it")
	}
	if len(r.Reason) > 500 {
		return nil, api.Errorf(api.ClassUsage, "the reason is longer than 500 bytes")
	}
	if r.Update != "all" {
		if _, err := s.update(r.Update); err != nil {
			return nil, err
		}
	}
	var b [6]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, err
	}
	h := policy.Hold{
		ID: holdPrefix(r.Role) + "h-" + hex.EncodeToString(b[:]), Update: policy.UpdateID(r.Update), Group: r.Group,
		Kind: first(r.Kind, "pause"), Reason: api.Clean(r.Reason), At: s.stamp(), ExpiresAt: r.ExpiresAt.UTC(),
	}
	if err := narrowHold(&h, r.HoldScope, s.now()); err != nil {
		return nil, err
	}
	w := wish{role: r.Role, passphrase: r.Passphrase, summary: fmt.Sprintf("hold %s: %s", r.Update, h.Reason), reason: h.Reason}
	p, err := s.change(w, func(m *sheet) error {
		if r.Group != "" {
			if err := s.needGroup(m, r.Group); err != nil {
				return err
			}
		}
		m.holds = append(m.holds, h)
		return nil
	})
	if err == nil {
		p.Hold = h.ID
		p.Summary += unlookedFor(h, s.believer.current().Manifest())
	}
	return p, err
}

// release ends a hold.
func (s *seed) release(r api.ReleaseRequest) (*api.Published, error) {
	role, _, ofRole := strings.Cut(r.Hold, ".")
	if !ofRole {
		role = ""
	}
	if man := s.believer.current().Manifest(); man != nil && slices.ContainsFunc(man.Holds, func(h policy.Hold) bool { return h.ID == r.Hold && h.Kind == policy.HoldBrake }) {
		return nil, api.Errorf(api.ClassRefused, "%s is the seed's own brake: it ends by itself, or by what approvers sign", r.Hold).
			WithHint("'patchmesh hold except %s --group all --until 168h --reason TEXT' lets the update go on; 'patchmesh sign' makes a hold of it", r.Hold)
	}
	w := wish{role: role, passphrase: r.Passphrase, summary: "release " + r.Hold, reason: r.Reason}
	p, err := s.change(w, func(m *sheet) error {
		var known []string
		n := len(m.holds)
		for _, h := range m.holds {
			known = append(known, h.ID)
		}
		m.holds = slices.DeleteFunc(m.holds, func(h policy.Hold) bool { return h.ID == r.Hold })
		m.exceptions = slices.DeleteFunc(m.exceptions, func(e policy.HoldException) bool { return e.Hold == r.Hold })
		if len(m.holds) == n {
			e := api.Errorf(api.ClassNotFound, "no hold %q", api.Clean(r.Hold))
			if n > 0 {
				return e.WithHint("holds in force: %s", strings.Join(known, ", "))
			}
			return e.WithHint("no hold is in force")
		}
		return nil
	})
	if err == nil {
		p.Hold = r.Hold
	}
	return p, err
}

// publish signs with the online keys, makes the result durable and spreads it. d nil: only the
// roster and freshness are renewed.
func (s *seed) publish(t *policy.Trust, d *policy.Draft, roster *policy.Roster) error {
	return s.publishUnder(nil, t, d, roster, "")
}

// publishUnder is publish with a new root, if one is given, and the reason for the approval log.
func (s *seed) publishUnder(root []byte, t *policy.Trust, d *policy.Draft, roster *policy.Roster, reason string) error {
	began := s.now()
	roster, err := s.logged(root, t, d, roster, reason)
	if err == nil && d != nil {
		roster, err = roster.Publishes(t, d, s.now())
	}
	if err != nil {
		return err
	}
	var files policy.Files
	if root != nil {
		if files, err = s.publishRoot(root, t, d, roster); err != nil {
			return err
		}
	} else {
		files, err = t.Publish(d, roster, s.online, s.now())
	}
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	next, err := policy.OpenTrust(files, s.now())
	if err != nil {
		return fmt.Errorf("publish: own result does not verify: %w", err)
	}
	if root != nil { // before it counts: machines ask for every version
		if err := s.db.PutValue(rootKey(next.RootVersion()), root); err != nil {
			return err
		}
	}
	if err := s.believer.adopt(next, s.now()); err != nil {
		return err
	}
	if err := witness(s.db, next, s.now()); err != nil {
		return err
	}
	s.docs.setTrusted(next.Files())
	if s.published != nil {
		s.published(next)
	}
	return s.db.AddSync(syncDone(via{how: api.SyncPublished, began: began}, t, next, s.now()))
}

// publishRoot signs with the online keys that count under the new root, and keeps to them afterwards.
func (s *seed) publishRoot(root []byte, t *policy.Trust, d *policy.Draft, roster *policy.Roster) (policy.Files, error) {
	by, err := t.WithRoot(root)
	if err != nil {
		return policy.Files{}, err
	}
	online, err := openOnline(s.dir, by)
	if err != nil {
		return policy.Files{}, err
	}
	online = lasting(online, s.online.Life.Timestamp)
	files, err := t.PublishRoot(root, d, roster, online, s.now())
	if errors.Is(err, policy.ErrUnknownKey) || errors.Is(err, policy.ErrThreshold) {
		return files, api.Errorf(api.ClassRefused, "publish root: %v", err).WithHint("new online keys must lie in the seed's keys folder, without a passphrase, as timestamp-NAME, snapshot-NAME and roster-NAME")
	}
	if err == nil {
		s.online = online
	}
	return files, err
}

// renew freshens the online signatures; roster nil keeps the one in force.
func (s *seed) renew(roster *policy.Roster) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.whole(); err != nil {
		return err
	}
	return s.publish(s.believer.current(), nil, roster)
}

// moved puts the seed's present addresses into the roster.
func (s *seed) moved(id string, addrs []string) error {
	t := s.believer.current()
	r := *t.Roster()
	i := slices.IndexFunc(r.Seeds, func(e policy.SeedEntry) bool { return e.Peer == id })
	if i < 0 {
		return api.Errorf(api.ClassRefused, "the roster does not name this seed")
	}
	fresh := t.ExpiresAt().Sub(s.now()) > s.life()/2
	if slices.Equal(r.Seeds[i].Addrs, addrs) && fresh {
		return nil
	}
	r.Seeds = slices.Clone(r.Seeds)
	r.Seeds[i].Addrs = addrs
	return s.renew(&r)
}
