package node

import (
	"context"
	"slices"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/apply"
	"patchmesh/node/inventory"
	"patchmesh/policy"
	"patchmesh/swarm"
)

var _ api.Attendant = (*Node)(nil)

// webPolicy is what is signed about the web hosts of vendors, now: it may have changed since the description of an
// update came.
func (n *Node) webPolicy() policy.Web {
	if n.believer == nil { // a driver without approvals, as tests have it
		return policy.Web{}
	}
	m := n.believer.current().Manifest()
	if m == nil { // lost: nothing is fetched before it is back
		return policy.Web{Never: true}
	}
	return m.Web(n.machineFacts())
}

// Notices implements api.Attendant.
func (n *Node) Notices(context.Context, api.NoticesQuery) (*api.Notices, error) {
	m := n.believer.current().Manifest()
	if m == nil {
		return nil, api.Errorf(api.ClassFailed, "this node has lost its approvals and waits for those of the mesh")
	}
	facts := n.machineFacts()
	a := &api.Notices{List: []policy.Notice{}, Offers: []policy.Notice{}}
	for _, e := range m.Effectives(facts) {
		if e.Name == policy.SetNotify {
			a.Level = e.Value
		}
	}
	if n.seed != nil {
		return a, nil
	}
	plan := policy.Plan{}
	for _, k := range n.view.Load().Tasks { // what the machine was seen to have is known there
		plan.Verdicts = append(plan.Verdicts, k.Verdict)
	}
	a.Offers = offersOf(plan)
	a.WakeAt = m.WakeAt(facts, plan)
	restart, _ := n.planRestart()
	a.List = append(a.List, m.Notices(facts, plan, restart, n.cfg.Now())...)
	for i := range a.List {
		a.List[i].Text = api.Clean(a.List[i].Text)
	}
	a.Told = n.told()
	for i := range a.Told {
		a.Told[i].Text = api.Clean(a.Told[i].Text)
	}
	if _, due, next := m.RemindRestart(facts, restart, a.Told, n.cfg.Now()); !due {
		a.TellAt = next
	}
	return a, nil
}

// AtShutdown implements api.Attendant: one install after the other, while there is time for what policy takes it to
// need. The apply role decides each once more, and sees for itself whether the machine is being shut down.
func (n *Node) AtShutdown(ctx context.Context, r api.ShutdownRequest) (*api.ShutdownDone, error) {
	t := n.believer.current()
	done := &api.ShutdownDone{Installed: []string{}, Failed: map[string]string{}}
	if r.Within <= 0 {
		return nil, api.Errorf(api.ClassUsage, "%s is no time to install in", r.Within)
	}
	if n.seed != nil || t.Manifest() == nil {
		return done, nil // a seed installs nothing, and without approvals nothing may be
	}
	ctx, cancel := context.WithTimeout(ctx, min(r.Within, policy.MaxShutdownRun))
	defer cancel()
	facts := n.shutdownFacts()
	tried := map[policy.UpdateID]bool{}
	for {
		end, _ := ctx.Deadline()
		if facts.ShuttingDown = time.Until(end); facts.ShuttingDown <= 0 || ctx.Err() != nil {
			return done, nil
		}
		now := n.cfg.Now()
		plan := policy.MakePlan(t.Manifest(), n.describer(), facts, t.Stale(now), now)
		i := slices.IndexFunc(plan.Verdicts, func(v policy.Verdict) bool {
			return v.Verb == policy.VerbInstall && !tried[v.Update] && n.readyHere(v)
		})
		if i < 0 {
			return done, nil
		}
		v := plan.Verdicts[i]
		tried[v.Update] = true
		if _, err := n.orders.Do(ctx, v.Descriptor, apply.InstallAtShutdown); err != nil {
			done.Failed[string(v.Update)] = api.Clean(err.Error())
			n.log.Warn("not installed at shutdown", "update", v.Update, "err", err)
			continue
		}
		done.Installed = append(done.Installed, string(v.Update))
		n.log.Info("installed at shutdown", "update", v.Update)
		facts.Detected[v.Update] = policy.Detection{Present: true, At: now}
		n.events.send(swarm.ScanAsked{}) // if the machine stays on after all, the core must know
	}
}

// shutdownFacts are those of the moment: what was found of the updates, and what the machine runs on.
func (n *Node) shutdownFacts() policy.Machine {
	facts := n.machineFacts()
	c := inventory.NewSampler(n.cfg.DataDir, nil).Sample(n.cfg.Now())
	facts.Power = policy.Power{OnBattery: c.OnBattery, Percent: c.BatteryPercent}
	facts.Detected = n.found()
	return facts
}

// found is what the machine was last seen to have.
func (n *Node) found() map[policy.UpdateID]policy.Detection {
	all := map[policy.UpdateID]policy.Detection{}
	for _, k := range n.view.Load().Tasks {
		d := policy.Detection{Present: k.Verdict.Compliance.There(), Version: k.Version, At: k.DetectedAt}
		switch {
		case k.DetectedAt.IsZero(): // nothing is installed on a guess
			d.Err = policy.ReasonUnknownFirstScan
		case k.Verdict.Compliance == policy.ComplianceError:
			d.Err = k.Verdict.Reason
		case k.Verdict.Compliance == policy.NotApplicable:
			d.Foreign = k.Verdict.Reason
		}
		all[k.Verdict.Update] = d
	}
	return all
}

// readyHere says whether the update is one that the core has been driving, with all of its bytes here and no
// failure behind it: a shutdown is no time to try again what did harm.
func (n *Node) readyHere(v policy.Verdict) bool {
	view := n.view.Load()
	i := slices.IndexFunc(view.Tasks, func(k swarm.TaskView) bool {
		return k.Verdict.Update == v.Update && k.Verdict.Descriptor == v.Descriptor
	})
	if i < 0 || view.Tasks[i].State < 0 || view.Tasks[i].State == policy.StateRolledBack || view.Tasks[i].State == policy.StateInstalling {
		return false
	}
	return slices.ContainsFunc(view.Payloads, func(p swarm.PayloadView) bool { return p.ID == view.Tasks[i].Payload && p.Ready })
}
