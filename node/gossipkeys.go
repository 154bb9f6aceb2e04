package node

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// Gossip keys by epoch. The seed makes a key for every site and epoch from its secret and states in
// the roster what each hashes to and when it counts. Members ask each other for keys over certified
// sessions, so nobody needs gossip to get one, and a machine that was away comes back by itself.

// rotation says how an epoch follows the one before.
type rotation struct {
	lead    time.Duration // from publication until machines seal with the new key
	overlap time.Duration // for so long they still open with the old one
}

var (
	// rotateOnRevoke: the machine that was locked out knows the old key. A minute is plenty for all
	// sessions to hand the new one on; ten more for those that are slow to hear of it.
	rotateOnRevoke = rotation{lead: time.Minute, overlap: 10 * time.Minute}
	// rotateByTime waits for machines that are off over the weekend.
	rotateByTime = rotation{lead: 24 * time.Hour, overlap: 7 * 24 * time.Hour}
)

const (
	gossipEpochLife = 30 * 24 * time.Hour
	gossipKeysKey   = "gossip-keys"
	maxHeldKeys     = policy.MaxGossipEpochs + 1
	keyAskPause     = time.Second
	keyAnswerPause  = 250 * time.Millisecond // per peer
)

// epochGossipKey derives a site's key of an epoch from the organisation's secret (RFC 5869). Who
// knows the key of one epoch or site learns nothing of another.
func epochGossipKey(secret []byte, site string, epoch uint64) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, fmt.Sprintf("patchmesh gossip site %s epoch %d", site, epoch), wire.GossipKeyBytes)
}

// gossipEpoch states one epoch for sites, in order.
func gossipEpoch(secret []byte, org string, sites []string, id uint64, useAt time.Time) (policy.GossipEpoch, error) {
	g := policy.GossipEpoch{ID: id, UseAt: useAt.UTC().Truncate(time.Second)}
	for _, site := range sites[:min(len(sites), policy.MaxSites)] {
		key, err := epochGossipKey(secret, site, id)
		if err != nil {
			return g, fmt.Errorf("gossip key of site %s: %w", site, err)
		}
		g.Keys = append(g.Keys, policy.GossipKeySum{Site: site, Sum: policy.SumGossipKey(org, site, id, key)})
	}
	return g, nil
}

// nextGossip adds an epoch for all sites. With too many, the oldest goes before its time: who has
// none but that one asks for another.
func (s *seed) nextGossip(old []policy.GossipEpoch, r rotation) []policy.GossipEpoch {
	now, id := s.now(), uint64(1)
	useAt := now
	out := slices.Clone(old)
	if len(out) > 0 {
		id, useAt = out[len(out)-1].ID+1, now.Add(r.lead)
	}
	useAt = useAt.UTC().Truncate(time.Second)
	for i := range out { // also those that a slower rotation gave more time
		if end := useAt.Add(r.overlap); out[i].EndAt.IsZero() || out[i].EndAt.After(end) {
			out[i].EndAt = end
		}
		if out[i].UseAt.After(useAt) {
			out[i].UseAt = useAt
		}
	}
	g, err := gossipEpoch(s.gossip, s.member.Org, s.sites(), id, useAt)
	if err != nil {
		return old
	}
	out = append(out, g)
	return out[max(0, len(out)-policy.MaxGossipEpochs):]
}

