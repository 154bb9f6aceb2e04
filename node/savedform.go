package node

import (
	"bytes"
	"encoding/json"
	"fmt"

	"patchmesh/content"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// savedForm encodes snapshots for the database. Each step of an install saves one, and of thousands of updates all but one are as
// they were: what was encoded of them the last time is kept, and where a snapshot is large only what has changed since the
// last one is written, beside it. It belongs to the loop.
type savedForm struct {
	tasks    savedList[policy.UpdateID, swarm.SavedTask]
	payloads savedList[content.ID, swarm.SavedPayload]
	rest     swarm.Snapshot // of the last one, without these
	whole    int            // bytes of the last one that was written whole; 0: none was
	later    int            // bytes that were written beside it since
	unsure   bool           // whether the last one was written
}

// aside is from how many bytes on a snapshot is large: the database writes some pages for anything. maxAside bounds one addition.
const (
	aside    = 64 << 10
	maxAside = 1 << 20
)

// savedLater is what has changed in a snapshot: items that are new or others than before, those that are gone, and all of the rest.
type savedLater struct {
	swarm.Snapshot
	GoneTasks    []policy.UpdateID `json:"gone_tasks,omitempty"`
	GonePayloads []content.ID      `json:"gone_payloads,omitempty"`
}

// keep makes a snapshot durable when it returns nil.
func (f *savedForm) keep(db *state.DB, s swarm.Snapshot) error {
	b, whole, err := f.encode(s)
	if err != nil {
		return fmt.Errorf("encode snapshot: %w", err)
	}
	return f.write(db, b, whole)
}

func (f *savedForm) write(db *state.DB, b []byte, whole bool) error {
	f.unsure = true
	if whole {
		if err := db.SaveSnapshot(b); err != nil {
			return err
		}
		f.whole, f.later = len(b), 0
	} else {
		if err := db.AddToSnapshot(b); err != nil {
			return err
		}
		f.later += len(b)
	}
	f.unsure = false
	return nil
}

// settle writes the last one whole where a part of it lies beside an older one: what runs next may be an older version of the program,
// which reads the whole alone. Without it that one begins with what was some steps ago, which it bears.
func (f *savedForm) settle(db *state.DB) error {
	if f.later == 0 || f.unsure {
		return nil
	}
	b, err := appendLists(f.rest, f.tasks.all, f.payloads.all)
	if err != nil {
		return fmt.Errorf("encode snapshot: %w", err)
	}
	return f.write(db, b, true)
}

// encode gives what is to be written next, and whether that is the whole.
func (f *savedForm) encode(s swarm.Snapshot) (b []byte, whole bool, err error) {
	tasks, payloads := s.Tasks, s.Payloads
	s.Tasks, s.Payloads = nil, nil
	f.rest = s
	l := savedLater{Snapshot: s}
	// What a failure left is behind a pointer: equal pointers say little of what is there.
	plain := func(k *swarm.SavedTask) bool { return k.Undone == nil && k.Failed == nil }
	if l.GoneTasks, err = f.tasks.take(tasks, func(k *swarm.SavedTask) policy.UpdateID { return k.Update }, plain); err != nil {
		return nil, false, err
	}
	always := func(*swarm.SavedPayload) bool { return true }
	if l.GonePayloads, err = f.payloads.take(payloads, func(p *swarm.SavedPayload) content.ID { return p.ID }, always); err != nil {
		return nil, false, err
	}
	if f.unsure || f.whole < aside {
		b, err = appendLists(s, f.tasks.all, f.payloads.all)
		return b, true, err
	}
	b, err = appendLists(l, f.tasks.changed, f.payloads.changed)
	// What lies beside a whole one is at most half as large, so that in the long run little more is written than has changed.
	if err == nil && (len(b) > maxAside || f.later+len(b) > f.whole/2) {
		b, err = appendLists(s, f.tasks.all, f.payloads.all)
		return b, true, err
	}
	return b, false, err
}

// appendLists encodes rest, an object without lists of tasks and payloads, with these.
func appendLists(rest any, tasks, payloads [][]byte) ([]byte, error) {
	b, err := json.Marshal(rest)
	if err != nil {
		return nil, err
	}
	b = b[:len(b)-1]
	for _, l := range []struct {
		name  string
		items [][]byte
	}{{"tasks", tasks}, {"payloads", payloads}} {
		if len(l.items) == 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), l.name...), `":[`...)
		for i, as := range l.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, as...)
		}
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

