package swarm

import (
	"fmt"
	"slices"
	"time"

	"patchmesh/policy"
	"patchmesh/swarm/orch"
)

// Orchestrations of this machine's site: the one that binds it says when it may install or restart; cards of all of
// them are passed on, so that members hear each other through whoever is between them.
//
// This gate is one of when, not of what, and it stands in the role that speaks to the network, since the votes come
// from there: whoever has taken that role over can let this machine install out of turn what is approved for it,
// as any machine can by its owner's hand. Approvals, windows and hashes are judged again by the apply role.

type (
	// CardHeard is a card of an orchestration; its signature holds. Signed is what was signed, with the signature.
	CardHeard struct {
		From   PeerID
		Card   orch.Card
		Signed []byte
	}
	// TellCard tells neighbours a card: this machine's own, for the driver to sign, if Signed is nil.
	TellCard struct {
		To     []PeerID
		Card   orch.Card
		Signed []byte
	}
)

func (CardHeard) isEvent() {}
func (TellCard) isAction() {}

// orchSay is how soon people are told of what others of an orchestration say: many of them may speak at once.
const orchSay = 200 * time.Millisecond

// orchLook is how often a restart that waits for a slot looks for what to say of it.
const orchLook = time.Minute

// orchState is the orchestrations that this machine knows of.
type orchState struct {
	all   []*orchestration // sorted by name
	bound *orchestration   // the one that binds this machine; nil: none does
	kept  []orch.Saved     // of those that the approvals have not named since the start

	mono time.Duration // a clock that only counts on
	fed  bool          // by the driver
}

// orchestration is one of them.
type orchestration struct {
	policy *policy.Orchestration
	name   string
	m      *orch.Machine
	cards  map[string]CardHeard     // the newest of each member, as it came
	paid   map[string]time.Duration // until when a member has used up what it may say
	own    *orch.Card               // the newest of this machine
	wake   time.Duration
}

// Elapse tells the core how far a clock has gone on that is never set and does not stop while the machine sleeps, as
// far as the system has one. A driver that does is to call it before every Step; without it the core counts
// what its other clock goes forward.
func (c *Core) Elapse(mono time.Duration) {
	c.orchs.fed = true
	c.orchs.mono = max(c.orchs.mono, mono)
}

func (c *Core) orchTick(d time.Duration) {
	if !c.orchs.fed {
		c.orchs.mono += d
	}
}

func (c *Core) orchTime() orch.Time { return orch.Time{Wall: c.now, Mono: c.orchs.mono} }

// orchestrate takes up the orchestrations of newer approvals.
func (c *Core) orchestrate() {
	s := &c.orchs
	m := c.news.manifest
	for _, o := range s.all {
		if p := m.Orchestration(o.name); p == nil || p.Site != string(c.self.Site) {
			o.m.Drop()
			o.policy, o.own = nil, nil
			clear(o.cards)
		}
	}
	for i := range m.Orchestrations {
		if p := &m.Orchestrations[i]; p.Site == string(c.self.Site) {
			c.orchestration(p.Name).take(p, m.Epoch)
		}
	}
	s.bound = nil
	if p := m.OrchestrationOf(c.self.Machine); p != nil && !c.self.Seed {
		s.bound = c.orchestration(p.Name)
		s.bound.policy = p
	}
}

