package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/apply"
	"patchmesh/node/inventory"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// examination collects the findings of one look.
type examination struct {
	api.Diagnosis
	q api.DoctorQuery
}

func newExamination(machine string, q api.DoctorQuery, now time.Time) (*examination, error) {
	for _, s := range q.Scopes {
		if !slices.Contains(api.Scopes, s) {
			return nil, api.Errorf(api.ClassUsage, "there is nothing called %q to look at", api.Clean(s)).WithHint("scopes: %v", api.Scopes)
		}
	}
	return &examination{api.Diagnosis{Machine: machine, AsOf: now.UTC(), Findings: []api.Finding{}}, q}, nil
}

func (e *examination) wants(scope string) bool {
	return len(e.q.Scopes) == 0 || slices.Contains(e.q.Scopes, scope)
}

func (e *examination) fine(scope, check, format string, args ...any) {
	e.Findings = append(e.Findings, api.Finding{Scope: scope, Check: check, OK: true, Detail: api.Clean(fmt.Sprintf(format, args...))})
}

// wrong adds a finding with what its reason means to people, and mends it where that is asked for and fix is
// not nil. fix says what it changed.
func (e *examination) wrong(scope, check string, r policy.Reason, detail string, facts map[string]int64, fix func() (string, error)) {
	f := api.Finding{Scope: scope, Check: check, Reason: string(r), Detail: api.Clean(detail), Facts: facts}
	if info, known := r.Info(); known {
		f.Owner, f.NextStep, f.Heals = info.Owner, info.NextStep, info.CanFix
	}
	f.CanFix = fix != nil
	if e.q.Fix && fix != nil {
		did, err := fix()
		if err != nil {
			did = "mending it did not work: " + err.Error()
		}
		f.Did = api.Clean(did)
	}
	e.Findings = append(e.Findings, f)
}

// last is the newest finding; next says what to do about it where its reason alone does not say enough.
func (e *examination) last() *api.Finding { return &e.Findings[len(e.Findings)-1] }

func (e *examination) next(step, owner string) { e.last().NextStep, e.last().Owner = step, owner }

// did says what was mended where nothing was wrong.
func (e *examination) did(format string, args ...any) {
	e.last().Did = api.Clean(fmt.Sprintf(format, args...))
}

func (e *examination) end() *api.Diagnosis {
	e.Healthy = !slices.ContainsFunc(e.Findings, func(f api.Finding) bool { return !f.OK })
	return &e.Diagnosis
}

// Doctor implements api.Doctor for the running node.
func (n *Node) Doctor(ctx context.Context, q api.DoctorQuery) (*api.Diagnosis, error) {
	if n.host == nil {
		return nil, api.Errorf(api.ClassUnreachable, "the node is not running").WithHint("start it with 'patchmesh run'")
	}
	e, err := newExamination(n.member.Name, q, n.cfg.Now())
	if err != nil {
		return nil, err
	}
	e.Running = true
	v := n.view.Load()
	for _, s := range []struct {
		scope string
		look  func()
	}{
		{api.ScopeService, func() { n.lookAtService(ctx, e) }},
		{api.ScopeTime, func() { lookAtTime(e, n.believer, n.cfg.Now(), n.late()) }},
		{api.ScopeTime, func() { n.lookAtZones(e) }},
		{api.ScopeDisk, func() { lookAtDisk(e, n.places(), func() (string, error) { return n.makeRoom(ctx) }) }},
		{api.ScopeStore, func() { n.lookAtStore(ctx, e) }},
		{api.ScopeStore, func() { n.lookAtRoom(e) }},
		{api.ScopeStore, func() { n.lookAtCleanup(e) }},
		{api.ScopeP2P, func() { n.lookAtPeers(e, v) }},
		{api.ScopeWAN, func() { n.lookAtWAN(e, v) }},
		{api.ScopeWAN, func() { n.lookAtLimits(e, v) }},
		{api.ScopeUpdates, func() { n.lookAtUpdates(e, v) }},
		{api.ScopeUpdates, func() { n.lookAtDrafts(e) }},
	} {
		if e.wants(s.scope) {
			s.look()
		}
	}
	return e.end(), nil
}

