package swarm

import (
	"slices"
	"time"
)

// What a machine on Wi-Fi gives to another crosses the same air twice, once up and once down, and takes it from everybody
// who shares it. So machines tell each other that they are on Wi-Fi, and those that are not, or do not know, are asked
// first and fetch over the WAN first. It is their own word: who hides its Wi-Fi is asked like anybody else, who
// claims it is asked later.

// airPatience is for how long a wired holder that is busy with this machine's own asks is waited for instead of asking
// one on Wi-Fi, and how long it may send nothing meanwhile. A wired holder that is slow on purpose costs a machine
// that much per chunk that it has outstanding there, and no more.
const airPatience = time.Second

// onWiFi: this machine is.
func (c *Core) onWiFi() bool { return c.gates.last.WiFi }

// sparesAir: nobody is to be asked for a chunk now, since the best holder that is free is on Wi-Fi and a wired one will
// soon be, which is not the only holder of others where that matters.
func (c *Core) sparesAir(l *payload, i int, best *peer, spareWired bool) bool {
	if !best.air {
		return false
	}
	for k, r := range l.said {
		if r == nil || !r.bits.Has(i) || spareWired && r.sole > 0 {
			continue
		}
		p := c.peers[k]
		if p.air || !p.near || p.asks == 0 || p.closed || p.mute || c.now.Before(p.busyUntil) || c.shunned(p.id) {
			continue
		}
		if due := p.answeredAt.Add(airPatience); p.wait(c.now) <= airPatience && c.now.Before(due) {
			c.wakeBy(due)
			return true
		}
	}
	return false
}

// wiredFirst says whether a neighbour comes before this machine in the line for the WAN lease because it is wired and
// this one is not; known is false where links say nothing. A wired one for which the site has waited in vain lately is like
// any other to a machine on Wi-Fi.
func (o line) wiredFirst(p *peer) (first, known bool) {
	here := o.c.onWiFi()
	if here == p.wifi || !o.links || here && o.c.cache.passed.has(p.id, o.c.now) {
		return false, false
	}
	return here, true
}

// wiredInLine are the wired neighbours that come before this machine, which is on Wi-Fi, in their order. After n silences
// the first 1<<(n-1) of them have had their turn for one of these.
func (c *Core) wiredInLine(l *payload) []*peer {
	if !c.onWiFi() {
		return nil
	}
	var out []*peer
	c.toNeighbours(func(p *peer) {
		if !p.wifi && p.egress && !p.seed && p.gate.wan == "" {
			out = append(out, p)
		}
	})
	slices.SortFunc(out, func(a, b *peer) int {
		if before(weight(l.key, 0, a.id), a.id, weight(l.key, 0, b.id), b.id) {
			return -1
		}
		return 1
	})
	return out
}
