package swarm

import (
	"math/bits"

	"patchmesh/content"
)

// marks sort the missing chunks of a payload that nothing is asked for by who has them. They follow every change,
// so that a look at what could be asked for costs what it finds, and not a walk over all chunks: most of them
// are here, under way, or nowhere in the site.
type marks struct {
	held []uint64 // neighbours have it
	lone []uint64 // of those: one alone
	none []uint64 // nobody in the site has it
}

// mark looks again at one chunk whose holders, requests or presence have changed.
func (l *payload) mark(i int) {
	w, bit := i>>6, uint64(1)<<(i&63)
	m := &l.marks
	m.held[w] &^= bit
	m.lone[w] &^= bit
	m.none[w] &^= bit
	if l.each[i].fetching > 0 || l.have.Has(i) {
		return
	}
	switch l.each[i].avail {
	case 0:
		m.none[w] |= bit
	case 1:
		m.lone[w] |= bit
		m.held[w] |= bit
	default:
		m.held[w] |= bit
	}
}

// markAll looks again at all of them: much has changed at once.
func (l *payload) markAll() {
	words := (l.chunks + 63) / 64
	if len(l.marks.held) != words {
		all := make([]uint64, 3*words)
		l.marks = marks{all[:words:words], all[words : 2*words : 2*words], all[2*words:]}
	}
	for i := range l.chunks {
		l.mark(i)
	}
}

// isMarked says whether a number is marked.
func isMarked(words []uint64, i int) bool { return words[i>>6]&(1<<(i&63)) != 0 }

// nextMark is the first marked number from on; -1: none.
func nextMark(words []uint64, from int) int {
	for w := from >> 6; w < len(words); w++ {
		set := words[w]
		if w == from>>6 {
			set &= ^uint64(0) << (from & 63)
		}
		if set != 0 {
			return w<<6 + bits.TrailingZeros64(set)
		}
	}
	return -1
}

// lastMark is the last marked number up to from that is also in a set; -1: none.
func lastMark(words []uint64, in *content.Bits, from int) int {
	for w := from >> 6; w >= 0; w-- {
		set := words[w] & in.Word(w)
		if w == from>>6 {
			set &= ^uint64(0) >> (63 - from&63)
		}
		if set != 0 {
			return w<<6 + 63 - bits.LeadingZeros64(set)
		}
	}
	return -1
}

// windowEnd is behind the last chunk that one pick looks at, see pickWindow.
func (l *payload) windowEnd() int {
	if l.chunks-l.have.Count() <= pickWindow {
		return l.chunks
	}
	i := l.have.NextMissing(0)
	for range pickWindow - 1 {
		i = l.have.NextMissing(i + 1)
	}
	return i + 1
}
