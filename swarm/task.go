package swarm

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// taskState is the life of all updates on this machine.
type taskState struct {
	plan    policy.Plan
	stale   bool // what the plan was made with
	tasks   []*task
	busy    *task      // one install or removal at a time
	early   earlyState // see early.go
	shuns   []Shun
	kept    []SavedTask    // from the last snapshot, until their update turns up; sorted by it
	counted []SavedPayload // likewise, byte counters; sorted by payload

	urgentAt time.Time // when something becomes urgent by itself; zero: never

	newsScanAt time.Time // when everything is looked at because of news, see newsscan.go; zero: nothing is due
}

// task is the life of one update on this machine.
type task struct {
	verdict    policy.Verdict
	state      policy.State
	reason     policy.Reason
	detail     string
	facts      map[string]int64
	since      time.Time
	attempts   int
	failures   int // those of the attempts that were not this machine's own trouble, such as a full disk
	retryAt    time.Time
	askedWith  int64 // version of the head when the last change began
	detecting  bool
	detectedAt time.Time
	blind      int    // detections that did not work, in a row
	version    string // found on the machine
	undone     *undone
	failed     *failure  // how the last attempt went, if another one is to come
	waitsSince time.Time // for a maintenance window, see missed.go; zero: it does not
	metAt      time.Time // see missed.go; zero: nobody counts
	lookDue    bool      // it is looked for as soon as may be, see scan.go
	before     SavedTask // how the last run of the program left it, until its state is entered again
}

// replan asks policy for verdicts and drives every task by its own.
func (c *Core) replan() {
	brought := c.takeUp()
	c.together.plans++
	if c.news.manifest != nil {
		c.orchestrate()
	}
	if c.self.Seed || c.news.manifest == nil {
		c.wantNothing()
	} else {
		c.plan()
	}
	c.driveBrought(brought)
}

func (c *Core) plan() {
	t := &c.tasks
	t.stale = c.stale()
	c.self.Machine.Waits, c.self.Machine.Met, c.self.Machine.SetBack = c.waits(), c.met(), c.setBack()
	c.self.Machine.Unready = c.unready()
	t.plan = policy.MakePlan(c.news.manifest, c.describe, c.self.Machine, t.stale, c.now)
	old := t.tasks
	t.tasks = make([]*task, 0, len(t.plan.Verdicts))
	for _, v := range t.plan.Verdicts {
		k := findTask(old, v.Update)
		if k == nil || k.verdict.Revision != v.Revision {
			k = c.newTask(v)
		}
		k.verdict = v
		t.tasks = append(t.tasks, k)
	}
	c.forgetListed(old)
	c.noteWaits()
	if !t.plan.NextAt.IsZero() {
		c.wakeBy(t.plan.NextAt)
	}
	c.markUrgent()
	c.driveTasks()
	c.driveCache()
	c.driveOrchestrations()
	c.driveEarly()
}

func (c *Core) describe(id content.ID) *policy.Descriptor { return c.news.descs[id] }

func findTask(tasks []*task, id policy.UpdateID) *task {
	i, found := slices.BinarySearchFunc(tasks, id, func(t *task, id policy.UpdateID) int {
		return strings.Compare(string(t.verdict.Update), string(id))
	})
	if !found {
		return nil
	}
	return tasks[i]
}

// newTask begins a task, continuing what the last run of the program saved of it. A state that was
// not final is not believed: the machine is looked at again first.
func (c *Core) newTask(v policy.Verdict) *task {
	k := &task{verdict: v, state: policy.StateOffered, reason: policy.ReasonUnknownFirstScan, since: c.now}
	i, found := slices.BinarySearchFunc(c.tasks.kept, v.Update, func(s SavedTask, u policy.UpdateID) int { return cmp.Compare(s.Update, u) })
	if !found || c.tasks.kept[i].Revision != v.Revision {
		return k
	}
	s := c.tasks.kept[i]
	k.attempts, k.failures, k.retryAt, k.since, k.undone = s.Attempts, s.Failures, s.RetryAt, s.Since, s.Undone
	k.failed = s.Failed
	k.waitsSince, k.metAt = s.WaitsSince, s.MetAt
	k.before = s
	if s.State == policy.StateRolledBack || s.State == policy.StateInstalled || s.State < 0 {
		k.state, k.reason, k.detail = s.State, s.Reason, s.Detail
	}
	return k
}

// wantNothing: a seed installs nothing itself; what it has it serves.
func (c *Core) wantNothing() {
	c.setWants(func(*payload) bool { return false })
}