// sites are those that have or await machines, in order.
func (s *seed) sites(more ...string) []string {
	all := append([]string{s.member.Site}, more...)
	if members, err := s.db.Members(); err == nil {
		for _, m := range members {
			all = append(all, m.Site)
		}
	}
	for _, g := range s.believer.current().Roster().Gossip {
		for _, k := range g.Keys {
			all = append(all, k.Site)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// readyGossip makes sure that the roster states the keys of a site. Empty: of all sites, and an
// epoch that has served its time is followed by the next.
func (s *seed) readyGossip(site string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.believer.current()
	r := *t.Roster()
	if len(r.Gossip) == 0 {
		r.Gossip = s.nextGossip(nil, rotateByTime)
		return s.publish(t, nil, &r)
	}
	newest := r.Gossip[len(r.Gossip)-1]
	if site == "" {
		if s.now().Sub(newest.UseAt) < gossipEpochLife {
			return nil
		}
		r.Gossip = s.nextGossip(r.Gossip, rotateByTime)
		return s.publish(t, nil, &r)
	}
	if _, ok := newest.SumOf(site); ok {
		return nil
	}
	r.Gossip = slices.Clone(r.Gossip)
	for i, g := range r.Gossip {
		full, err := gossipEpoch(s.gossip, s.member.Org, s.sites(site), g.ID, g.UseAt)
		if err != nil {
			return err
		}
		r.Gossip[i].Keys = full.Keys
	}
	return s.publish(t, nil, &r)
}

// enrolGossipKey is the key that a new machine begins with: the one in use.
func (s *seed) enrolGossipKey(site string) ([]byte, error) {
	id := uint64(1)
	for i, g := range s.believer.current().Roster().Gossip {
		if i == 0 || !s.now().Before(g.UseAt) {
			id = g.ID
		}
	}
	return epochGossipKey(s.gossip, site, id)
}

// keyPlan is what to do with the keys at hand.
type keyPlan struct {
	use  []byte   // to seal with; nil: no key at all
	also [][]byte // to open with besides
	lack []uint64 // epochs whose key is missing, newest first
}

// planKeys matches keys with what the roster states. Whatever is missing, some key stays in use: a
// wrong one costs gossip, and sessions do not need it.
func planKeys(org, site string, epochs []policy.GossipEpoch, held [][]byte, now time.Time) keyPlan {
	var p keyPlan
	for i := len(epochs) - 1; i >= 0; i-- { // newest first
		g := epochs[i]
		sum, stated := g.SumOf(site)
		if !stated || !g.EndAt.IsZero() && !now.Before(g.EndAt) {
			continue
		}
		j := slices.IndexFunc(held, func(k []byte) bool { return policy.SumGossipKey(org, site, g.ID, k) == sum })
		switch {
		case j < 0:
			p.lack = append(p.lack, g.ID)
		case p.use == nil && !now.Before(g.UseAt):
			p.use = held[j]
		default:
			p.also = append(p.also, held[j])
		}
	}
	if n := len(p.also); p.use == nil && n > 0 { // none of them counts yet: the one that will be first
		p.use, p.also = p.also[n-1], p.also[:n-1]
	}
	if n := len(held); p.use == nil && n > 0 {
		p.use = held[n-1]
	}
	return p
}

// gossipKeys are the keys at hand, oldest first.
type gossipKeys struct {
	mu       sync.Mutex
	held     [][]byte
	askedAt  time.Time
	turn     int
	answered map[string]time.Time
}

// loadGossipKeys reads what is kept. The key of the enrolment is always among them.
func (n *Node) loadGossipKeys() error {
	k := &n.gossipKeys
	k.held = [][]byte{n.member.GossipKey}
	b, err := n.db.Value(gossipKeysKey)
	if errors.Is(err, state.ErrNotFound) || err == nil && len(b) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	var kept [][]byte
	if err := json.Unmarshal(b, &kept); err != nil {
		n.log.Warn("kept gossip keys cannot be read; members are asked for them again", "err", err)
		return nil
	}
	for _, key := range kept[:min(len(kept), maxHeldKeys)] {
		if len(key) == wire.GossipKeyBytes {
			k.held = append(k.held, key)
		}
	}
	return nil
}

func (n *Node) keyPlan() keyPlan {
	k := &n.gossipKeys
	k.mu.Lock()
	defer k.mu.Unlock()
	if n.seed != nil { // it makes its own
		for _, g := range n.believer.current().Roster().Gossip {
			key, err := epochGossipKey(n.seed.gossip, n.member.Site, g.ID)
			if err == nil && !slices.ContainsFunc(k.held, func(h []byte) bool { return string(h) == string(key) }) {
				k.held = append(k.held, key)
			}
		}
		k.held = k.held[max(0, len(k.held)-maxHeldKeys):]
	}
	return planKeys(n.member.Org, n.member.Site, n.believer.current().Roster().Gossip, k.held, n.cfg.Now())
}

// applyGossipKeys gives memberlist the keys of this moment: new ones are added, then used, and only
// then do old ones go.
func (n *Node) applyGossipKeys() {
	if n.gossip == nil {
		return
	}
	p := n.keyPlan()
	if p.use == nil {
		return
	}
	if err := n.gossip.SetKeys(p.use, p.also...); err != nil {
		n.log.Warn("gossip keys not changed", "err", err)
	}
}

// askGossipKey asks one member for the newest key that is missing: the given one, or the next in
// turn. Another round follows until nothing is missing.
func (n *Node) askGossipKey(peerID string) {
	if n.gossip == nil || n.seed != nil {
		return
	}
	p := n.keyPlan()
	if len(p.lack) == 0 {
		return
	}
	k, now := &n.gossipKeys, n.cfg.Now()
	k.mu.Lock()
	if peerID == "" && now.Sub(k.askedAt) < keyAskPause && !now.Before(k.askedAt) {
		k.mu.Unlock()
		return
	}
	k.askedAt = now
	k.turn++
	turn := k.turn
	k.mu.Unlock()
	if peerID == "" {
		var may []string
		for _, q := range n.host.Peers() {
			if q.Site == n.member.Site || q.Seed {
				may = append(may, q.ID)
			}
		}
		if len(may) == 0 {
			return
		}
		peerID = may[turn%len(may)]
	}
	n.tell(swarm.PeerID(peerID), wire.GossipKeyAsk{Epoch: p.lack[turn%len(p.lack)]})
}

// gossipKeyAsked hands a key over: to machines of the site it belongs to, and to nobody else. The
// session has shown who asks.
func (n *Node) gossipKeyAsked(from string, m wire.GossipKeyAsk) {
	site, ok := n.siteOfPeer(from)
	k, now := &n.gossipKeys, n.cfg.Now()
	k.mu.Lock()
	if k.answered == nil || len(k.answered) > 4096 {
		k.answered = map[string]time.Time{}
	}
	early := now.Sub(k.answered[from]) < keyAnswerPause
	k.answered[from] = now
	k.mu.Unlock()
	if !ok || early || n.isRevoked(from) {
		return
	}
	key := n.gossipKeyOf(site, m.Epoch)
	if len(key) != wire.GossipKeyBytes {
		return
	}
	n.tell(swarm.PeerID(from), wire.GossipKey{Epoch: m.Epoch, Key: [wire.GossipKeyBytes]byte(key)})
}

// gossipKeyOf is the key of a site in an epoch that the roster names; nil if it is not here.
func (n *Node) gossipKeyOf(site string, epoch uint64) []byte {
	roster := n.believer.current().Roster()
	i := slices.IndexFunc(roster.Gossip, func(g policy.GossipEpoch) bool { return g.ID == epoch })
	if i < 0 {
		return nil
	}
	sum, ok := roster.Gossip[i].SumOf(site)
	if !ok {
		return nil
	}
	if n.seed != nil {
		key, err := epochGossipKey(n.seed.gossip, site, epoch)
		if err != nil {
			return nil
		}
		return key
	}
	k := &n.gossipKeys
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range k.held {
		if site == n.member.Site && policy.SumGossipKey(n.member.Org, site, epoch, key) == sum {
			return key
		}
	}
	return nil
}

// gossipKeyArrived keeps a key that the roster vouches for.
func (n *Node) gossipKeyArrived(from string, m wire.GossipKey) {
	if !slices.Contains(n.keyPlan().lack, m.Epoch) {
		return // not asked for, or another member was faster
	}
	for _, g := range n.believer.current().Roster().Gossip {
		if g.ID != m.Epoch {
			continue
		}
		if sum, ok := g.SumOf(n.member.Site); !ok || policy.SumGossipKey(n.member.Org, n.member.Site, g.ID, m.Key[:]) != sum {
			n.refuse(from, policy.ReasonTrustUnknownKey, "gossip key of another value than the roster states")
			return
		}
		k := &n.gossipKeys
		k.mu.Lock()
		k.held = append(k.held, m.Key[:])
		k.held = k.held[max(0, len(k.held)-maxHeldKeys):]
		b, err := json.Marshal(k.held)
		k.mu.Unlock()
		if err == nil {
			err = n.db.PutValue(gossipKeysKey, b)
		}
		if err != nil {
			n.log.Warn("gossip key not kept; it will be asked for again after a restart", "err", err)
		}
		n.log.Info("new gossip key", "epoch", m.Epoch, "from", from)
		n.applyGossipKeys()
		n.rejoinThrough(from)
	}
}

// rejoinThrough brings this machine back into the member list with a key that works again.
func (n *Node) rejoinThrough(peerID string) {
	for _, p := range n.host.Peers() {
		if p.ID == peerID && n.gossip != nil && p.Site == n.member.Site {
			n.work(func() { n.gossipJoin(p) })
		}
	}
}

// siteOfPeer is the site that the certificate of a connected peer names.
func (n *Node) siteOfPeer(id string) (string, bool) {
	for _, p := range n.host.Peers() {
		if p.ID == id {
			return p.Site, true
		}
	}
	return "", false
}
