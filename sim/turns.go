package sim

import (
	"sync"
	"sync/atomic"
)

// turns is who may go on, and how far. What one site does reaches another only by way of the seed's own site, and
// takes the time of their lines. So the seed's site and the others take turns: each goes on until what others may
// still do could reach it. A far site, whose word takes long to reach the seed, runs once in several turns, and
// longer: then its memory comes to a processor less often. What a turn does follows from virtual time alone, so it is
// the same with any number of workers.
type turns struct {
	next  []int64 // when the next thing happens, by site; the seed's own first
	way   []int64 // how long what is sent takes between the seed's site and another, at least
	least int64   // of these
	runs  []*site // of this turn
}

// look finds out anew when sites have something to do.
func (t *turns) look(sites []*site) {
	if len(t.way) != len(sites) {
		t.next, t.way, t.least = make([]int64, len(sites)), make([]int64, len(sites)), never
		for i, s := range sites[1:] {
			t.way[i+1] = int64(sites[0].delay(s))
			t.least = min(t.least, t.way[i+1])
		}
	}
	for _, s := range sites {
		t.due(s)
	}
}

// due notes when a site has something to do.
func (t *turns) due(s *site) {
	if s.index >= len(t.next) {
		return // before the first look
	}
	t.next[s.index] = never
	if s.q.len() > 0 {
		t.next[s.index] = s.q.next()
	}
}

// soonest is when the next thing happens.
func (t *turns) soonest() int64 {
	next := never
	for _, at := range t.next {
		next = min(next, at)
	}
	return next
}

// heard is when what the other sites do next may reach the seed's, at the soonest.
func (t *turns) heard() int64 {
	at := never
	for i, next := range t.next[1:] {
		at = min(at, soon(next, t.way[i+1]))
	}
	return at
}

// soon is so much after an instant, which may be never.
func soon(at, d int64) int64 {
	if at > never-d {
		return never
	}
	return at + d
}

// turn lets the seed's site go on, then those others on which it has to wait next, none of them beyond most.
func (w *World) turn(most int64) {
	t := &w.turns
	hq, rest := w.sites[0], w.sites[1:]
	hq.run(min(t.heard(), soon(soon(t.next[0], t.least), t.least), most))
	t.due(hq)
	w.handOver(hq)
	from := min(t.next[0], t.heard())         // nothing leaves the seed's site sooner
	far := soon(soon(from, t.least), t.least) // where the seed's site gets in the next turn, if it has to wait for nobody
	t.runs = t.runs[:0]
	for i, s := range rest {
		if next := t.next[i+1]; next < most && (far >= most || soon(next, t.way[i+1]) < far) {
			t.runs = append(t.runs, s)
		}
	}
	w.runAll(t.runs, func(s *site) int64 { return min(soon(from, t.way[s.index]), most) })
	for _, s := range t.runs {
		t.due(s)
	}
	for _, s := range t.runs {
		w.handOver(s)
	}
	all := t.soonest()
	w.now = max(w.now, min(all, most)-1)
	w.write(all)
}

// runAll lets some sites run, each until an instant of its own, several at the same time: whoever is free takes the
// next one.
func (w *World) runAll(sites []*site, until func(*site) int64) {
	if w.workers < 2 || len(sites) < 3 {
		for _, s := range sites {
			s.run(until(s))
		}
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range w.workers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(sites); i = int(next.Add(1)) - 1 {
				sites[i].run(until(sites[i]))
			}
		})
	}
	all.Wait()
}
