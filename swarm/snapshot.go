package swarm

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm/orch"
	"patchmesh/swarm/rate"
)

// Snapshot is what the core must not forget over a restart. It marshals to JSON. The zero value is a
// machine that begins.
type Snapshot struct {
	Tasks     []SavedTask    `json:"tasks,omitempty"`
	Payloads  []SavedPayload `json:"payloads,omitempty"`
	Shuns     []Shun         `json:"shuns,omitempty"`
	ReportSeq uint64         `json:"report_seq,omitempty"`
	Peers     []SavedPeer    `json:"peers,omitempty"`
	WAN       rate.Ledger    `json:"wan,omitempty"` // what the machines of the site took from it
	Orch      []orch.Saved   `json:"orch,omitempty"`
}

// SavedTask is what is kept of a task.
type SavedTask struct {
	Update   policy.UpdateID `json:"update"`
	Revision int             `json:"revision"`
	State    policy.State    `json:"state"`
	Reason   policy.Reason   `json:"reason,omitempty"`
	Detail   string          `json:"detail,omitempty"`
	Since    time.Time       `json:"since"`
	Attempts int             `json:"attempts,omitempty"`
	Failures int             `json:"failures,omitempty"`
	RetryAt  time.Time       `json:"retry_at,omitzero"`
	Undone   *undone         `json:"undone,omitempty"`
	Failed   *failure        `json:"failed,omitempty"`
	// WaitsSince is since when it waits for a maintenance window; zero: it does not, or nobody counts.
	WaitsSince time.Time `json:"waits_since,omitzero"`
	// MetAt is when this machine first heard that it is meant; zero: nobody counts.
	MetAt time.Time `json:"met_at,omitzero"`
}

// SavedPayload is where the bytes of a payload came from so far.
type SavedPayload struct {
	ID    content.ID `json:"id"`
	Since int64      `json:"since,omitempty"` // head version that first named it
	bytesBy
}

func (c *Core) save() {
	s := Snapshot{
		ReportSeq: c.reports.seq, WAN: slices.Clone(c.budget.ledger), Shuns: append([]Shun(nil), c.tasks.shuns...), Peers: c.savedPeers(), Orch: c.savedOrchestrations(),
	}
	s.Tasks, s.Payloads = make([]SavedTask, 0, len(c.tasks.tasks)), make([]SavedPayload, 0, len(c.payloads))
	for _, k := range c.tasks.tasks {
		s.Tasks = append(s.Tasks, SavedTask{
			Update: k.verdict.Update, Revision: k.verdict.Revision, State: k.state, Reason: k.reason,
			Detail: k.detail, Since: k.since, Attempts: k.attempts, Failures: k.failures, RetryAt: k.retryAt, Undone: k.undone, Failed: k.failed,
			WaitsSince: k.waitsSince, MetAt: k.metAt,
		})
	}
	for _, l := range c.payloads {
		if l.bytesBy != (bytesBy{}) || l.since > 0 {
			s.Payloads = append(s.Payloads, SavedPayload{ID: l.id, Since: l.since, bytesBy: l.bytesBy})
		}
	}
	// What the last run saved and this one has not met yet (its descriptor is still on the way) stays.
	for k := range c.unmet() {
		s.Tasks = append(s.Tasks, k)
	}
	for _, p := range c.tasks.counted {
		if c.byMap[p.ID] == nil {
			s.Payloads = append(s.Payloads, p)
		}
	}
	c.act(Save{Snapshot: s})
}

func (c *Core) restore(s Snapshot) {
	c.tasks.kept, c.tasks.counted = s.Tasks, s.Payloads
	slices.SortStableFunc(c.tasks.kept, func(a, b SavedTask) int { return cmp.Compare(a.Update, b.Update) })
	slices.SortStableFunc(c.tasks.counted, func(a, b SavedPayload) int { return a.ID.Compare(b.ID) })
	c.orchs.kept = s.Orch
	c.reports.seq = s.ReportSeq
	for _, p := range s.Peers {
		if i, found := c.findAbsent(p.Peer); !found {
			c.retain.absent = slices.Insert(c.retain.absent, i, p)
		}
	}
	c.restoreLedger(s.WAN)
	for _, x := range s.Shuns {
		if i, found := c.findShun(x.Peer); !found {
			c.tasks.shuns = append(c.tasks.shuns[:i], append([]Shun{x}, c.tasks.shuns[i:]...)...)
		}
	}
}

// restoreBytes gives a payload that has become known its counters back.
func (c *Core) restoreBytes(l *payload) {
	if i, found := c.findCounted(l.id); found {
		l.bytesBy, l.since = c.tasks.counted[i].bytesBy, c.tasks.counted[i].Since
	}
}

func (c *Core) findCounted(id content.ID) (int, bool) {
	return slices.BinarySearchFunc(c.tasks.counted, id, func(s SavedPayload, id content.ID) int { return s.ID.Compare(id) })
}

// unmet are the tasks of the last run whose updates are not among those of now.
func (c *Core) unmet() iter.Seq[SavedTask] {
	return func(yield func(SavedTask) bool) {
		i := 0 // of the tasks, which have the same order
		for _, s := range c.tasks.kept {
			for i < len(c.tasks.tasks) && c.tasks.tasks[i].verdict.Update < s.Update {
				i++
			}
			if (i == len(c.tasks.tasks) || c.tasks.tasks[i].verdict.Update != s.Update) && !yield(s) {
				return
			}
		}
	}
}
