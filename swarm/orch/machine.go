package orch

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Saved is what a member must not forget. It marshals to JSON.
type Saved struct {
	Name   string      `json:"name"`
	Seq    uint64      `json:"seq,omitempty"`
	Ballot uint64      `json:"ballot,omitempty"`
	Turns  uint64      `json:"turns,omitempty"`
	Phase  Phase       `json:"phase,omitempty"`
	Slot   int         `json:"slot,omitempty"`
	Votes  []SavedVote `json:"votes,omitempty"` // sorted by slot
	// AskedAt is when the ballot was begun, by the wall clock. Begun: something was being changed.
	AskedAt time.Time `json:"asked_at,omitzero"`
	Begun   bool      `json:"begun,omitempty"`
	// Limit is how long the slot may be held: what was said when it was asked for, whatever is said since. The
	// votes for it stand no longer.
	Limit time.Duration `json:"limit,omitempty"`
	// Failed and Locked count resets: they hold while they are one more than Config.Reset. Why says it.
	Failed int    `json:"failed,omitempty"`
	Locked int    `json:"locked,omitempty"`
	Why    string `json:"why,omitempty"`
	// Run is how long the members have been at it, Lease how long votes of the last configuration stand.
	Run   time.Duration `json:"run,omitempty"`
	Lease time.Duration `json:"lease,omitempty"`
}

// SavedVote is a vote that was given. Begun: the one it is for has said that it holds the slot.
type SavedVote struct {
	Vote
	Begun bool `json:"begun,omitempty"`

	castAt time.Duration
}

// Time is an instant by two clocks: the wall's, which may jump, and one that only counts on.
type Time struct {
	Wall time.Time
	Mono time.Duration
}

// Want is what a member is up to, apart from this orchestration.
type Want struct {
	Unknown bool          // it has just been started, and does not know yet
	Pending bool          // it has something to do, sooner or later
	Ready   bool          // only a slot is missing
	Busy    bool          // something is being changed now
	Need    time.Duration // the least that what is ready needs
	Keep    bool          // what was done is complete only after a restart that comes by itself
}

// Out is what follows from a step. A driver saves before it tells.
type Out struct {
	Save bool
	Tell *Card         // nil: nothing new
	Wake time.Duration // when time alone may change something, by Time.Mono; 0: never
}

// heard is the newest card of a member.
type heard struct {
	Card
	at       time.Duration // when the last one came
	ballotAt time.Duration // when the ballot was first seen
}

// Machine is one orchestration on one machine. It is not safe for concurrent use.
type Machine struct {
	cfg  Config
	gone bool // the approvals do not have it any more; its votes stand
	self string
	mark Mark
	rng  *rand.Rand
	s    Saved

	place map[string]int  // in the present roll
	in    map[string]bool // in any roll
	ids   map[Mark]string
	cards map[string]*heard
	false map[string]bool // members that said two things at once

	now     Time
	lastRun time.Duration
	asked   Time
	resumed bool // the slot was taken before the program was started
	nextAsk time.Duration
	fails   int // rounds without a quorum
	want    Want
	// aheadSince is since when a member that comes first has left a free slot alone, passed are those that did so
	// for too long under the present approvals.
	aheadSince map[string]time.Duration
	passed     map[string]bool
	had        map[string]uint64 // slots of members that this one voted for, to its knowledge
	bootSeq    uint64            // of the newest card before the start
	said       map[uint64]Card   // the newest cards since, by Seq
	told       Card
	toldAt     time.Duration
	dirty      bool // something was changed between two steps
}

// saidKept is how many own cards are remembered: longer than an echo takes through the site.
const saidKept = 64

// lapsed is what it counts for in had that a member did not give a slot back in time.
const lapsed = 1 << 32

