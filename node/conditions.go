package node

import (
	"context"
	"time"

	"patchmesh/node/inventory"
	"patchmesh/swarm"
)

// conditionsEvery is how often the condition of the machine is looked at.
const conditionsEvery = 5 * time.Second

// freeStep is how exactly the core knows of free space: it must not hear of every file that is written.
const freeStep = 64 << 20

// watchConditions tells the core about power, load, space and the link, whenever something changed that a
// gate looks at. A seed serves whatever happens.
func (n *Node) watchConditions(ctx context.Context) {
	if n.seed != nil {
		return
	}
	s := inventory.NewSampler(n.cfg.DataDir, n.moved)
	t := time.NewTicker(conditionsEvery)
	defer t.Stop()
	var told swarm.Conditions
	for {
		g := n.limits.gates()
		c := s.Sample(time.Now())
		c.Metered, c.VPN, c.WiFi = c.Metered || g.Link == LinkMetered, c.VPN || g.Link == LinkVPN, c.WiFi || g.Link == LinkWiFi
		if g.Link == LinkPlain {
			c.Metered, c.VPN, c.WiFi = false, false, false
		}
		if c.FreeKnown && c.FreeBytes < g.FreeBytes {
			n.copies.GiveUp() // before others have to do without
			if free, _, err := inventory.Free(n.cfg.DataDir); err == nil {
				c.FreeBytes = free
			}
		}
		c.Away = n.awayAt() != ""
		n.linkChanged(c.WiFi)
		if now := g.relevant(c); now != told {
			told = now
			n.events.send(swarm.ConditionsChanged{Conditions: now})
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// relevant leaves out what no gate looks at.
func (g *Gates) relevant(c swarm.Conditions) swarm.Conditions {
	if g.CPUPercent == 0 {
		c.CPUPercent = 0
	}
	if g.DiskQueue == 0 {
		c.DiskQueue = 0
	}
	if g.YieldAbove == 0 {
		c.OtherBytes = 0
	}
	if g.FreeBytes == 0 {
		c.FreeKnown = false
	}
	if !c.FreeKnown {
		c.FreeBytes = 0
	}
	if c.FreeBytes > g.FreeBytes {
		c.FreeBytes -= c.FreeBytes % freeStep
		c.FreeBytes = max(c.FreeBytes, g.FreeBytes)
	}
	return c
}

// moved is the payload bytes that this node has sent and received, peers and web hosts together.
func (n *Node) moved() int64 {
	in, out := n.host.Traffic()
	sum := in + out
	for _, c := range n.web.ranged.Counts() {
		sum += c.Bytes
	}
	return sum
}
