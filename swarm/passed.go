package swarm

import (
	"slices"
	"time"
)

// passedOver is a peer that is not counted on for a while.
type passedOver struct {
	peer  PeerID
	until time.Time
}

// passedList remembers such peers beyond their sessions, or a new one would wash them clean. Those that were noted
// first are forgotten first.
type passedList []passedOver

// has says whether a peer is passed over now.
func (l passedList) has(id PeerID, now time.Time) bool {
	return slices.ContainsFunc(l, func(o passedOver) bool { return o.peer == id && now.Before(o.until) })
}

// add notes a peer anew, and keeps at most so many.
func (l *passedList) add(id PeerID, until, now time.Time, most int) {
	list := slices.DeleteFunc(*l, func(o passedOver) bool { return o.peer == id || !now.Before(o.until) })
	if len(list) >= most {
		list = slices.Delete(list, 0, 1)
	}
	*l = append(list, passedOver{id, until})
}

// drop counts on a peer again.
func (l *passedList) drop(id PeerID) {
	*l = slices.DeleteFunc(*l, func(o passedOver) bool { return o.peer == id })
}
