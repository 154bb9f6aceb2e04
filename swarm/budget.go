package swarm

import (
	"fmt"
	"slices"
	"time"

	"patchmesh/policy"
	"patchmesh/swarm/rate"
)

type (
	// BudgetChanged says what the machines of this site together may take from the WAN, in chunks: what
	// documents and reports take is a trickle and is not counted. MayPass: what the approvers let pass a budget
	// (policy.Approval.OverBudget) passes this one.
	BudgetChanged struct {
		Budget  rate.Budget
		MayPass bool
	}
	// SpentHeard is what a neighbour says that machines of the site have taken.
	SpentHeard struct {
		From    PeerID
		Entries []rate.Entry
	}
	// TellSpent tells a neighbour what machines of the site have taken.
	TellSpent struct {
		To      PeerID
		Entries []rate.Entry // at most MaxSpentEntries; owned by the core: encode before returning
	}
)

func (BudgetChanged) isEvent() {}
func (SpentHeard) isEvent()    {}
func (TellSpent) isAction()    {}

// MaxSpentEntries bounds one TellSpent.
const MaxSpentEntries = 64

// relaySpent is the pause between two passings-on of what others have spent. In a site where not everybody
// has a session with everybody it reaches all after a few pauses; what a machine spends itself it tells at
// once.
const relaySpent = 5 * time.Second

// budgetState is the WAN budget of the site and what is known to be used of it.
//
// Each machine counts what it takes itself and believes what neighbours say of the rest; what is heard is
// kept, so that a machine that was switched off still counts. A member that lies can make the site stop
// early, until the period ends and for updates that may not pass the budget; it cannot make it take more.
type budgetState struct {
	limit   rate.Budget
	mayPass bool
	ledger  rate.Ledger
	news    []string // machines whose entries changed since they were passed on
	relayAt time.Time
}

func (c *Core) restoreLedger(l rate.Ledger) {
	for _, e := range l { // what is over counts nothing, and goes when the next bytes are booked
		c.budget.ledger.Merge(rate.Period{Day: e.Day, Month: e.Month}, e)
	}
}

func (c *Core) budgetChanged(e BudgetChanged) {
	c.budget.limit, c.budget.mayPass = e.Budget, e.MayPass
	c.toNeighbours(c.tellLedger)
	c.driveAll()
	c.driveLink()
	c.driveTasks()
}

// wanAllows says whether one more chunk of a payload may be taken from the WAN now.
func (c *Core) wanAllows(l *payload) bool {
	b := &c.budget
	if !b.limit.Set() || b.mayPass && l.overBudget {
		return true
	}
	p := b.limit.Period(c.now)
	day, month := b.ledger.Sum(p)
	more := l.chunkBytes
	for _, o := range c.payloads {
		more += o.lease.askBytes // what is under way will be spent
	}
	if b.limit.DayBytes > 0 && day+more > b.limit.DayBytes {
		c.wakeBy(p.DayEnd)
		return false
	}
	if b.limit.MonthBytes > 0 && month+more > b.limit.MonthBytes {
		c.wakeBy(p.MonthEnd)
		return false
	}
	return true
}

// wanStops says why this machine takes no more of a payload from the WAN; empty: nothing does.
func (c *Core) wanStops(l *payload) policy.Reason {
	if !c.wanAllows(l) {
		return policy.ReasonWanBudgetSpent
	}
	return c.wanGate()
}

// budgetStops: the site needs the WAN for this payload, and the budget is what forbids it.
func (c *Core) budgetStops(l *payload) bool {
	return c.localSeed() == nil && !c.wanAllows(l) && c.nextForWAN(l, 0) >= 0
}

// MostTakenBy comes before the machine that took most of a budget, with which the text about it ends. The core knows
// machines by their ids alone; who shows the text to people may know a name.
const MostTakenBy = "; most was taken by "

