package swarm

import (
	"slices"

	"patchmesh/content"
)

// A machine that wants a payload may have neighbours who do not, and all who do may be beyond them. Then it asks
// the neighbour by which the trail leads to relay: to fetch the payload too, as if it wanted it, until the asker
// has it. Who relays asks on in the same way if it has to, and each ask leads one hop closer to the holder, so asks
// cannot go round in a circle.

type (
	// RelayAsked says that a neighbour asks this machine to fetch a payload for it, or does not any more.
	RelayAsked struct {
		From    PeerID
		Payload content.ID
		On      bool
	}
	// AskRelay asks a neighbour for that.
	AskRelay struct {
		To      PeerID
		Payload content.ID
		On      bool
	}
)

func (RelayAsked) isEvent() {}
func (AskRelay) isAction()  {}

// maxRelays bounds the payloads that one neighbour may ask this machine to relay at once.
const maxRelays = 256

func (c *Core) relayAsked(e RelayAsked) {
	p := c.byID[e.From]
	if p == nil || !c.neighbour(p) {
		return
	}
	i := slices.Index(p.relays, e.Payload)
	switch {
	case e.On && i < 0 && len(p.relays) < maxRelays:
		p.relays = append(p.relays, e.Payload)
	case !e.On && i >= 0:
		p.relays = slices.Delete(p.relays, i, i+1)
	default:
		return
	}
	if l := c.byMap[e.Payload]; l != nil {
		c.setRelay(l)
		c.drive(l)
		c.driveLink()
	}
}

// setRelay finds out whether a neighbour asks for a payload to be relayed, and wants it for that.
func (c *Core) setRelay(l *payload) {
	on := false
	if c.gates.help == "" && !c.self.Seed {
		c.toNeighbours(func(p *peer) { on = on || len(p.relays) > 0 && slices.Contains(p.relays, l.id) })
	}
	if on == l.relay {
		return
	}
	was := l.needed()
	l.relay = on
	if l.needed() == was {
		return
	}
	c.tellHave(l)
	if !l.needed() {
		c.cancelFetches(l)
	}
}

// driveRelay asks one neighbour to relay a payload while that is needed.
func (c *Core) driveRelay(l *payload) {
	to := c.relayWanted(l)
	if to == l.relayBy {
		return
	}
	if c.byID[l.relayBy] != nil {
		c.act(AskRelay{To: l.relayBy, Payload: l.id, On: false})
	}
	l.relayBy = to
	if to != "" {
		c.act(AskRelay{To: to, Payload: l.id, On: true})
	}
}

// relayWanted is the neighbour that should relay: the next one on the trail, unless one that is no farther from its
// end takes part already.
func (c *Core) relayWanted(l *payload) PeerID {
	b := l.book
	if b == nil || !l.needed() || l.have.Full() {
		return ""
	}
	t, via := c.best(b)
	if via == "" && b.own.Kind == TrailNone && c.now.Before(b.ledAt.Add(c.cfg.TrailLife)) {
		c.wakeBy(b.ledAt.Add(c.cfg.TrailLife))
		return l.relayBy // the next one to speak will be there in a moment
	}
	if via == "" || t.Kind < TrailLease || via == t.Holder {
		return ""
	}
	for _, o := range b.told {
		p := o.peer
		if o.Holder != t.Holder || o.Hops >= t.Hops || p.gone || !p.gives() || c.shunned(p.id) {
			continue
		}
		if o.Hops == 0 || o.by != l.relayBy && takesPart(p, l) {
			return ""
		}
	}
	due := l.knownAt.Add(c.cfg.TrailPatience) // those who want it say so by then
	if c.now.Before(due) && !l.relay {
		c.wakeBy(due)
		return ""
	}
	if k := c.byID[l.relayBy]; k != nil && k.gives() && !c.shunned(k.id) {
		if i, found := b.find(k.id); found && b.told[i].Holder == t.Holder && b.told[i].Hops < t.Hops {
			return k.id // one way is as good as the other
		}
	}
	return via
}

// takesPart: a neighbour fetches the payload, or has it.
func takesPart(p *peer, l *payload) bool {
	r := p.of(l)
	return r != nil && (r.want || r.bits.Full())
}
