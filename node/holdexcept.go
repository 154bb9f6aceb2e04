package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// ExceptHold implements api.HoldKeeper.
func (n *Node) ExceptHold(_ context.Context, r api.ExceptionRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) {
		if r.Drop != "" {
			return s.dropException(r)
		}
		return s.exceptHold(r)
	})
}

var _ api.HoldKeeper = (*Node)(nil)

// exceptHold opens a hold for a machine or a group, signed. Exceptions that have ended go in the same breath.
func (s *seed) exceptHold(r api.ExceptionRequest) (*api.Published, error) {
	e, err := s.exception(r)
	if err != nil {
		return nil, err
	}
	w := wish{role: r.Role, passphrase: r.Passphrase, summary: "except " + e.For() + " from hold " + e.Hold + " until " + e.Until.Format(time.RFC3339), reason: e.Reason}
	var still []string
	p, err := s.change(w, func(m *sheet) error {
		if err := s.exceptable(m, e.Hold); err != nil {
			return err
		}
		if e.Group != "" {
			if err := s.needGroup(m, e.Group); err != nil {
				return err
			}
		}
		m.exceptions = slices.DeleteFunc(m.exceptions, func(o policy.HoldException) bool { return !s.now().Before(o.Until) })
		m.exceptions = append(m.exceptions, e)
		if e.Group == policy.GroupAll {
			m.answered(s.believer.current().Manifest(), e.Hold)
		}
		m.beside(e, s.standing(m))
		still = s.stillHeld(e, m, s.believer.current().Manifest())
		return nil
	})
	if err == nil {
		p.Hold, p.Exception, p.Warnings = e.Hold, e.ID, still
	}
	return p, err
}

// exception is what a request asks for.
func (s *seed) exception(r api.ExceptionRequest) (e policy.HoldException, err error) {
	switch {
	case strings.TrimSpace(r.Reason) == "":
		return e, api.Errorf(api.ClassUsage, "an exception needs a reason").WithHint("add --reason \"why\": it is signed, and shown wherever the exception is")
	case (r.Machine == "") == (r.Group == ""):
		return e, api.Errorf(api.ClassUsage, "an exception is for one machine or for one group").WithHint("add --machine NAME or --group GROUP")
	case !s.now().Before(r.Until):
		return e, api.Errorf(api.ClassUsage, "an exception needs an end that is yet to come").WithHint("add --until 2027-01-04T06:00:00Z or --until 72h, at most %d days", policy.MaxExceptionLife/(24*time.Hour))
	}
	if r.Machine != "" {
		if r.Machine, err = s.memberID(r.Machine); err != nil {
			return e, err
		}
	}
	var b [6]byte
	if _, err := rand.Read(b[:]); err != nil {
		return e, err
	}
	e = policy.HoldException{ID: holdPrefix(r.Role) + "x-" + hex.EncodeToString(b[:]), Hold: r.Hold, Machine: r.Machine, Group: r.Group,
		Reason: api.Clean(r.Reason), At: s.stamp(), Until: r.Until.UTC().Truncate(time.Second)}
	if r.Role != "" && !strings.HasPrefix(r.Hold, holdPrefix(r.Role)) {
		return e, api.Errorf(api.ClassRefused, "role %s opens no hold but its own, which begin with %q", api.Clean(r.Role), holdPrefix(r.Role)).WithHint("the main approvers may: leave out --role")
	}
	if err := e.Validate(); err != nil {
		return e, api.Errorf(api.ClassUsage, "%v", err).WithHint("'patchmesh hold except --help' shows examples")
	}
	return e, nil
}

// exceptable finds the hold, in the draft or in force, and refuses what is an admin's to release.
func (s *seed) exceptable(m *sheet, id string) error {
	holds := slices.Clone(m.holds)
	if man := s.believer.current().Manifest(); man != nil {
		holds = append(holds, man.Holds...)
	}
	i := slices.IndexFunc(holds, func(h policy.Hold) bool { return h.ID == id })
	if i < 0 {
		e := api.Errorf(api.ClassNotFound, "no hold %q", api.Clean(id))
		return e.WithHint("'patchmesh hold list' shows the holds in force")
	}
	if h := holds[i]; !h.Exceptable() {
		return api.Errorf(api.ClassRefused, "hold %s is a %s: exceptions are from safeguards, from a seed's brake and from the halt of a ring plan", h.ID, h.Kind).
			WithHint("'patchmesh release %s' ends it; to stop fewer machines, hold a group", h.ID)
	}
	return nil
}