func (c *Core) driveTasks() {
	of := make(map[content.ID][]*task, len(c.tasks.tasks))
	for _, k := range c.tasks.tasks {
		if d := c.describe(k.verdict.Descriptor); d != nil {
			of[d.Payload] = append(of[d.Payload], k)
		}
	}
	c.setWants(func(l *payload) bool { return c.neededHere(l, of[l.id]) })
	for _, k := range c.tasks.tasks {
		c.driveTask(k)
	}
}

// neededHere: some verdict of this machine needs the payload, and it is not on the machine yet. tasks are those with the payload.
func (c *Core) neededHere(l *payload, tasks []*task) bool {
	for _, k := range tasks {
		switch k.verdict.Verb {
		case policy.VerbInstall:
			if !k.detectedAt.IsZero() && (l.selfWant || !c.lookFirst(k)) {
				return true
			}
		case policy.VerbStage:
			return true
		}
	}
	return false
}

// refreshPlan plans anew if time has passed an instant at which an answer may change. It comes before every
// event and not only with the next Tick: a machine that was suspended wakes with some event of before, and
// nothing may be begun then on approvals that have expired or a window that has closed meanwhile.
func (c *Core) refreshPlan() {
	if c.news.manifest == nil {
		return
	}
	next := c.tasks.plan.NextAt
	if c.together.dueAt(c.now) || !c.self.Seed && (!next.IsZero() && !c.now.Before(next) || c.tasks.stale != c.stale()) {
		c.replan()
	}
}

// sweepTasks looks at what time alone changes: plans, retries, rescans.
func (c *Core) sweepTasks() {
	c.refreshPlan()
	c.refreshUrgency()
	for _, next := range []time.Time{c.tasks.plan.NextAt, c.together.due} {
		if !next.IsZero() {
			c.wakeBy(next)
		}
	}
	c.sweepNewsScan()
	for _, k := range c.tasks.tasks {
		c.driveTask(k)
	}
	c.driveEarly()
}

// driveTask moves one update forward as far as its verdict allows.
func (c *Core) driveTask(k *task) {
	if k == c.tasks.busy {
		return
	}
	d := c.describe(k.verdict.Descriptor)
	if d == nil && k.state == policy.StateInstalled && k.detectedAt.IsZero() {
		return // installed before a restart: its description is at home and comes in a moment
	}
	if d == nil {
		c.setState(k, policy.StateWaitingContent, policy.ReasonPeerNoneHolds, "the description of the update is not here yet", nil)
		return
	}
	if c.detectDue(k) {
		return
	}
	if c.awaitsRestart(k) {
		return
	}
	switch k.verdict.Verb {
	case policy.VerbNone:
		c.settleNone(k)
	case policy.VerbHold:
		if !c.keepUndone(k) && !c.keepFailed(k) { // that it did harm here says more than the hold that followed from it
			c.setState(k, policy.StateHeld, k.verdict.Reason, k.verdict.Detail, nil)
		}
	case policy.VerbWait:
		c.setState(k, awaited(k.verdict, policy.StateDeferred), k.verdict.Reason, k.verdict.Detail, nil)
	case policy.VerbRemove:
		c.startChange(k)
	case policy.VerbStage, policy.VerbInstall:
		if !c.keepUndone(k) {
			c.driveContent(k, c.byMap[d.Payload])
		}
	}
}

// detectDue looks at the machine before anything else is decided, and again from time to time.
// True while the answer is awaited for the first time.
func (c *Core) detectDue(k *task) bool {
	if k.verdict.Compliance == policy.NotApplicable {
		return false
	}
	every := c.scanEvery(k)
	if !k.detecting && (k.detectedAt.IsZero() || k.lookDue || c.now.Sub(k.detectedAt) >= every) && !c.putOff(k) {
		k.detecting, k.lookDue = true, false
		c.together.looks++
		id := c.begin(request{kind: reqDetect, task: k})
		c.act(Detect{Req: id, Descriptor: k.verdict.Descriptor})
	}
	if !k.detectedAt.IsZero() && !k.detecting {
		c.wakeBy(k.detectedAt.Add(every))
	}
	return k.detectedAt.IsZero()
}

// scanEvery is the time until the next look: soon where the last one did not work, since nothing is
// done before one does.
func (c *Core) scanEvery(k *task) time.Duration {
	if k.blind == 0 {
		every := c.cfg.ScanEvery
		if p := c.tasks.plan.ScanEvery; p > 0 { // signed for this machine
			every = p
		}
		return every - c.self.earlier(every/5)
	}
	return min(c.cfg.InstallRetryMin<<min(k.blind-1, 16), c.cfg.InstallRetryMax)
}