// New begins or goes on with what was saved (the zero Saved but for its name on a new machine). Votes stand anew
// for a whole lease, and a slot that was asked for is asked for again: how long the program was away is not known.
func New(self string, last Saved, t Time, rng *rand.Rand) *Machine {
	m := &Machine{self: self, mark: MarkOf(self), rng: rng, s: last, now: t, lastRun: t.Mono, gone: true, cards: map[string]*heard{}, false: map[string]bool{},
		aheadSince: map[string]time.Duration{}, passed: map[string]bool{}, had: map[string]uint64{}, bootSeq: last.Seq, said: map[uint64]Card{}}
	m.s.Votes = slices.Clone(last.Votes)
	for i := range m.s.Votes {
		m.s.Votes[i].castAt = t.Mono
	}
	switch m.s.Phase {
	case Asking:
		m.s.Phase = Waiting
		m.s.Ballot++
	case Holding:
		m.resumed = true
		m.asked = t
	}
	return m
}

// Configure takes up an orchestration as the newest approvals have it.
func (m *Machine) Configure(c Config) {
	if c.Epoch != m.cfg.Epoch {
		clear(m.passed)
		clear(m.aheadSince)
	}
	m.cfg, m.gone = c, false
	m.s.Name = c.Name
	m.s.Lease = max(m.leaseOfVotes(), c.lease())
	m.place, m.ids, m.in = map[string]int{}, map[Mark]string{}, map[string]bool{}
	for i, id := range c.roll() {
		m.place[id] = i
	}
	for _, r := range c.Rolls {
		for _, id := range r {
			m.ids[MarkOf(id)], m.in[id] = id, true
		}
	}
	m.begin(c.first())
	for id, h := range m.cards {
		if !m.in[id] || h.Seq < c.first() {
			delete(m.cards, id)
		}
	}
}

// begin: what this member said in an orchestration that had the name before is over, but for its votes and for what
// it is in the middle of.
func (m *Machine) begin(first uint64) {
	if m.s.Seq >= first {
		return
	}
	m.dirty = true
	m.s.Seq = first
	if m.s.Phase < Asking {
		m.s.Ballot = max(m.s.Ballot, first)
	}
	m.s.Failed, m.s.Locked, m.s.Why, m.s.Run = 0, 0, "", 0
	clear(m.false)
	clear(m.had)
	clear(m.said)
}

// leaseOfVotes: a lease that has become shorter does not end votes that were given for longer.
func (m *Machine) leaseOfVotes() time.Duration {
	if len(m.s.Votes) == 0 {
		return 0
	}
	return m.s.Lease
}

// Drop: the approvals do not have the orchestration any more. Votes stand until their lease ends; Over then.
func (m *Machine) Drop() { m.gone = true }

// Over says whether nothing is left to remember of an orchestration that is gone.
func (m *Machine) Over() bool { return m.gone && len(m.s.Votes) == 0 }

// Saved is what is to be kept.
func (m *Machine) Saved() Saved {
	s := m.s
	s.Votes = slices.Clone(m.s.Votes)
	return s
}

// Member says whether this machine is in the present roll.
func (m *Machine) Member() bool { _, is := m.place[m.self]; return is && !m.gone }

// votes says whether this machine is asked for its vote: in the present roll or an earlier one.
func (m *Machine) votes() bool { return !m.gone && m.in[m.self] }

// Hear takes up a card whose signature holds. news: it is newer than what was known, and worth passing on.
func (m *Machine) Hear(c Card, t Time) (news bool) {
	if m.gone || c.Name != m.cfg.Name || !m.in[c.Member] || c.Seq < m.cfg.first() {
		return false
	}
	m.clock(t)
	if c.Member == m.self {
		m.remember(c)
		return false
	}
	old := m.cards[c.Member]
	switch {
	case old == nil:
		m.cards[c.Member] = &heard{Card: c, at: m.now.Mono, ballotAt: m.now.Mono}
		return true
	case c.Seq == old.Seq && !c.equal(old.Card):
		m.false[c.Member] = true // two cards with one number: whatever it says counts no more
		return false
	case c.Seq <= old.Seq:
		return false
	}
	if c.Ballot != old.Ballot {
		old.ballotAt = m.now.Mono
	}
	old.Card, old.at = c, m.now.Mono
	return true
}