// memberID is the peer id of an enrolled machine, by name or id: names are given out anew, and what is signed is for one machine.
func (s *seed) memberID(machine string) (string, error) {
	members, err := s.db.Members()
	if err != nil {
		return "", err
	}
	var ids []string
	for _, k := range members {
		if k.ReplacedBy == "" && (k.ID == machine || k.Name == machine) {
			ids = append(ids, k.ID)
		}
	}
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		return "", api.Errorf(api.ClassNotFound, "no machine %q is enrolled", api.Clean(machine)).WithHint("'patchmesh status' lists the machines")
	}
	return "", api.Errorf(api.ClassUsage, "%d machines are called %q", len(ids), api.Clean(machine)).WithHint("name one by its id: %s", strings.Join(ids, ", "))
}

// dropException takes an exception back before its end.
func (s *seed) dropException(r api.ExceptionRequest) (*api.Published, error) {
	role, _, ofRole := strings.Cut(r.Drop, ".")
	if !ofRole {
		role = ""
	}
	w := wish{role: role, passphrase: r.Passphrase, summary: "take back exception " + r.Drop, reason: r.Reason}
	p, err := s.change(w, func(m *sheet) error {
		n := len(m.exceptions)
		m.exceptions = slices.DeleteFunc(m.exceptions, func(e policy.HoldException) bool { return e.ID == r.Drop || stem(e.ID) == stem(r.Drop) })
		if len(m.exceptions) == n {
			return api.Errorf(api.ClassNotFound, "no exception %q", api.Clean(r.Drop)).WithHint("'patchmesh hold list' shows the exceptions from each hold")
		}
		return nil
	})
	if err == nil {
		p.Exception = r.Drop
	}
	return p, err
}

// Holds implements api.HoldKeeper: it answers on every machine, from what is trusted there.
func (n *Node) Holds(_ context.Context, q api.HoldQuery) (*api.Holds, error) {
	man := n.believer.current().Manifest()
	if man == nil {
		return nil, api.Errorf(api.ClassFailed, "this node has lost its approvals and waits for those of the mesh")
	}
	if q.Update != "" && q.Update != string(policy.AllUpdates) && !n.knownUpdate(q.Update) {
		return nil, api.Errorf(api.ClassNotFound, "no update %q is known here", api.Clean(q.Update))
	}
	names := map[string]string{n.id: n.member.Name}
	if n.seed != nil {
		members, err := n.db.Members()
		if err != nil {
			return nil, err
		}
		for _, k := range members {
			names[k.ID] = k.Name
		}
	}
	now := n.cfg.Now()
	out := &api.Holds{AsOf: now.UTC(), Epoch: man.Epoch, Holds: []api.HoldRow{}}
	for _, h := range man.Holds {
		if q.Update == "" || h.Update == policy.AllUpdates || string(h.Update) == q.Update {
			out.Holds = append(out.Holds, holdRow(man, h, names, now))
		}
	}
	if n.seed != nil {
		var err error
		if out.Drafts, err = n.seed.waitingDrafts(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func holdRow(man *policy.Manifest, h policy.Hold, names map[string]string, now time.Time) api.HoldRow {
	row := api.HoldRow{ID: h.ID, Update: string(h.Update), Revision: h.Revision(), Group: h.Group, Kind: h.Kind, By: holdsBy(h), Reason: h.Reason, At: h.At, ExpiresAt: h.ExpiresAt, Exceptions: []api.ExceptionRow{}}
	if h.Match != nil {
		row.Match = h.Match.String()
	}
	for _, e := range man.ExceptionsFrom(h) {
		row.Exceptions = append(row.Exceptions, api.ExceptionRow{ID: e.ID, Machine: e.Machine, MachineName: names[e.Machine], Group: e.Group, By: approvedBy(e.Role()), Reason: e.Reason,
			Until: e.Until, Over: !now.Before(e.Until)})
	}
	return row
}

// holdsBy says whose word a hold is.
func holdsBy(h policy.Hold) string {
	if h.Kind == policy.HoldBrake {
		return "seed"
	}
	return approvedBy(h.Role())
}

func approvedBy(role string) string {
	if role == "" {
		return "approvers"
	}
	return "role " + role
}
