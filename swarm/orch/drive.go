package orch

import (
	"reflect"
	"slices"
	"time"
)

// Drive moves on: with what was heard since, with what time has changed, and with what this member is up to.
func (m *Machine) Drive(w Want, t Time) Out {
	m.clock(t)
	was := m.Saved()
	m.want = w
	m.s.Begun = m.s.Begun || w.Busy && m.s.Phase == Holding
	m.endVotes()
	if !m.gone {
		m.watch()
	}
	switch {
	case m.gone:
		m.s.Phase = Idle
	case m.Member():
		m.ownTurn()
	default: // it was a member of an earlier roll: it gives its vote and holds nothing new
		m.leaveTurn()
	}
	if m.votes() {
		m.vote()
		if m.s.Phase == Asking && m.carried() {
			m.hold()
		}
	}
	was.Run = m.s.Run // it goes on all the time, and is kept along with what matters
	out := Out{Save: m.dirty || !reflect.DeepEqual(was, m.Saved())}
	m.dirty = false
	if c := m.card(); m.votes() && (!c.equal(m.told) || m.beatDue()) {
		m.s.Seq++
		c.Seq = m.s.Seq
		m.told, m.toldAt, m.said[c.Seq] = c, m.now.Mono, c
		delete(m.said, c.Seq-saidKept)
		out.Save, out.Tell = true, &c
	}
	out.Wake = m.wake()
	return out
}

// watch looks at what stops everybody: a member that has failed, and a run that takes too long.
func (m *Machine) watch() {
	if m.cfg.Stop {
		who := ""
		for id, h := range m.cards {
			if h.Phase == Failed && h.Reset == m.cfg.Reset && !m.false[id] && (who == "" || id < who) {
				who = id
			}
		}
		if who != "" {
			m.lock(who)
		}
	}
	running := m.s.Phase >= Waiting && m.s.Phase <= Holding
	pending := m.s.Phase == Pending
	for _, h := range m.cards {
		running = running || h.Phase >= Waiting && h.Phase <= Holding && m.now.Mono-h.at < m.cfg.lease()
		pending = pending || h.Phase == Pending && m.now.Mono-h.at < m.cfg.lease()
	}
	if running && m.s.Run > 0 || pending && m.s.Run > 0 {
		m.s.Run += m.now.Mono - m.lastRun
	} else if running {
		m.s.Run = time.Nanosecond
	} else {
		m.s.Run = 0
	}
	m.lastRun = m.now.Mono
	if m.cfg.Group > 0 && m.s.Run > m.cfg.Group {
		m.lock("")
	}
}

// ownTurn is the life of a member.
func (m *Machine) ownTurn() {
	switch m.s.Phase {
	case Failed:
		if !m.cfg.Stop || m.s.Failed != m.cfg.Reset+1 {
			m.release()
		}
	case Holding:
		m.holdOn()
	case Asking:
		if m.locked() || !m.want.Ready || m.yields() || m.now.Mono-m.asked.Mono >= m.cfg.round() {
			m.giveUp()
		}
	}
	if m.s.Phase < Asking {
		m.s.Phase = m.rest()
	}
	if m.s.Phase == Waiting && !m.locked() && m.now.Mono >= m.nextAsk {
		m.ask()
	}
}

// leaveTurn is that of one that is in no present roll.
func (m *Machine) leaveTurn() {
	if m.s.Phase == Holding && m.underWay() {
		return
	}
	if m.s.Phase != Idle {
		m.release()
		m.s.Phase = Idle
	}
}

func (m *Machine) rest() Phase {
	switch {
	case m.want.Ready:
		return Waiting
	case m.want.Pending || m.want.Busy || m.want.Unknown:
		return Pending
	}
	return Idle
}

// holdOn keeps the slot as long as it is needed. A slot that was taken before a restart is good for nothing new;
// if something was being changed then, that may still go on, so the slot is kept until its time is up.
func (m *Machine) holdOn() {
	over := m.elapsed() >= m.limit()
	if !m.underWay() && (m.resumed || over || !m.want.Ready || m.want.Need > m.left()) {
		m.release()
	}
}

// underWay: what was begun in the slot may still be going on. Of work from before a restart nobody knows; a wall
// clock that was set forward has not ended it, so it is waited for by elapsed time alone.
func (m *Machine) underWay() bool {
	switch w := m.want; {
	case w.Busy: // it cannot be called back: the lease of the voters is what ends it
		return true
	case m.resumed && m.s.Begun:
		return (w.Ready || w.Pending || w.Unknown || w.Keep) && m.now.Mono-m.asked.Mono < m.limit()
	default:
		return (w.Keep || w.Unknown) && m.elapsed() < m.limit()
	}
}

// release gives the slot back: a greater ballot ends every vote for it.
func (m *Machine) release() {
	m.s.Ballot++
	m.s.Turns++
	m.s.Begun, m.resumed = false, false
	m.s.Phase = m.rest()
	m.fails, m.nextAsk = 0, m.now.Mono
	clear(m.aheadSince)
}

// giveUp ends a round without a quorum. The votes are free again, and the next round comes after a pause of chance,
// so that two that have split the votes do not split them again.
func (m *Machine) giveUp() {
	m.s.Ballot++
	m.s.Phase = m.rest()
	pause := m.cfg.round() << min(m.fails, 3)
	if m.yields() { // another slot may be free; never in the same instant, or a member could go round without end
		pause = m.cfg.round() / 4
	}
	m.fails++
	m.nextAsk = m.now.Mono + m.chance(min(pause, maxBackoff*m.cfg.round()))
}