// lookAtService asks the apply process, where it is one of its own.
func (n *Node) lookAtService(ctx context.Context, e *examination) {
	e.fine(api.ScopeService, "node", "runs since %s", n.started.UTC().Format(time.RFC3339))
	c, apart := n.orders.(*apply.Client)
	if !apart {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := c.Status(ctx)
	switch {
	case err != nil:
		e.wrong(api.ScopeService, "apply role", policy.ReasonInstallerDenied, "the process that installs does not answer: "+err.Error(), nil, nil)
	case s.Epoch < n.believer.current().Epoch():
		e.wrong(api.ScopeService, "apply role", policy.ReasonAgentOutdated, fmt.Sprintf("it is at epoch %d, the node at %d", s.Epoch, n.believer.current().Epoch()), nil,
			func() (string, error) { return "the newest approvals were offered to it", c.OfferMetadata(ctx) })
	default:
		e.fine(api.ScopeService, "apply role", "answers, at epoch %d", s.Epoch)
	}
}

// lookAtTime judges the clock and the age of what is trusted.
func lookAtTime(e *examination, b *believer, now time.Time, late time.Duration) {
	if t := b.trouble(now, late); t != nil {
		e.wrong(api.ScopeTime, "clock and approvals", t.reason, t.detail, nil, nil)
		return
	}
	e.fine(api.ScopeTime, "clock and approvals", "no proof that the clock is behind; the approvals last until %s", b.current().ExpiresAt().UTC().Format(time.RFC3339))
}

// makeRoom has the core evict what nobody needs.
func (n *Node) makeRoom(ctx context.Context) (string, error) {
	before, _, err := inventory.Free(n.cfg.DataDir)
	if err != nil {
		return "", err
	}
	if _, err := n.storeView(ctx); err != nil {
		return "", err
	}
	after, _, err := inventory.Free(n.cfg.DataDir)
	return fmt.Sprintf("the store was asked to give up what nobody needs: %s came free", api.Size(max(after-before, 0))), err
}

// lookAtZones tells of zones that are signed for this machine and that it does not know.
func (n *Node) lookAtZones(e *examination) {
	for _, z := range n.believer.current().Manifest().LostZones(n.machineFacts()) {
		e.wrong(api.ScopeTime, z.What, policy.ReasonAgentOutdated, fmt.Sprintf("it is in zone %s, which neither this program nor the zone database of this system knows: a window there stays closed, the hours of a limit go by this machine's own clock, the days of a budget by UTC", z.Zone), nil, nil)
	}
}

// lookAtStore tells what the background check found; with --fix everything is hashed again, and what is damaged
// is put aside and fetched anew.
func (n *Node) lookAtStore(ctx context.Context, e *examination) {
	n.lookAtMaps(ctx, e)
	s := n.scrubInfo()
	if open := s.DamagedChunks - s.HealedChunks; open > 0 {
		e.wrong(api.ScopeStore, "payloads", policy.ReasonTrustBadChunk, fmt.Sprintf("%d chunks were damaged on disk and are not whole again", open),
			map[string]int64{"damaged_chunks": open}, func() (string, error) { return n.mendStore(ctx) })
		return
	}
	if !e.q.Fix {
		e.fine(api.ScopeStore, "payloads", "%s checked since the start, nothing damaged that did not heal", api.Size(s.CheckedBytes))
		return
	}
	v, err := n.StoreVerify(ctx)
	switch {
	case err != nil:
		e.wrong(api.ScopeStore, "payloads", policy.ReasonDiskError, err.Error(), nil, nil)
	case len(v.Damaged) > 0:
		e.wrong(api.ScopeStore, "payloads", policy.ReasonTrustBadChunk, fmt.Sprintf("%d payloads were damaged on disk", len(v.Damaged)), nil,
			func() (string, error) { return "the damaged chunks were put aside and are fetched anew", nil })
	default:
		e.fine(api.ScopeStore, "payloads", "all %d hashed again: whole", v.Payloads)
	}
}

func (n *Node) mendStore(ctx context.Context) (string, error) {
	v, err := n.StoreVerify(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("all payloads were hashed again; the damaged chunks of %d were put aside and are fetched anew", len(v.Damaged)), nil
}

// lookAtPeers looks at neighbours. A site of one machine has none, and nothing is wrong with that while it has
// a way to the seed.
func (n *Node) lookAtPeers(e *examination, v *swarm.View) {
	rejoin := func() (string, error) {
		n.recallPeers()
		n.connector.poke()
		return "every machine that was ever met is being called again", nil
	}
	up := len(n.host.Peers())
	if up == 0 {
		e.wrong(api.ScopeP2P, "neighbours", policy.ReasonNetNoPeer, "no machine is connected", nil, rejoin)
	} else {
		e.fine(api.ScopeP2P, "neighbours", "%d machines are connected", up)
	}
	for _, p := range v.Peers {
		if p.Shunned {
			e.wrong(api.ScopeP2P, "peer "+string(p.ID), policy.ReasonPeerBanned, first(string(p.Shun.Reason), "it sent what did not match"), nil, nil)
		}
	}
	for _, r := range n.refused() {
		if n.cfg.Now().Sub(r.At) < time.Hour {
			e.wrong(api.ScopeP2P, "refusals", policy.Reason(r.Reason), fmt.Sprintf("%d time(s) from %s: %s", r.Count, first(r.Peer, "somebody"), r.Detail), nil, nil)
		}
	}
	if l := n.locked.Load(); l != nil {
		e.wrong(api.ScopeP2P, "membership", policy.ReasonHostRevoked, l.detail, nil, nil)
	}
}

// lookAtWAN looks for the way to the seed, and at what was not reported yet.
func (n *Node) lookAtWAN(e *examination, v *swarm.View) {
	if n.seed != nil {
		e.fine(api.ScopeWAN, "seed", "this machine is the seed")
		return
	}
	switch {
	case n.hasSeedSession():
		e.fine(api.ScopeWAN, "seed", "connected to a seed")
	case v.Uplink != "" && string(v.Uplink) != n.id:
		e.fine(api.ScopeWAN, "seed", "through a machine of the site: %s", v.Uplink)
	default:
		e.wrong(api.ScopeWAN, "seed", policy.ReasonNetSiteUnknown, "no seed and no machine of the site with a way to one is connected", nil, func() (string, error) {
			n.recallPeers()
			n.connector.poke()
			return "the seeds of the roster are being called again", nil
		})
	}
	if waiting, err := n.db.Waiting(); err != nil {
		e.wrong(api.ScopeWAN, "reports", policy.ReasonDiskError, err.Error(), nil, nil)
	} else if len(waiting) > 0 && !n.hasSeedSession() && v.Uplink == "" {
		e.wrong(api.ScopeWAN, "reports", policy.ReasonNetNoReportPath, fmt.Sprintf("%d report(s) wait for a way to the seed", len(waiting)), map[string]int64{"waiting": int64(len(waiting))}, nil)
	} else {
		e.fine(api.ScopeWAN, "reports", "%d on their way", len(waiting))
	}
}

// lookAtUpdates tells what stands in the way of each update. With --fix the machine is looked at again at once.
func (n *Node) lookAtUpdates(e *examination, v *swarm.View) {
	if n.seed != nil {
		return
	}
	rescan := func() (string, error) {
		n.events.send(swarm.ScanAsked{})
		return "it is looked for again now", nil
	}
	n.lookAtLocal(e)
	for _, k := range v.Tasks {
		fix := rescan
		if !lookingHelps(k) {
			fix = nil
		}
		u := n.updateRow(*v, k)
		n.budgets().tell(&u, n.cfg.Now())
		e.judge(u, fix)
	}
}

// lookingHelps: where an update was rolled back, is held or waits for a word of admins, looking again changes nothing.
func lookingHelps(k swarm.TaskView) bool {
	info, _ := k.Reason.Info()
	return k.State != policy.StateRolledBack && k.State != policy.StateFailedRollback && info.Owner != "admin" && k.Verdict.Hold == ""
}

// lookAtLocal tells of a local policy that cannot be read: it holds everything back.
func (n *Node) lookAtLocal(e *examination) {
	n.people.mu.Lock()
	defer n.people.mu.Unlock()
	switch {
	case n.people.trouble != nil:
		e.wrong(api.ScopeUpdates, "local policy", policy.ReasonLocalHold, "every update is held back until it is mended or removed: "+n.people.trouble.Error(), nil, nil)
	case n.people.there:
		e.fine(api.ScopeUpdates, "local policy", "%s: %d settings, %d holds", localPolicyFile, len(n.people.local.Settings), len(n.people.local.Hold))
	}
}

// judge tells whether something stands in the way of an update that somebody should do something about.
func (e *examination) judge(u api.Update, fix func() (string, error)) {
	if st, known := policy.ParseState(u.State); known && (st >= 0 && !blocks(policy.Reason(u.Reason)) || st == policy.StateInstalled || st == policy.StateRemoved) {
		e.fine(api.ScopeUpdates, u.Update, "%s %s", u.State, u.Reason)
		return
	}
	e.wrong(api.ScopeUpdates, u.Update, policy.Reason(u.Reason), u.State+": "+u.Detail, u.Facts, fix)
}

// blocks: somebody should do something about it. That approvals, windows or other updates want it so is no trouble.
func blocks(r policy.Reason) bool {
	if r == "" {
		return false
	}
	info, known := r.Info()
	return !known || info.Owner != "nobody" && !slices.Contains(meant, r)
}

// meant are reasons by which people or other updates want a machine to wait.
var meant = []policy.Reason{
	policy.ReasonPolicyHold, policy.ReasonPolicyDeferred, policy.ReasonPolicyDeclined, policy.ReasonNotApproved, policy.ReasonPolicyClass, policy.ReasonLocalHold, policy.ReasonUserPostponed, policy.ReasonRingNotReached,
	policy.ReasonDepOtherFirst, policy.ReasonExclusive, policy.ReasonCompatArch, policy.ReasonCompatOS, policy.ReasonCompatEdition,
	policy.ReasonUnknownFirstScan, policy.ReasonWanLeaseWait, policy.ReasonHostBusy, policy.ReasonHostBattery,
}

var _ api.Doctor = (*Node)(nil)
