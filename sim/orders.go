package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"patchmesh/policy"
)

// planCommands puts the admin's orders into the plan.
func (w *World) planCommands() error {
	var errs []error
	for _, o := range w.sc.orders {
		edit, err := w.order(o)
		if err != nil {
			errs = append(errs, fmt.Errorf("scenario %s: at %v %s %s: %w", w.sc.Name, time.Duration(o.at.low), o.verb, o.what, err))
			continue
		}
		w.pending++
		w.at(int64(o.at.drawTime(w.rng)), func() { w.whenSeedIsOn(func() { edit(); w.pending-- }) })
	}
	return errors.Join(errs...)
}

// whenSeedIsOn waits for the seed: an admin whose seed is down tries again, in the same order.
func (w *World) whenSeedIsOn(do func()) {
	w.desk = append(w.desk, do)
	if len(w.desk) == 1 {
		w.clearDesk()
	}
}

func (w *World) clearDesk() {
	for w.hq.on() && len(w.desk) > 0 {
		do := w.desk[0]
		do()
		w.desk = w.desk[1:]
	}
	if len(w.desk) > 0 {
		w.after(time.Second, w.clearDesk)
	}
}

// order turns words into what is done.
func (w *World) order(o order) (func(), error) {
	o.args = args{o.args.m, map[string]bool{}} // many runs read one scenario at once
	switch o.verb {
	case "approve":
		return w.approveOrder(o)
	case "hold":
		return w.holdOrder(o)
	case "window":
		return w.windowOrder(o)
	case "orchestrate":
		return w.orchestrateOrder(o)
	case "release":
		return func() {
			w.publish(func(m *policy.Manifest) {
				m.Holds = slices.DeleteFunc(m.Holds, func(h policy.Hold) bool { return h.ID == o.what })
			}, nil)
		}, o.args.rest()
	case "revoke":
		m := w.byID[swarmID(o.what)]
		if m == nil || m.seed {
			return nil, bad("machine", o.what)
		}
		return func() { w.revoke(m) }, o.args.rest()
	case "renew":
		return func() { w.publish(nil, nil) }, o.args.rest()
	}
	return func() { w.turnKey() }, o.args.rest() // turn-key
}

func (w *World) approveOrder(o order) (func(), error) {
	u := w.byName[policy.UpdateID(o.what)]
	if u == nil {
		return nil, bad("update", o.what)
	}
	a := policy.Approval{Group: o.args.text("group", policy.GroupAll)}
	var err error
	if a.Action, err = policy.ParseAction(o.args.text("action", string(policy.ActionInstall))); err != nil {
		return nil, err
	}
	for key, at := range map[string]*time.Time{"not-before": &a.NotBefore, "deadline": &a.Deadline} {
		var v value
		if err := o.args.value(key, &v, parseTime); err != nil {
			return nil, err
		}
		if o.args.has(key) {
			*at = epoch0.Add(time.Duration(v.low)).Truncate(time.Second)
		}
	}
	return func() {
		a.At = w.stamp()
		w.publish(w.approve(u, a), nil)
	}, o.args.rest()
}

func (w *World) holdOrder(o order) (func(), error) {
	if o.what != string(policy.AllUpdates) && w.byName[policy.UpdateID(o.what)] == nil {
		return nil, bad("update", o.what)
	}
	h := policy.Hold{ID: o.args.text("name", "hold-"+o.what), Update: policy.UpdateID(o.what), Group: o.args.text("group", ""), Kind: "pause", Reason: "scenario"}
	var lasts value
	if err := o.args.value("lasts", &lasts, parseTime); err != nil {
		return nil, err
	}
	return func() {
		h.At = w.stamp()
		if o.args.has("lasts") {
			h.ExpiresAt = h.At.Add(time.Duration(lasts.low))
		}
		w.publish(func(m *policy.Manifest) {
			m.Holds = slices.DeleteFunc(m.Holds, func(x policy.Hold) bool { return x.ID == h.ID })
			m.Holds = append(m.Holds, h)
		}, nil)
	}, o.args.rest()
}

// trueTime is the time by a clock that is right.
func (w *World) trueTime() time.Time { return epoch0.Add(time.Duration(w.now)) }

func (w *World) stamp() time.Time { return w.trueTime().Truncate(time.Second) }

// publish makes the next set of documents and gives it to the seed.
func (w *World) publish(edit func(*policy.Manifest), roster *policy.Roster) {
	if err := w.org.publish(w.trueTime(), edit, roster); err != nil {
		panic(fmt.Sprintf("sim: %v", err)) // the scenario was read: what it orders can be signed
	}
	w.published()
}

func (w *World) turnKey() {
	if err := w.org.turnKey(w.trueTime()); err != nil {
		panic(fmt.Sprintf("sim: %v", err))
	}
	w.published()
}

// revoke locks a machine out.
func (w *World) revoke(m *machine) {
	r, err := w.org.newest.trust.Roster().Revoke(policy.Revocation{Peer: string(m.id), At: w.stamp(), Until: w.stamp().Add(60 * 24 * time.Hour)})
	if err != nil {
		panic(fmt.Sprintf("sim: %v", err))
	}
	m.revoked = true
	w.publish(nil, r)
}

// published tells the trace and the seed.
func (w *World) published() {
	d := w.org.newest
	t := d.trust
	if w.holdAt == 0 && len(t.Manifest().Holds) > 0 {
		w.holdAt = w.now
	}
	w.own.say(w.now, "publish").num("epoch", int64(t.Epoch())).num("head", d.version).num("root", t.RootVersion()).
		num("expires", int64(t.ExpiresAt().Sub(epoch0))).end()
	for _, a := range t.Manifest().Approvals {
		w.own.say(w.now, "approval").num("head", d.version).str("u", string(a.Update)).num("rev", int64(a.Revision)).str("group", a.Group).
			str("action", string(a.Action)).num("not_before", since(a.NotBefore)).num("deadline", since(a.Deadline)).end()
	}
	for _, h := range t.Manifest().Holds {
		w.own.say(w.now, "hold").num("head", d.version).str("id", h.ID).str("u", string(h.Update)).str("group", word(h.Group)).
			num("expires", since(h.ExpiresAt)).end()
	}
	for _, x := range t.Manifest().Windows {
		w.sayWindow(d.version, x)
	}
	for _, o := range t.Manifest().Orchestrations {
		w.sayOrchestration(d.version, o)
	}
	for _, v := range t.Roster().Revoked {
		w.own.say(w.now, "revoked").num("head", d.version).str("m", v.Peer).end()
	}
	w.hq.adopt(d)
	w.hq.head = d
	w.hq.step(w.hq.manifestEvent(0))
}

// since is an instant in ns since the start; 0 for none.
func since(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return int64(t.Sub(epoch0))
}