// savedList is what was encoded of the items of a list, by their keys.
type savedList[K, V comparable] struct {
	known   map[K]*encoded[V]
	round   int
	all     [][]byte // the items of the last list
	changed [][]byte // those that the list before had not, or had otherwise
}

type encoded[V comparable] struct {
	of    V
	as    []byte
	round int // in which it was there last
}

// take encodes a list and gives the keys of what is not in it any more; may says which items are equal if their values are.
func (l *savedList[K, V]) take(list []V, key func(*V) K, may func(*V) bool) (gone []K, err error) {
	if l.known == nil {
		l.known = map[K]*encoded[V]{}
	}
	l.round, l.all, l.changed = l.round+1, l.all[:0], l.changed[:0]
	for i := range list {
		v := &list[i]
		k := key(v)
		e := l.known[k]
		if e != nil && e.of == *v && may(v) {
			e.round = l.round
			l.all = append(l.all, e.as)
			continue
		}
		as, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if e == nil || !bytes.Equal(e.as, as) {
			l.changed = append(l.changed, as)
		}
		l.known[k] = &encoded[V]{*v, as, l.round}
		l.all = append(l.all, as)
	}
	if len(l.known) == len(list) { // as there are no two of one key, none is gone
		return nil, nil
	}
	for k, e := range l.known {
		if e.round != l.round {
			delete(l.known, k)
			gone = append(gone, k)
		}
	}
	return gone, nil
}

// lastSaved reads what was kept last; the zero value if nothing ever was.
func lastSaved(db *state.DB) (swarm.Snapshot, error) {
	whole, later, err := db.Snapshot()
	if err != nil || len(whole) == 0 {
		return swarm.Snapshot{}, err
	}
	return mergeSaved(whole, later)
}

func mergeSaved(whole []byte, later [][]byte) (swarm.Snapshot, error) {
	var s swarm.Snapshot
	if err := json.Unmarshal(whole, &s); err != nil {
		return s, err
	}
	if len(later) == 0 {
		return s, nil
	}
	tasks := mergedList[policy.UpdateID, swarm.SavedTask]{key: func(k *swarm.SavedTask) policy.UpdateID { return k.Update }}
	payloads := mergedList[content.ID, swarm.SavedPayload]{key: func(p *swarm.SavedPayload) content.ID { return p.ID }}
	tasks.put(s.Tasks, nil)
	payloads.put(s.Payloads, nil)
	for _, b := range later {
		var l savedLater
		if err := json.Unmarshal(b, &l); err != nil {
			return s, err
		}
		tasks.put(l.Tasks, l.GoneTasks)
		payloads.put(l.Payloads, l.GonePayloads)
		s = l.Snapshot
	}
	s.Tasks, s.Payloads = tasks.list(), payloads.list()
	return s, nil
}

// mergedList puts lists of changes over each other.
type mergedList[K, V comparable] struct {
	key func(*V) K
	all []V
	at  map[K]int // in all, of what is not gone
}

func (m *mergedList[K, V]) put(list []V, gone []K) {
	if m.at == nil {
		m.at = make(map[K]int, len(list))
	}
	for _, k := range gone {
		delete(m.at, k)
	}
	for _, v := range list {
		m.at[m.key(&v)] = len(m.all)
		m.all = append(m.all, v)
	}
}

// list is what is there in the end, in the order in which it changed last.
func (m *mergedList[K, V]) list() []V {
	out := make([]V, 0, len(m.at))
	for i, v := range m.all {
		if at, is := m.at[m.key(&v)]; is && at == i {
			out = append(out, v)
		}
	}
	return out
}
