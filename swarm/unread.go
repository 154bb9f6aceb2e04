package swarm

import "slices"

// Unread keeps the heads that this machine was shown and could not read: they are signed by a key that it does
// not know yet. Each may be explained by a newer root, and looking for one is a walk over the network that
// anybody can cause, so walks take turns. Who showed a head does not show it twice; a driver that forgot it
// while others had their turn would stay behind until the next approval.
//
// One head is kept for each peer, its newest. Peers are served in the order in which they came; one that shows
// head after head keeps its place, and so gets no more turns than others. H is how the driver holds a head.
type Unread[H any] struct {
	order []PeerID // rumours, which nobody in particular has shown, are the empty peer's
	heads map[PeerID]H
}

// maxUnread bounds the peers of whom a head is kept; a machine has fewer sessions.
const maxUnread = 512

// Keep notes a head. False: too many are kept.
func (u *Unread[H]) Keep(from PeerID, head H) bool {
	if _, known := u.heads[from]; !known {
		if len(u.order) >= maxUnread {
			return false
		}
		u.order = append(u.order, from)
	}
	if u.heads == nil {
		u.heads = map[PeerID]H{}
	}
	u.heads[from] = head
	return true
}

// Take removes and gives the head of the peer that has waited for the longest time. False: none is kept.
func (u *Unread[H]) Take() (from PeerID, head H, ok bool) {
	if len(u.order) == 0 {
		return "", head, false
	}
	from = u.order[0]
	head = u.heads[from]
	u.Forget(from)
	return from, head, true
}

// Forget drops the head of a peer whose session has ended: a new one begins with the head that it then has.
func (u *Unread[H]) Forget(from PeerID) {
	if _, known := u.heads[from]; known {
		delete(u.heads, from)
		u.order = slices.DeleteFunc(u.order, func(p PeerID) bool { return p == from })
	}
}

// ShownHead is one head that is kept, and who has shown it.
type ShownHead[H any] struct {
	From PeerID
	Head H
}

// TakeAll removes and gives all of them, in their order: after a new root each is looked at again under its keys. What was shown
// meanwhile may be newer than what has just been taken up, and is not shown again. One that is still not understood is kept anew.
func (u *Unread[H]) TakeAll() []ShownHead[H] {
	all := make([]ShownHead[H], 0, len(u.order))
	for _, from := range u.order {
		all = append(all, ShownHead[H]{from, u.heads[from]})
	}
	u.order, u.heads = nil, nil
	return all
}
