package orch

import (
	"maps"
	"slices"
)

// endVotes takes votes back whose member has released the slot, and those whose lease is over. Of a member that had
// begun and never came back nobody knows how it ended: where a failure stops all, that does too.
func (m *Machine) endVotes() {
	m.s.Votes = slices.DeleteFunc(m.s.Votes, func(v SavedVote) bool {
		if m.released(v.Vote) {
			if v.Begun {
				m.had[m.ids[v.To]]++
			}
			return true
		}
		if m.now.Mono-v.castAt < m.s.Lease {
			return false
		}
		if m.had[m.ids[v.To]] += lapsed; v.Begun && m.cfg.Stop && !m.gone {
			m.lock(m.ids[v.To])
		}
		return true
	})
	for i := range m.s.Votes {
		v := &m.s.Votes[i]
		if h := m.cards[m.ids[v.To]]; h != nil && h.Ballot == v.Ballot && h.Phase >= Holding {
			v.Begun = true
		}
	}
}

// released: the member says itself that it does not count on the vote any more.
func (m *Machine) released(v Vote) bool {
	c := m.card()
	if v.To != m.mark {
		h := m.cards[m.ids[v.To]]
		if h == nil {
			return false
		}
		c = h.Card
	}
	switch {
	case c.Ballot > v.Ballot:
		return true
	case c.Ballot < v.Ballot: // an older card than the one that was voted for
		return false
	}
	return c.Phase < Asking
}

// vote gives this member's vote for every slot that it has promised to nobody: to who comes first in line of those
// that ask now, by the same signed rules.
func (m *Machine) vote() {
	if m.locked() {
		return
	}
	asking := map[int]Card{}
	consider := func(c Card) {
		if c.Slot >= m.cfg.Slots || c.Generation != m.cfg.Generation {
			return
		}
		if best, any := asking[c.Slot]; !any || m.compare(c, best) < 0 {
			asking[c.Slot] = c
		}
	}
	for id, h := range m.cards { // one that asked long ago has given up meanwhile
		if h.Phase == Asking && !m.false[id] && m.now.Mono-h.ballotAt < 2*m.cfg.round() {
			consider(h.Card)
		}
	}
	if m.s.Phase == Asking {
		consider(m.card())
	}
	for _, slot := range slices.Sorted(maps.Keys(asking)) {
		c := asking[slot]
		if at, given := m.voteAt(slot); !given {
			m.s.Votes = slices.Insert(m.s.Votes, at, SavedVote{Vote: Vote{Slot: slot, To: MarkOf(c.Member), Ballot: c.Ballot}, castAt: m.now.Mono})
			m.s.Lease = max(m.s.Lease, m.cfg.lease())
			m.had[c.Member] = max(m.had[c.Member], c.Turns)
		}
	}
}

// tally counts the votes of a roll for this member's ballot.
func (m *Machine) tally(roll []string) (n int) {
	own := Vote{Slot: m.s.Slot, To: m.mark, Ballot: m.s.Ballot}
	for _, id := range roll {
		if id == m.self {
			if slices.ContainsFunc(m.s.Votes, func(v SavedVote) bool { return v.Vote == own }) {
				n++
			}
			continue
		}
		if h := m.cards[id]; h != nil && !m.false[id] && slices.Contains(h.Votes, own) {
			n++
		}
	}
	return n
}

// carried: a quorum of every roll has voted for this member.
func (m *Machine) carried() bool {
	for _, roll := range m.cfg.Rolls {
		if m.tally(roll) < Quorum(len(roll), m.cfg.Liars) {
			return false
		}
	}
	return len(m.cfg.Rolls) > 0
}

// hold takes the slot.
func (m *Machine) hold() {
	m.s.Phase, m.s.Begun = Holding, false
	m.fails = 0
}