// orchestration finds one, or begins it with what was saved.
func (c *Core) orchestration(name string) *orchestration {
	s := &c.orchs
	i, found := slices.BinarySearchFunc(s.all, name, func(o *orchestration, n string) int { return compareText(o.name, n) })
	if found {
		return s.all[i]
	}
	last := orch.Saved{Name: name}
	s.kept = slices.DeleteFunc(s.kept, func(k orch.Saved) bool {
		if k.Name == name {
			last = k
		}
		return k.Name == name
	})
	o := &orchestration{name: name, m: orch.New(string(c.self.Peer), last, c.orchTime(), c.rng), cards: map[string]CardHeard{}, paid: map[string]time.Duration{}}
	s.all = slices.Insert(s.all, i, o)
	return o
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (o *orchestration) take(p *policy.Orchestration, epoch uint64) {
	o.policy = p
	o.m.Configure(orch.Config{
		Name: p.Name, Generation: p.Generation, Since: p.Since, Epoch: epoch, Reset: p.Reset, Rolls: p.Rolls(), Slots: p.Slots(), Liars: p.Liars,
		Ordered: p.Ordered, Stop: !p.GoOn, Member: p.MemberLimit(), Group: time.Duration(p.GroupMinutes) * time.Minute,
	})
	rolls := p.Rolls()
	for id := range o.cards {
		if !slices.ContainsFunc(rolls, func(r []string) bool { return slices.Contains(r, id) }) {
			delete(o.cards, id)
		}
	}
}

// cardHeard takes up a card, and passes it on if it is news.
func (c *Core) cardHeard(e CardHeard) {
	i := slices.IndexFunc(c.orchs.all, func(o *orchestration) bool { return o.name == e.Card.Name })
	if i < 0 {
		return
	}
	o := c.orchs.all[i]
	own := e.Card.Member == string(c.self.Peer)
	if e.Card.Seq > o.cards[e.Card.Member].Card.Seq && !o.affords(e.Card.Member, c.orchs.mono) {
		return
	}
	news := o.m.Hear(e.Card, c.orchTime())
	if news {
		o.cards[e.Card.Member] = e
		if to := c.cardReaders(e.From); len(to) > 0 {
			c.act(TellCard{To: to, Card: e.Card, Signed: e.Signed})
		}
	}
	if news || own { // an own card may tell of promises that this machine has lost
		c.driveOrchestration(o)
		if o == c.orchs.bound {
			c.wakeBy(c.now.Add(orchSay))
		}
	}
}

// A member may say so much at once, and from then on so often: what it signs goes through every machine of the site.
const (
	cardEvery = 200 * time.Millisecond
	cardBurst = 100 * cardEvery
)

// affords says whether a member's card is taken; one that says more is not heard for a moment, and nobody else is
// the worse for it.
func (o *orchestration) affords(member string, now time.Duration) bool {
	if _, known := o.paid[member]; !known && len(o.paid) >= (1+policy.MaxOrchEarlier)*policy.MaxOrchMembers {
		return false
	}
	at := max(o.paid[member], now)
	if at-now > cardBurst {
		return false
	}
	o.paid[member] = at + cardEvery
	return true
}

// cardReaders are the neighbours, but for one.
func (c *Core) cardReaders(but PeerID) (to []PeerID) {
	c.toNeighbours(func(p *peer) {
		if p.id != but {
			to = append(to, p.id)
		}
	})
	return to
}

// tellCards tells a neighbour that has come all that is known.
func (c *Core) tellCards(p *peer) {
	for _, o := range c.orchs.all {
		if o.own != nil {
			c.act(TellCard{To: []PeerID{p.id}, Card: *o.own})
		}
		if o.policy == nil {
			continue
		}
		for _, roll := range o.policy.Rolls() {
			for _, id := range roll {
				if k, have := o.cards[id]; have {
					c.act(TellCard{To: []PeerID{p.id}, Card: k.Card, Signed: k.Signed})
				}
			}
		}
	}
}

// driveOrchestrations moves all of them on.
func (c *Core) driveOrchestrations() {
	for _, o := range c.orchs.all {
		c.driveOrchestration(o)
	}
	c.orchs.all = slices.DeleteFunc(c.orchs.all, func(o *orchestration) bool { return o.policy == nil && o.m.Over() })
}

// driveOrchestration moves one on. What it promises is saved before it is told.
func (c *Core) driveOrchestration(o *orchestration) {
	var w orch.Want
	if o == c.orchs.bound {
		w = c.orchWant()
	}
	had := o.m.May(0, c.orchTime())
	out := o.m.Drive(w, c.orchTime())
	if out.Save {
		c.save()
	}
	if !had && o.m.May(0, c.orchTime()) {
		c.wakeBy(c.now) // for what waits for it
	}
	if out.Tell != nil {
		o.own = out.Tell
		if to := c.cardReaders(""); len(to) > 0 {
			c.act(TellCard{To: to, Card: *out.Tell})
		}
	}
	if o.wake = out.Wake; o.wake > 0 {
		c.wakeBy(c.now.Add(max(o.wake-c.orchs.mono, time.Millisecond)))
	}
}

// orchWant is what this machine is up to.
func (c *Core) orchWant() orch.Want {
	w := orch.Want{Busy: c.tasks.busy != nil, Unknown: c.news.manifest == nil}
	ready := func(need time.Duration) {
		if !w.Ready || need < w.Need {
			w.Ready, w.Need = true, need
		}
	}
	for _, k := range c.tasks.tasks {
		w.Unknown = w.Unknown || c.describe(k.verdict.Descriptor) == nil
		switch k.verdict.Verb {
		case policy.VerbInstall, policy.VerbRemove:
		case policy.VerbStage:
			w.Pending = w.Pending || k.verdict.Await == policy.StateWaitingPrerequisite || k.verdict.Await == policy.StateWaitingOtherInstall
			continue
		default:
			continue
		}
		w.Unknown = w.Unknown || k.detectedAt.IsZero()
		w.Pending = w.Pending || k.undone == nil && !c.now.Before(k.retryAt) // one that failed keeps nobody waiting
		if need := c.slotNeed(k); (k.state == policy.StateWaitingOrchestration || c.startsNext(k)) && need <= c.orchs.bound.policy.MemberLimit() {
			ready(need)
		}
	}
	if c.self.Machine.Restart.Pending && c.news.manifest != nil && c.news.manifest.RestartsItself(c.self.Machine) {
		p := c.news.manifest.PlanRestart(c.self.Machine, c.stale(), c.now)
		w.Pending = true
		if need := c.news.manifest.RestartNeeds(c.self.Machine); p.Due && need <= c.orchs.bound.policy.MemberLimit() {
			ready(need)
		}
		soon := p.Until.IsZero() || p.Until.Before(c.now.Add(c.orchs.bound.policy.MemberLimit()))
		w.Keep = p.Due || soon && c.self.Machine.Restart.Failures == 0 && c.self.Machine.Restart.Impossible == ""
	}
	return w
}

// startsNext: nothing but the one that is busy keeps a task from being begun.
func (c *Core) startsNext(k *task) bool {
	return c.tasks.busy != nil && k != c.tasks.busy && k.state == policy.StateWaitingOtherInstall && !c.now.Before(k.retryAt)
}

// awaitsSlot: an update that could be begun now waits for a slot.
func (c *Core) awaitsSlot(k *task) bool {
	o := c.orchs.bound
	if o == nil || o.policy.Bypasses(c.self.Machine, k.verdict) {
		return false
	}
	need := c.slotNeed(k)
	if o.policy.Site == string(c.self.Site) && o.m.May(need, c.orchTime()) {
		return false
	}
	r, why := c.slotReason(o), c.slotWhy(o, need)
	if k.state != policy.StateWaitingOrchestration {
		c.setState(k, policy.StateWaitingOrchestration, r, why, nil)
		c.wakeBy(c.now) // it is in line now
		return true
	}
	c.setState(k, policy.StateWaitingOrchestration, r, why, nil)
	return true
}

// slotNeed is how much of a slot an update is taken to need; nothing while its description is not here.
func (c *Core) slotNeed(k *task) time.Duration {
	d := c.describe(k.verdict.Descriptor)
	if d == nil {
		return 0
	}
	return c.news.manifest.Needs(c.self.Machine, d)
}

// slotReason tells waiting for others from waiting for an admin: an orchestration that has stopped goes on by no time.
func (c *Core) slotReason(o *orchestration) policy.Reason {
	if o.policy.Site == string(c.self.Site) && o.m.Status(c.orchTime()).Locked {
		return policy.ReasonOrchStopped
	}
	return policy.ReasonOrchWaiting
}

func (c *Core) slotWhy(o *orchestration, need time.Duration) string {
	if o.policy.Site != string(c.self.Site) {
		return fmt.Sprintf("orchestration %s has this machine on its list of members, but is for site %s", o.name, o.policy.Site)
	}
	if need > o.policy.MemberLimit() {
		return fmt.Sprintf("orchestration %s: it needs %s, and a member may hold a slot for %s", o.name, need, o.policy.MemberLimit())
	}
	return o.m.Status(c.orchTime()).Why(o.policy.MemberName)
}

// slotFailed tells the orchestration that what was begun in a slot has failed.
func (c *Core) slotFailed(k *task) {
	if o := c.orchs.bound; o != nil && !o.policy.Bypasses(c.self.Machine, k.verdict) {
		o.m.Failed()
		c.wakeBy(c.now)
	}
}

// OrchView is the orchestration that binds this machine.
type OrchView struct {
	orch.Status
	Policy *policy.Orchestration
	// RestartFor is how long a restart that begins now may take; 0: none may begin.
	RestartFor time.Duration
}

func (c *Core) orchView() *OrchView {
	o := c.orchs.bound
	if o == nil {
		return nil
	}
	v := &OrchView{Status: o.m.Status(c.orchTime()), Policy: o.policy}
	if o.policy.Site == string(c.self.Site) {
		v.RestartFor = v.Left
	}
	return v
}

func (c *Core) savedOrchestrations() []orch.Saved {
	out := slices.Clone(c.orchs.kept)
	for _, o := range c.orchs.all {
		out = append(out, o.m.Saved())
	}
	return out
}