// remember: a card of this member's own is about that it does not know of: its disk was set back. What the card
// promises is promised.
func (m *Machine) remember(c Card) {
	if mine, said := m.said[c.Seq]; c.Seq <= m.bootSeq || said && c.equal(mine) || c.Seq+saidKept < m.s.Seq {
		return
	}
	m.dirty = true
	m.said[c.Seq] = c
	m.s.Seq, m.s.Ballot, m.s.Turns = max(m.s.Seq, c.Seq), max(m.s.Ballot, c.Ballot)+1, max(m.s.Turns, c.Turns)
	if m.s.Phase >= Asking {
		m.s.Phase = Pending
	}
	for _, v := range c.Votes {
		if at, have := m.voteAt(v.Slot); !have {
			m.s.Votes = slices.Insert(m.s.Votes, at, SavedVote{Vote: v, castAt: m.now.Mono})
		}
	}
	if c.Locked && c.Reset == m.cfg.Reset {
		m.lock("")
	}
}

func (m *Machine) voteAt(slot int) (int, bool) {
	return slices.BinarySearchFunc(m.s.Votes, slot, func(v SavedVote, s int) int { return v.Slot - s })
}

func (m *Machine) clock(t Time) {
	if t.Mono < m.now.Mono {
		t.Mono = m.now.Mono
	}
	m.now = t
}

// card is what this member says now.
func (m *Machine) card() Card {
	c := Card{Name: m.cfg.Name, Member: m.self, Seq: m.s.Seq, Generation: m.cfg.Generation, Epoch: m.cfg.Epoch, Reset: m.cfg.Reset,
		Phase: m.s.Phase, Ballot: m.s.Ballot, Turns: m.s.Turns, Locked: m.locked()}
	if c.Phase >= Asking {
		c.Slot = m.s.Slot
	}
	for _, v := range m.s.Votes {
		c.Votes = append(c.Votes, v.Vote)
	}
	return c
}

// locked: this member votes for nobody before the next reset.
func (m *Machine) locked() bool { return m.s.Locked == m.cfg.Reset+1 }

func (m *Machine) lock(why string) {
	if !m.locked() {
		m.s.Locked, m.s.Why = m.cfg.Reset+1, why
	}
}

// Failed: what was begun in the slot has failed, for a reason that may meet the others too.
func (m *Machine) Failed() {
	if m.gone || !m.cfg.Stop || m.s.Phase != Holding {
		return
	}
	m.dirty = true
	m.s.Failed = m.cfg.Reset + 1
	m.s.Phase = Failed
	m.lock(m.self)
}

// elapsed is how far the clocks have gone since the slot was asked for: the one that went further counts.
func (m *Machine) elapsed() time.Duration {
	since := m.now.Mono - m.asked.Mono
	from := m.asked.Wall
	if m.resumed && !m.s.AskedAt.IsZero() {
		from = m.s.AskedAt
	}
	return max(since, m.now.Wall.Sub(from))
}

// left is how long this member may still begin something; 0: not at all.
func (m *Machine) left() time.Duration {
	if m.gone || m.s.Phase != Holding || m.resumed {
		return 0
	}
	return max(0, m.limit()-m.elapsed())
}

// limit is how long the slot may be held: what was said when the votes were given, or less.
func (m *Machine) limit() time.Duration { return min(m.s.Limit, m.cfg.Member) }

// May says whether work of some length may begin now.
func (m *Machine) May(need time.Duration, t Time) bool {
	m.clock(t)
	return m.left() > 0 && m.left() >= need
}

// compare sorts members as they come in line.
func (m *Machine) compare(a, b Card) int {
	if m.cfg.Ordered {
		return cmp.Compare(m.order(a.Member), m.order(b.Member))
	}
	x, y := MarkOf(m.cfg.Name+"\x00"+a.Member), MarkOf(m.cfg.Name+"\x00"+b.Member)
	return cmp.Or(cmp.Compare(m.turns(a), m.turns(b)), slices.Compare(x[:], y[:]), cmp.Compare(a.Member, b.Member))
}

// turns is how many slots a member has had, by its own word or by the votes of this one: who says too little, or
// keeps what it has, comes last all the same.
func (m *Machine) turns(c Card) uint64 { return max(c.Turns, m.had[c.Member]) }

// order is the place in the present roll; those of earlier ones come last.
func (m *Machine) order(member string) int {
	if at, is := m.place[member]; is {
		return at
	}
	return len(m.place)
}
