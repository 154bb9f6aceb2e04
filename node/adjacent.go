package node

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// This file is the way between a site and its neighbour sites, those that the signed roster names for it: chunks and
// what is said about them pass, and nothing else. A site asks where the core wants it, the machines of the
// other one are found through a seed, and each of them looks into its own roster before it lets anybody in.

// adjacents keeps sessions with machines of neighbour sites while the core wants some.
type adjacents struct {
	n    *Node
	kick transport.Bell

	mu       sync.Mutex
	wanted   bool
	since    time.Time            // it changed
	told     bool                 // the core was told that nobody is there
	answered time.Time            // a seed last named machines
	askedAt  time.Time            // and was asked
	known    []nextDoor           // as seeds have named them
	ours     map[string]bool      // sessions that were opened from here
	wall     map[string][2]bool   // what the roster let a peer do when its session began: give, take
	pauses   map[string]time.Time // machines that are left alone until then; on a seed, those that have just asked
}

// nextDoor is where a machine of another site may be.
type nextDoor struct {
	Site string `json:"site"`
	ID   string `json:"id"`
	Addr string `json:"addr"`
}

const (
	maxAdjacent      = 2  // sessions with machines of neighbour sites that a machine opens
	maxNextDoor      = 64 // addresses that it remembers
	maxForeign       = 32 // sessions with machines of other sites that it has at all
	adjacentGrace    = 10 * time.Second
	adjacentDial     = 5 * time.Second
	adjacentPause    = 30 * time.Second // for a machine that was not reached or let go
	adjacentAskEvery = 10 * time.Second
	adjacentAnswer   = 700 * time.Millisecond // for seeds to say who is there
	maxPauses        = 4096
	nextDoorName     = "next-door"
)

func newAdjacents(n *Node) *adjacents {
	a := &adjacents{n: n, kick: transport.NewBell(), ours: map[string]bool{}, wall: map[string][2]bool{}, pauses: map[string]time.Time{}}
	if b, err := n.db.Value(nextDoorName); err == nil && json.Unmarshal(b, &a.known) != nil {
		a.known = nil // hints that cannot be read are none
	}
	return a
}

var (
	errCrowded  = errors.New("too many sessions with machines of other sites")
	errWallMove = errors.New("the signed roster says otherwise now")
)

// between says what the roster lets a machine of another site do here: give chunks, take chunks.
func (n *Node) between(site string) (wall [2]bool) {
	if n.seed != nil || site == n.member.Site {
		return wall
	}
	r := n.believer.current().Roster()
	return [2]bool{r.MayTake(n.member.Site, site), r.MayTake(site, n.member.Site)}
}

// admitAdjacent judges a machine of another site. errForeignSite, errCrowded.
func (n *Node) admitAdjacent(site string) error {
	if n.between(site) == [2]bool{} {
		return errForeignSite
	}
	if n.host != nil && len(n.foreignPeers()) >= maxForeign {
		return errCrowded
	}
	return nil
}

// foreignPeers are the sessions with machines of other sites.
func (n *Node) foreignPeers() []transport.Peer {
	if n.seed != nil {
		return nil
	}
	return slices.DeleteFunc(n.host.Peers(), func(p transport.Peer) bool { return p.Seed || p.Site == n.member.Site })
}

// newsPeers are the sessions over which news goes: all but those with machines of other sites.
func (n *Node) newsPeers() []transport.Peer {
	if n.seed != nil {
		return n.host.Peers()
	}
	return slices.DeleteFunc(n.host.Peers(), func(p transport.Peer) bool { return !p.Seed && p.Site != n.member.Site })
}

// isForeignPeer: a machine of another site that is no seed. On a seed nobody is.
func (n *Node) isForeignPeer(id string) bool {
	if n.seed != nil {
		return false
	}
	p := n.contacts.of(id)
	return !p.Seed && p.Site != n.member.Site
}

// passes says whether a message may come from another site: what is said about chunks, and nothing else.
func passes(m wire.Message) bool {
	switch m.Kind() {
	case wire.KindHave, wire.KindGained, wire.KindLost, wire.KindSynced, wire.KindGate:
		return true
	}
	return false
}