// settleNone: nothing is to be done; say why.
func (c *Core) settleNone(k *task) {
	switch {
	case k.verdict.Compliance.There() && c.stuckHere(k):
	case k.verdict.Compliance.There():
		c.setState(k, policy.StateInstalled, k.verdict.Reason, k.verdict.Detail, nil)
	case k.state == policy.StateRemoved:
	default:
		c.setState(k, awaited(k.verdict, policy.StateOffered), k.verdict.Reason, k.verdict.Detail, nil)
	}
}

// driveContent brings the payload here, then installs.
func (c *Core) driveContent(k *task, l *payload) {
	switch {
	case l == nil:
		c.setState(k, policy.StateWaitingContent, policy.ReasonPeerNoneHolds, "the payload map is not here yet", nil)
	case l.ready && k.verdict.Verb == policy.VerbStage:
		c.setState(k, awaited(k.verdict, policy.StateDownloaded), k.verdict.Reason, k.verdict.Detail, nil)
	case l.ready:
		c.startChange(k)
	case l.reason != "":
		c.setState(k, policy.StateWaitingContent, l.reason, l.detail, l.facts)
	case l.assembly:
		c.setState(k, policy.StateDownloading, "", "checking the whole payload", nil)
	case l.inFlight == 0 && c.gateStops(l) != "":
		c.setState(k, policy.StateWaitingContent, c.gateStops(l), c.gateText(c.gateStops(l)), nil)
	case l.inFlight == 0 && c.budgetStops(l):
		text, facts := c.budgetText()
		c.setState(k, policy.StateWaitingContent, policy.ReasonWanBudgetSpent, text, facts)
	case l.inFlight > 0 || l.haveBytes > 0 && !c.alone(): // a part of a stick is not under way, see whyNoContent
		c.setState(k, policy.StateDownloading, "", "", nil)
	default:
		reason, text := c.whyNoContent(l)
		c.setState(k, policy.StateWaitingContent, reason, text, nil)
	}
}

// awaited is the state of an update that waits for what its verdict names, or another if it names nothing.
func awaited(v policy.Verdict, other policy.State) policy.State {
	if v.Await != 0 {
		return v.Await
	}
	return other
}

// alone: nobody can be asked for anything.
func (c *Core) alone() bool {
	neighbours := 0
	c.toNeighbours(func(*peer) { neighbours++ })
	return neighbours == 0 && c.linkedSeed() == nil
}

// whyNoContent says why not a single chunk is under way.
func (c *Core) whyNoContent(l *payload) (policy.Reason, string) {
	switch {
	case c.alone():
		return policy.ReasonNetNoPeer, "no machine of the site and no seed is connected"
	case c.gatedHolders(l) != "":
		return policy.ReasonPeerAllRefused, "those who hold it do not serve now: " + c.gatedHolders(l)
	case c.claimedByOther(l) || l.lease.held:
		return policy.ReasonWanLeaseWait, "a machine of the site is fetching it over the WAN"
	case c.firstEgress(l.key) == "":
		return policy.ReasonPeerNoneHolds, "no neighbour holds it and no machine of the site may use the WAN"
	}
	return policy.ReasonWanLeaseWait, "nobody in the site holds it yet"
}

// startChange installs or removes, one update at a time. The intent is durable before it begins, so
// that after a crash the machine is looked at before anything is tried again.
func (c *Core) startChange(k *task) {
	if c.backOff(k) {
		return
	}
	if c.tasks.busy != nil {
		c.setState(k, policy.StateWaitingOtherInstall, "", "another update is being installed", nil)
		return
	}
	if k.detecting || c.lookFirst(k) {
		return
	}
	if c.awaitsSlot(k) {
		return
	}
	c.tasks.busy = k
	k.askedWith, k.waitsSince = c.news.version, time.Time{}
	c.setState(k, policy.StateInstalling, k.verdict.Reason, k.verdict.Detail, nil)
	c.save()
	if k.verdict.Verb == policy.VerbRemove {
		c.act(Remove{Req: c.begin(request{kind: reqRemove, task: k}), Descriptor: k.verdict.Descriptor})
		return
	}
	c.act(Install{Req: c.begin(request{kind: reqInstall, task: k}), Descriptor: k.verdict.Descriptor})
}

func (c *Core) detected(e Detected) {
	r := c.end(e.Req)
	if r == nil {
		return
	}
	if r.failure != nil {
		c.confirmedFailure(r, &e)
		return
	}
	r.task.blind = 0
	c.found(r.task, policy.Detection{Present: e.Present, Version: e.Version, At: c.now, Foreign: e.Foreign, Detail: e.Detail})
}