// budgetText tells people what is used up, by whom most of it, and when it goes on.
func (c *Core) budgetText() (string, map[string]int64) {
	v := c.budgetView()
	used, limit, until, what := v.nearest()
	text := fmt.Sprintf("the site may take %d bytes over the WAN %s, the rest is less than a chunk; it goes on at %s", limit, what, until.Format(time.RFC3339))
	if v.Most != "" {
		text += MostTakenBy + string(v.Most)
	}
	return text, map[string]int64{"spent_bytes": used, "budget_bytes": limit}
}

// nearest is the bound of which less is left.
func (v *BudgetView) nearest() (used, limit int64, until time.Time, what string) {
	if v.DayLimit > 0 && (v.MonthLimit == 0 || v.MonthLimit-v.MonthBytes > v.DayLimit-v.DayBytes) {
		return v.DayBytes, v.DayLimit, v.DayEnd, "today"
	}
	return v.MonthBytes, v.MonthLimit, v.MonthEnd, "this month"
}

// bookWAN counts bytes that came over the WAN, useful or not, and tells neighbours.
func (c *Core) bookWAN(bytes int64) {
	p := c.budget.limit.Period(c.now)
	c.budget.ledger.Prune(p)
	c.budget.ledger.Add(p, string(c.self.Peer), bytes)
	if c.budget.limit.Set() {
		c.toNeighbours(func(n *peer) { c.tellSpent(n, []string{string(c.self.Peer)}) })
	}
}

// tellLedger tells a neighbour all that is known.
func (c *Core) tellLedger(p *peer) {
	if !c.budget.limit.Set() {
		return
	}
	all := make([]string, 0, len(c.budget.ledger))
	for _, e := range c.budget.ledger {
		all = append(all, e.Machine)
	}
	c.tellSpent(p, all)
}

func (c *Core) tellSpent(p *peer, machines []string) {
	var es []rate.Entry
	for _, e := range c.budget.ledger {
		if e.MonthBytes > 0 && slices.Contains(machines, e.Machine) {
			es = append(es, e)
		}
	}
	for part := range slices.Chunk(es, MaxSpentEntries) {
		c.act(TellSpent{To: p.id, Entries: part})
	}
}

func (c *Core) spentHeard(e SpentHeard) {
	p := c.byID[e.From]
	if p == nil || !c.neighbour(p) {
		return // another site has its own budget
	}
	b := &c.budget
	period := b.limit.Period(c.now)
	changed := false
	for _, x := range e.Entries {
		if b.ledger.Merge(period, x) {
			changed = true
			if x.Machine != string(c.self.Peer) && !slices.Contains(b.news, x.Machine) {
				b.news = append(b.news, x.Machine)
			}
		}
	}
	if !changed || !b.limit.Set() {
		b.news = nil
		return
	}
	if b.relayAt.IsZero() {
		b.relayAt = c.now.Add(relaySpent)
		c.wakeBy(b.relayAt)
	}
	for _, l := range c.payloads {
		if l.lease.held {
			c.drive(l)
		}
	}
}

// sweepBudget passes on what was heard.
func (c *Core) sweepBudget() {
	b := &c.budget
	if b.relayAt.IsZero() {
		return
	}
	if c.now.Before(b.relayAt) {
		c.wakeBy(b.relayAt)
		return
	}
	news := b.news
	b.news, b.relayAt = nil, time.Time{}
	c.toNeighbours(func(p *peer) { c.tellSpent(p, news) })
}

// BudgetView is the WAN budget of the site as this machine sees it. Zero limits are none.
type BudgetView struct {
	DayBytes, DayLimit     int64
	MonthBytes, MonthLimit int64
	DayEnd, MonthEnd       time.Time
	Most                   PeerID // the machine that took most this month; empty: nobody took anything
}

func (c *Core) budgetView() BudgetView {
	b := &c.budget
	p := b.limit.Period(c.now)
	v := BudgetView{DayLimit: b.limit.DayBytes, MonthLimit: b.limit.MonthBytes, DayEnd: p.DayEnd, MonthEnd: p.MonthEnd}
	v.DayBytes, v.MonthBytes = b.ledger.Sum(p)
	var most int64
	for _, e := range b.ledger {
		if e.Month == p.Month && e.MonthBytes > most {
			most, v.Most = e.MonthBytes, PeerID(e.Machine)
		}
	}
	return v
}
