package node

import (
	"context"
	"fmt"
	"maps"
	"os/user"
	"slices"
	"strconv"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// What becomes of a user's word. A yes installs nothing by itself: it is one of the facts that plans are made from,
// and only what approvers have signed as optional, or what asks the user, waits for it.

// wished is the wish that follows from a request about an approved update, and what is told of it.
func (n *Node) wished(ctx context.Context, m *policy.Manifest, v policy.Verdict, facts policy.Machine, r api.WishRequest) (policy.Wish, *api.WishTaken, error) {
	old := facts.Wishes[v.Update]
	if old.Revision != v.Revision {
		old = policy.Wish{Revision: v.Revision}
	}
	taken := &api.WishTaken{Update: r.Update}
	var err error
	w := old
	switch {
	case r.Undo:
		w, err = n.takeBack(v, old)
		taken.Detail = "as before it was accepted"
	case r.Accept:
		if taken.Unchanged, err = mayAccept(m.Approvals[v.Approval].Action, v); taken.Unchanged {
			taken.Detail = "it is installed already"
			return w, taken, nil
		}
		w.Accepted, w.PostponedUntil = true, time.Time{}
	default:
		if w, err = m.Postpone(v, facts, r.For, n.cfg.Now()); err != nil {
			err = api.Errorf(api.ClassRefused, "%s: %v", r.Update, err).WithHint("'patchmesh policy show' tells what users may do here")
		}
	}
	if err != nil {
		return w, nil, err
	}
	if w.Revision != 0 {
		w.By, w.At = speaker(ctx), n.cfg.Now().UTC()
	}
	if r.Accept && !r.Undo {
		taken.Detail = n.follows(m, v, facts, w)
	}
	taken.Accepted, taken.PostponedUntil, taken.Times = w.Accepted, w.PostponedUntil, w.Times
	return w, taken, nil
}

// mayAccept says whether there is something to accept. installed: nothing is left to be done.
func mayAccept(a policy.Action, v policy.Verdict) (installed bool, err error) {
	if v.Compliance.There() && (a == policy.ActionInstall || a == policy.ActionOptional) {
		return true, nil
	}
	what := map[policy.Action]string{
		policy.ActionDecline: "declined for this machine", policy.ActionDetectOnly: "only looked for on this machine",
		policy.ActionRemove: "to be removed from this machine", policy.ActionStageOnly: "only fetched to this machine",
	}[a]
	if what == "" && v.Verb == policy.VerbNone { // another architecture, a kind that this machine does not take
		what = "not to be installed here: " + first(v.Detail, string(v.Reason))
	}
	if what == "" {
		return false, nil
	}
	return false, api.Errorf(api.ClassRefused, "%s is %s: there is nothing to accept", v.Update, what).
		WithHint("an admin offers it with 'patchmesh approve %s --group G --action optional'", v.Update)
}

// takeBack is the wish after a yes was taken back, while nothing has come of it.
func (n *Node) takeBack(v policy.Verdict, old policy.Wish) (policy.Wish, error) {
	if v.Compliance.There() { // a yes may be spent by now, or kept: either way there is nothing left that it could stop
		return old, api.Errorf(api.ClassRefused, "%s is installed already: --undo takes back a yes, and no install", v.Update).
			WithHint("an admin takes it off: 'patchmesh approve %s --group G --action remove'", v.Update)
	}
	if !old.Accepted {
		return old, api.Errorf(api.ClassNotFound, "%s was not accepted on this machine", v.Update)
	}
	for _, k := range n.view.Load().Tasks {
		if k.Verdict.Update == v.Update && (k.State == policy.StateInstalling || k.State == policy.StateRestartPending) {
			return old, api.Errorf(api.ClassRefused, "%s is %s already", v.Update, k.State).WithHint("once it is there an admin can have it removed")
		}
	}
	if old.Times == 0 {
		return policy.Wish{}, nil
	}
	old.Accepted = false // how often it was postponed still counts
	return old, nil
}

// follows says what a yes leads to now.
func (n *Node) follows(m *policy.Manifest, v policy.Verdict, facts policy.Machine, w policy.Wish) string {
	facts.Wishes = maps.Clone(facts.Wishes)
	if facts.Wishes == nil {
		facts.Wishes = map[policy.UpdateID]policy.Wish{}
	}
	facts.Wishes[v.Update] = w
	now := n.cfg.Now()
	for _, next := range policy.MakePlan(m, n.describer(), facts, n.believer.current().Stale(now), now).Verdicts {
		switch {
		case next.Update != v.Update:
		case next.Verb == policy.VerbInstall:
			return "it is installed as soon as its bytes are here"
		default:
			return "it waits on: " + api.Clean(first(next.Detail, string(next.Reason)))
		}
	}
	return ""
}

// speaker is who gives an order on the local socket: what the kernel says counts.
func speaker(ctx context.Context) string {
	who, ok := api.CallerOf(ctx)
	if !ok {
		return "somebody"
	}
	uid := strconv.Itoa(who.UID)
	if u, err := user.LookupId(uid); err == nil {
		return fmt.Sprintf("%s (uid %s)", api.Clean(u.Username), uid)
	}
	return "uid " + uid
}

// noteWish puts into the machine's own log who said what.
func (n *Node) noteWish(ctx context.Context, t *api.WishTaken) {
	text := "accepted by "
	switch {
	case !t.Accepted && t.PostponedUntil.IsZero():
		text = "no longer accepted, taken back by "
	case !t.Accepted:
		text = "postponed until " + t.PostponedUntil.UTC().Format("2006-01-02T15:04:05Z") + " by "
	}
	text += speaker(ctx)
	n.record(state.EventRow{Kind: api.EventWish, Update: t.Update, Detail: text})
	n.log.Info("a user has spoken", "update", t.Update, "what", text)
}

// wishSpent forgets the yes to what was offered once it is installed: it was about this one install. Who takes the
// update off again by himself does not get it back unasked.
func (n *Node) wishSpent(id content.ID) {
	m := n.believer.current().Manifest()
	if m == nil {
		return
	}
	i := slices.IndexFunc(m.Approvals, func(a policy.Approval) bool { return a.Descriptor == id && a.Action == policy.ActionOptional })
	if i < 0 {
		return
	}
	u := m.Approvals[i].Update
	n.people.mu.Lock()
	_, said := n.people.wishes[u]
	n.people.mu.Unlock()
	if !said {
		return
	}
	plan := policy.MakePlan(m, n.describer(), n.machineFacts(), false, n.cfg.Now())
	if err := n.keepWish(plan, u, policy.Wish{}); err != nil {
		n.log.Warn("a wish that was fulfilled is kept", "update", u, "err", err)
		return
	}
	n.events.send(swarm.InventoryChanged{Machine: n.machineFacts()})
}

// offersOf are the updates that wait for the user's word.
func offersOf(p policy.Plan) []policy.Notice {
	out := []policy.Notice{}
	for _, v := range p.Verdicts {
		if v.Offered() {
			out = append(out, policy.Notice{Kind: policy.NoticeAsks, Update: v.Update, Text: api.Clean(string(v.Update) + ": " + v.Detail)})
		}
	}
	return out
}