func (m *Machine) chance(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return most/4 + time.Duration(m.rng.Int64N(int64(most)))
}

// ask begins a ballot if it is this member's turn and a slot is free. A slot that one who comes first asks for is
// that one's, and those of them that do not ask yet will take the first of the others.
func (m *Machine) ask() {
	free := m.free()
	if len(free) == 0 {
		clear(m.aheadSince)
		return
	}
	ahead := m.ahead()
	if len(ahead) >= len(free) {
		return
	}
	at := len(ahead)
	theirs := map[int]bool{}
	for _, id := range ahead {
		if h := m.cards[id]; h != nil && h.Phase == Asking && slices.Contains(free, h.Slot) {
			theirs[h.Slot] = true
			at--
		}
	}
	free = slices.DeleteFunc(free, func(slot int) bool { return theirs[slot] })
	if m.fails > 0 {
		at += m.rng.IntN(len(free) - at)
	}
	m.s.Ballot++
	m.s.Phase, m.s.Slot = Asking, free[at]
	m.s.AskedAt, m.s.Limit, m.asked, m.resumed = m.now.Wall, m.cfg.Member, m.now, false
}

// yields: somebody that comes first asks for the same slot.
func (m *Machine) yields() bool {
	return slices.ContainsFunc(m.ahead(), func(id string) bool {
		h := m.cards[id]
		return h != nil && h.Phase == Asking && h.Slot == m.s.Slot
	})
}

// ahead are the members that come first and have not got their slot yet, apart from those that were waited for
// long enough.
func (m *Machine) ahead() []string {
	own := m.card()
	var out []string
	for _, id := range m.cfg.roll() {
		if id == m.self || m.false[id] || m.passed[id] {
			continue
		}
		h := m.cards[id]
		c := Card{Member: id}
		if h != nil {
			c = h.Card
		}
		if m.compare(c, own) > 0 || !m.waitsBefore(h) {
			continue
		}
		since, known := m.aheadSince[id]
		if !known {
			since = m.now.Mono
			m.aheadSince[id] = since
		}
		if m.now.Mono-since >= m.cfg.patience() {
			m.passed[id] = true
			continue
		}
		out = append(out, id)
	}
	return out
}

// waitsBefore: a member has something to do that comes first. Where an order is asked for, one that has not said so
// by the newest approvals may have.
func (m *Machine) waitsBefore(h *heard) bool {
	if m.cfg.Ordered && (h == nil || h.Epoch < m.cfg.Epoch) {
		return h == nil || h.Phase < Holding
	}
	if h == nil || h.Generation < m.cfg.Generation {
		return false
	}
	return h.Phase == Waiting || h.Phase == Asking || m.cfg.Ordered && h.Phase == Pending
}

// free are the slots that nobody holds, as far as this machine knows.
func (m *Machine) free() []int {
	taken := map[int]bool{}
	for slot := range m.holders() {
		taken[slot] = true
	}
	var out []int
	for s := range m.cfg.Slots {
		if !taken[s] {
			out = append(out, s)
		}
	}
	return out
}

// holders are the members that hold slots: by the votes of a quorum that were not released, and not by their own
// word, which costs nothing.
func (m *Machine) holders() map[int]string {
	count := map[Vote]int{}
	for _, id := range m.cfg.roll() {
		if id == m.self {
			for _, v := range m.s.Votes {
				count[v.Vote]++
			}
		} else if h := m.cards[id]; h != nil && !m.false[id] {
			for _, v := range h.Votes {
				count[v]++
			}
		}
	}
	out := map[int]string{}
	for v, n := range count {
		if n >= Quorum(len(m.cfg.roll()), m.cfg.Liars) && !m.released(v) && m.ids[v.To] != "" {
			out[v.Slot] = m.ids[v.To]
		}
	}
	return out
}

// beatDue: something is going on, and this member has said nothing for a while.
func (m *Machine) beatDue() bool {
	return m.now.Mono-m.toldAt >= m.cfg.beat() && m.busyAround()
}

func (m *Machine) busyAround() bool {
	if m.s.Phase >= Waiting || len(m.s.Votes) > 0 {
		return true
	}
	for _, h := range m.cards {
		if h.Phase >= Waiting && h.Phase <= Holding && m.now.Mono-h.at < m.cfg.lease() {
			return true
		}
	}
	return false
}

// wake is when time alone changes something.
func (m *Machine) wake() time.Duration {
	var at time.Duration
	by := func(t time.Duration) {
		if t = max(t, m.now.Mono+time.Millisecond); at == 0 || t < at {
			at = t
		}
	}
	for _, v := range m.s.Votes {
		by(v.castAt + m.s.Lease)
	}
	if m.gone {
		return at
	}
	if m.votes() && m.busyAround() {
		by(m.toldAt + m.cfg.beat())
	}
	switch m.s.Phase {
	case Holding:
		by(m.now.Mono + max(m.limit()-m.elapsed(), time.Second))
	case Asking:
		by(m.asked.Mono + m.cfg.round())
	case Waiting:
		if m.nextAsk > m.now.Mono {
			by(m.nextAsk)
		}
		for _, since := range m.aheadSince {
			if end := since + m.cfg.patience(); end > m.now.Mono {
				by(end)
			}
		}
	}
	return at
}
