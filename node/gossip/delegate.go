package gossip

import (
	"time"

	"github.com/hashicorp/memberlist"

	"patchmesh/swarm/wire"
)

// delegate is what memberlist asks and tells about messages and state.
type delegate struct{ g *Gossip }

// NodeMeta shows the certificate.
func (d delegate) NodeMeta(limit int) []byte {
	m := d.g.cfg.Meta()
	if len(m) > limit {
		return nil
	}
	return m
}

// NotifyMsg takes a rumour. The buffer belongs to memberlist; DecodeRumour copies.
func (d delegate) NotifyMsg(b []byte) { d.hear(b) }

func (d delegate) hear(b []byte) {
	if head, ok := d.g.trans.gate.Rumour(b, time.Now()); ok {
		d.g.later(func() { d.g.cfg.Heard(head) })
	}
}

// GetBroadcasts gives rumours that are waiting.
func (d delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.g.queue.GetBroadcasts(overhead, limit)
}

// LocalState is the newest head, for push and pull: machines that missed the rumour learn it so.
func (d delegate) LocalState(bool) []byte {
	head := d.g.cfg.Head()
	if len(head) == 0 {
		return nil
	}
	b, err := wire.EncodeRumour(wire.Rumour{Site: d.g.cfg.Site, Timestamp: head})
	if err != nil {
		return nil
	}
	return b
}

// MergeRemoteState hears the other side's head.
func (d delegate) MergeRemoteState(b []byte, _ bool) { d.hear(b) }

// events tells of members.
type events struct{ g *Gossip }

// NotifyJoin tells of a new member.
func (e events) NotifyJoin(n *memberlist.Node) {
	if n.Name == e.g.cfg.Self {
		return
	}
	e.g.alive.put(n)
	id, addr, meta := n.Name, addrOf(n), append([]byte(nil), n.Meta...)
	e.g.later(func() { e.g.cfg.MemberUp(id, addr, meta) })
}

// NotifyLeave tells of a member that left or died.
func (e events) NotifyLeave(n *memberlist.Node) {
	id := n.Name
	e.g.alive.drop(id)
	e.g.later(func() { e.g.cfg.MemberDown(id) })
}

// NotifyUpdate tells of a member that shows something new: to us the same as a join.
func (e events) NotifyUpdate(n *memberlist.Node) { e.NotifyJoin(n) }

// checks refuses members without a certificate.
type checks struct{ g *Gossip }

// NotifyAlive judges one member.
func (c checks) NotifyAlive(n *memberlist.Node) error { return c.check(n) }

// NotifyMerge judges the members that another side brings. One that does not pass spoils only itself:
// NotifyAlive refuses it, so that a liar cannot keep honest members apart.
func (c checks) NotifyMerge([]*memberlist.Node) error { return nil }

func (c checks) check(n *memberlist.Node) error {
	if n.Name == c.g.cfg.Self {
		return nil
	}
	return c.g.cfg.CheckMeta(n.Name, addrOf(n), n.Meta)
}