// adjacentUp tells the core of a machine of another site. It gets no news and no gossip.
func (n *Node) adjacentUp(p transport.Peer) {
	w := n.between(p.Site)
	n.adjacents.mu.Lock()
	n.adjacents.wall[p.ID] = w
	n.adjacents.mu.Unlock()
	if w == [2]bool{} { // the roster changed while it was being admitted
		n.host.Disconnect(p.ID, errForeignSite)
	} else if n.between(p.Site) != w { // it changed just now, and rosterChanged may not have seen this session
		n.host.Disconnect(p.ID, errWallMove)
	}
	n.contacts.met(p, n.member.Site, n.cfg.Now())
	n.events.send(swarm.PeerUp{Peer: swarm.PeerID(p.ID), Site: swarm.SiteID(p.Site), Gives: w[0], Takes: w[1]})
}

// down forgets a session.
func (a *adjacents) down(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.wall, id)
	if a.ours[id] {
		delete(a.ours, id)
		a.poke()
	}
}

// want is called by the loop.
func (a *adjacents) want(w bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wanted, a.since, a.told = w, a.n.cfg.Now(), false
	a.poke()
}

// unlink ends the session with a peer that the core has no use for. One that the other side has opened and takes
// from stays open.
func (a *adjacents) unlink(id string, why policy.Reason) {
	a.mu.Lock()
	ours, takes := a.ours[id], a.wall[id][1]
	if _, foreign := a.wall[id]; foreign {
		a.pause(id, adjacentPause)
	}
	a.mu.Unlock()
	if why == policy.ReasonPeerNoneHolds && takes && !ours {
		return
	}
	a.n.host.Disconnect(id, errors.New(string(why)))
}

// pause leaves a machine alone for a while; false: it is left alone already. The caller holds mu.
func (a *adjacents) pause(id string, d time.Duration) bool {
	now := a.n.cfg.Now()
	if now.Before(a.pauses[id]) {
		return false
	}
	if len(a.pauses) >= maxPauses {
		clear(a.pauses) // they are shorter than it takes to make so many
	}
	a.pauses[id] = now.Add(d)
	return true
}

func (a *adjacents) poke() {
	a.kick.Ring()
}

// run opens and closes sessions.
func (a *adjacents) run(ctx context.Context) {
	a.tellAllowed()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-a.kick:
		}
		a.round(ctx)
	}
}

func (a *adjacents) round(ctx context.Context) {
	up := map[string]bool{}
	for _, p := range a.n.foreignPeers() {
		up[p.ID] = true
	}
	now := a.n.cfg.Now()
	a.mu.Lock()
	have := 0
	for id := range a.ours {
		if up[id] {
			have++
		}
	}
	wanted, unused := a.wanted, !a.wanted && now.Sub(a.since) >= adjacentGrace
	ask := wanted && have < maxAdjacent && now.Sub(a.askedAt) >= adjacentAskEvery
	a.mu.Unlock()
	switch {
	case unused:
		a.closeOurs()
	case wanted && have < maxAdjacent:
		if ask {
			a.ask()
		}
		if got := a.dial(ctx, a.due(maxAdjacent-have, up)); got+have == 0 {
			a.nobody()
		}
	}
}

// ask has the seeds name machines.
func (a *adjacents) ask() {
	asked := false
	for _, p := range a.n.host.Peers() {
		if p.Seed {
			a.n.tell(swarm.PeerID(p.ID), wire.SitePeers{})
			asked = true
		}
	}
	if asked {
		a.mu.Lock()
		a.askedAt = a.n.cfg.Now()
		a.mu.Unlock()
	}
}

// due draws machines to dial.
func (a *adjacents) due(most int, up map[string]bool) []nextDoor {
	now, sites := a.n.cfg.Now(), a.n.believer.current().Roster().Neighbours(a.n.member.Site)
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []nextDoor
	for _, i := range rand.Perm(len(a.known)) {
		k := a.known[i]
		if len(out) < most && slices.Contains(sites, k.Site) && !up[k.ID] && !now.Before(a.pauses[k.ID]) && !a.n.isRevoked(k.ID) {
			out = append(out, k)
		}
	}
	return out
}

// dial tries machines, all at once, and says how many answered.
func (a *adjacents) dial(ctx context.Context, list []nextDoor) int {
	ctx, cancel := context.WithTimeout(ctx, adjacentDial)
	defer cancel()
	done := make(chan bool)
	for _, k := range list {
		a.n.work(func() {
			a.mu.Lock()
			a.ours[k.ID] = true // before it is up: it may be down again at once
			a.mu.Unlock()
			_, err := a.n.host.Connect(ctx, k.ID, k.Addr)
			if err != nil {
				a.n.log.Debug("machine of a neighbour site not reached", "site", k.Site, "peer", k.ID, "addr", k.Addr, "err", err)
				a.mu.Lock()
				delete(a.ours, k.ID)
				a.pause(k.ID, adjacentPause)
				a.mu.Unlock()
			}
			done <- err == nil
		})
	}
	got := 0
	for range list {
		if <-done {
			got++
		}
	}
	return got
}