// found ends a look for a task.
func (c *Core) found(k *task, d policy.Detection) {
	c.together.looks--
	c.together.found = append(c.together.found, found{k, d})
	c.come()
}

func (c *Core) detectFailed(r *request, e Failed) {
	if r.failure != nil {
		c.confirmedFailure(r, nil)
		return
	}
	r.task.blind++
	c.found(r.task, policy.Detection{At: c.now, Err: e.Reason, Detail: e.Detail})
}

// learn books what was found on the machine; plans are made from it. What was found of a revision that is
// no longer approved says nothing about the present one.
func (c *Core) learn(k *task, d policy.Detection) {
	if findTask(c.tasks.tasks, k.verdict.Update) != k {
		return
	}
	if c.self.Machine.Detected == nil {
		c.self.Machine.Detected = map[policy.UpdateID]policy.Detection{}
	}
	c.self.Machine.Detected[k.verdict.Update] = d
	k.version = d.Version
}

func (c *Core) installed(e Installed) {
	r := c.end(e.Req)
	if r == nil {
		return
	}
	k := r.task
	brought := c.takeUp() // by looks of before the change
	c.tasks.busy = nil
	k.attempts, k.failures, k.retryAt, k.undone, k.failed = 0, 0, time.Time{}, nil, nil
	k.detectedAt = c.now
	if now := findTask(c.tasks.tasks, k.verdict.Update); now != nil && now != k {
		now.detectedAt = time.Time{} // the old revision changed the machine: look again for the new one
	}
	c.learn(k, policy.Detection{Present: r.kind == reqInstall, Version: e.Version, At: c.now})
	for _, o := range c.tasks.tasks { // what it lacked may be there now
		if o.reason == policy.ReasonDepMissing {
			o.retryAt = time.Time{}
		}
	}
	reason, detail := policy.ReasonRolledBackAdmin, "an approval asks to remove it"
	if k.verdict.Lift {
		reason, detail = "", k.verdict.Detail
	}
	switch {
	case c.awaitsRestart(k):
	case r.kind == reqInstall:
		c.setState(k, policy.StateInstalled, "", "", nil)
	default:
		c.setState(k, policy.StateRemoved, reason, detail, nil)
	}
	c.save()
	c.replan()
	c.driveBrought(brought)
}

func (c *Core) installFailed(r *request, e Failed) {
	k := r.task
	if c.confirm(r, e) {
		return
	}
	c.tasks.busy = nil
	k.attempts++
	if blames(e.Reason) {
		c.slotFailed(k)
		k.failures++ // what is missing was found before anything was tried: that does not speak against the update
	}
	k.retryAt = c.waitAfter(k, e.Reason)
	if c.undo(k, e) {
		c.save()
		c.replan() // nothing waits for it any more
		return
	}
	c.fail(k, e)
	if d := c.describe(k.verdict.Descriptor); d != nil && c.byMap[d.Payload] != nil {
		c.makeSpace(c.byMap[d.Payload], e)
	}
	c.save()
	c.wakeBy(k.retryAt)
	if d := c.describe(k.verdict.Descriptor); d != nil && e.Reason == policy.ReasonTrustBadChunk {
		c.payloadDamaged(c.byMap[d.Payload])
	}
	c.replan() // nothing waits for it until it is tried again
}

func (c *Core) inventoryChanged(e InventoryChanged) {
	found, power := c.self.Machine.Detected, c.self.Machine.Power
	c.self.Machine = e.Machine
	c.self.Machine.Detected, c.self.Machine.Power = found, power
	c.replan()
	c.reportSoon()
}

// payloadChanged drives the tasks that wait for a payload.
func (c *Core) payloadChanged(l *payload) {
	if c.readyChanged(l) {
		c.replan()
	}
	for _, k := range c.tasks.tasks {
		if d := c.describe(k.verdict.Descriptor); d != nil && d.Payload == l.id {
			c.driveTask(k)
		}
	}
	if l.ready {
		c.save()
	}
	c.driveEarly()
	c.reportProgress()
}

// setState records a state with its reason and says so once. A reason that a failure gave stays
// until the state changes.
func (c *Core) setState(k *task, s policy.State, r policy.Reason, detail string, facts map[string]int64) {
	if k.state == s && k.reason == r && k.detail == detail {
		k.facts = facts
		return
	}
	if k.state != s || k.reason != r {
		k.since = c.sinceOf(k, s)
		c.act(Note{Kind: NoteTask, Update: k.verdict.Update, State: s, Reason: r, Text: detail})
		c.reportSoon()
	}
	k.state, k.reason, k.detail, k.facts = s, r, detail, facts
}