// nobody tells the core, once for each wish, that no machine of a neighbour site can be reached. Seeds are given a
// moment to name some.
func (a *adjacents) nobody() {
	now := a.n.cfg.Now()
	a.mu.Lock()
	wait := a.answered.Before(a.since) && now.Sub(a.since) < adjacentAnswer
	tell := a.wanted && !wait && !a.told
	a.told = a.told || tell
	a.mu.Unlock()
	if tell {
		a.n.events.send(swarm.AdjacentFailed{})
	}
}

// closeOurs ends the sessions that were opened from here.
func (a *adjacents) closeOurs() {
	a.mu.Lock()
	var ids []string
	for id := range a.ours {
		ids = append(ids, id)
	}
	a.mu.Unlock()
	for _, id := range ids {
		a.n.host.Disconnect(id, errNotNeeded)
	}
}

// arrived: a seed names machines of a neighbour site. It is a hint: what answers there must show the certificate
// of that site.
func (a *adjacents) arrived(from string, m wire.SitePeers) {
	if !a.n.isSeed(from) || m.Site == "" {
		return
	}
	b, err := json.Marshal(a.learn(m, a.n.reach.Load()))
	if err == nil {
		_ = a.n.db.PutValue(nextDoorName, b) // a hint for the next time without a seed
	}
	a.poke()
}

// learn replaces what is known of a site and returns all that is known then.
func (a *adjacents) learn(m wire.SitePeers, r *reach) []nextDoor {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered = a.n.cfg.Now()
	a.known = slices.DeleteFunc(a.known, func(k nextDoor) bool { return k.Site == m.Site })
	for _, p := range m.Peers {
		if _, err := r.checkBeside(p.Addr); err != nil {
			a.n.outside(p.ID, p.Addr, err)
			continue
		}
		if p.ID != "" && p.ID != a.n.id && len(a.known) < maxNextDoor {
			a.known = append(a.known, nextDoor{Site: m.Site, ID: p.ID, Addr: p.Addr})
		}
	}
	return slices.Clone(a.known)
}

// sitePeers is the message of both directions: a question to a seed, or its answer.
func (n *Node) sitePeers(from string, m wire.SitePeers) {
	if n.seed == nil {
		n.adjacents.arrived(from, m)
		return
	}
	n.adjacents.mu.Lock()
	early := !n.adjacents.pause(from, adjacentAskEvery/2)
	n.adjacents.mu.Unlock()
	if early {
		return // one that asks without end must not keep a seed busy
	}
	site := n.contacts.of(from).Site
	for _, o := range n.believer.current().Roster().Neighbours(site) {
		out := wire.SitePeers{Site: o}
		for _, p := range n.host.Peers() {
			if p.Site == o && !p.Seed && len(out.Peers) < 8 {
				out.Peers = append(out.Peers, wire.PeerAddr{ID: p.ID, Addr: p.Addr})
			}
		}
		for _, p := range n.seed.recentAddrs(o, "", 16) {
			if len(out.Peers) < 16 && !slices.ContainsFunc(out.Peers, func(q wire.PeerAddr) bool { return q.ID == p.ID }) && !n.isSeed(p.ID) {
				out.Peers = append(out.Peers, p)
			}
		}
		n.tell(swarm.PeerID(from), out)
	}
}

// tellAllowed tells the core whether there are neighbour sites.
func (a *adjacents) tellAllowed() {
	sites := a.n.believer.current().Roster().Neighbours(a.n.member.Site)
	a.n.events.send(swarm.AdjacentAllowed{Allowed: a.n.seed == nil && len(sites) > 0})
}

// rosterChanged ends sessions that the roster in force sees in another way than the one they began under.
func (a *adjacents) rosterChanged() {
	if a.n.seed != nil {
		return
	}
	for _, p := range a.n.foreignPeers() {
		a.mu.Lock()
		w, known := a.wall[p.ID]
		a.mu.Unlock()
		if now := a.n.between(p.Site); now == [2]bool{} || known && now != w {
			a.n.log.Info("session with another site ends", "peer", p.ID, "site", api.Clean(p.Site))
			a.n.host.Disconnect(p.ID, errWallMove)
		}
	}
	a.n.foreign.forget()
	a.n.work(a.tellAllowed)
}
