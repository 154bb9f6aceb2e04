package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/node/transport"
	"patchmesh/policy"
)

// Lock-out. A revocation is an entry in the signed roster, so it spreads like any news and resists
// rollback. Whoever verifies it ends what it has with that machine and takes nothing of it any more.

// errRevoked is a machine that the roster has locked out.
var errRevoked = transport.ErrRevoked

func revokedError(v policy.Revocation) error {
	if v.Reason == "" {
		return fmt.Errorf("%w on %s", errRevoked, v.At.Format(time.DateOnly))
	}
	return fmt.Errorf("%w on %s: %s", errRevoked, v.At.Format(time.DateOnly), v.Reason)
}

func (n *Node) isRevoked(peerID string) bool {
	return peerID != "" && n.believer.current().Roster().IsRevoked(peerID)
}

// allowed is asked right after TLS, before a peer may say anything, and before every dial.
func (n *Node) allowed(peerID string) bool {
	return !n.isRevoked(peerID) && !n.foreign.is(peerID, n.cfg.Now())
}

// farewell is what a refused peer is told: the locked-out hear why, others nothing.
func (n *Node) farewell(peerID string) string {
	if v, ok := n.believer.current().Roster().Revocation(peerID); ok {
		return api.Clean(revokedError(v).Error())
	}
	return ""
}

// trustChanged follows a newly adopted trust: sessions, addresses and gossip of machines that are
// locked out end, and what the roster says of keys and places counts at once.
func (n *Node) trustChanged(t *policy.Trust) {
	n.raiseAlarms()
	n.renewReach()
	if n.host == nil {
		return
	}
	for _, p := range n.host.Peers() {
		n.expelled(p.ID)
	}
	for _, v := range t.Roster().Revoked {
		n.forget(v.Peer)
	}
	n.judgeSelf(t)
	n.renewal.look()
	n.mule.look()
	n.adjacents.rosterChanged()
	n.limits.poke()
	n.applyGossipKeys()
	n.askGossipKey("")
}

// expelled ends the session with a peer that is locked out; false: it may stay.
func (n *Node) expelled(peerID string) bool {
	v, ok := n.believer.current().Roster().Revocation(peerID)
	if !ok {
		return false
	}
	n.host.Disconnect(peerID, revokedError(v))
	return true
}

// forget drops every address of a machine that is locked out.
func (n *Node) forget(peerID string) {
	if err := n.db.DropPeer(peerID); err != nil {
		n.log.Warn("addresses not forgotten", "peer", peerID, "err", err)
	}
	n.connector.forget(peerID)
	if n.gossip != nil {
		n.gossip.Block(peerID)
	}
	if n.seed != nil {
		n.seed.forgetAddr(peerID)
	}
}

// lockout is what this machine knows of its own revocation.
type lockout struct {
	detail   string
	verified bool // by a signed roster; else a peer says so
}

// judgeSelf looks for this machine in the roster. All state is kept: an admin may let it in again.
func (n *Node) judgeSelf(t *policy.Trust) {
	v, ok := t.Roster().Revocation(n.id)
	switch was := n.locked.Load(); {
	case ok:
		l := &lockout{detail: api.Clean(revokedError(v).Error()), verified: true}
		if was == nil || !was.verified {
			n.log.Error("this machine was locked out of the mesh by its admin; its state is kept", "why", l.detail)
		}
		n.locked.Store(l)
	case was != nil && was.verified: // what only a peer has said, a peer takes back
		n.locked.Store(nil)
		n.log.Info("this machine is welcome in the mesh again")
	}
}

// toldRevoked: a peer says that this machine is locked out. It may lie, so it is shown and changes
// nothing else; a session with anybody takes it back.
func (n *Node) toldRevoked(peerID string, err error) {
	if !errors.Is(err, errRevoked) || n.isRevoked(peerID) {
		return
	}
	if l := n.locked.Load(); l == nil {
		n.log.Error("a peer says that this machine was locked out of the mesh", "peer", peerID, "why", err)
		n.locked.CompareAndSwap(nil, &lockout{detail: api.Clean(fmt.Sprintf("%s: %v", peerID, err))})
	}
}

// welcomed: somebody has admitted this machine.
func (n *Node) welcomed() {
	if l := n.locked.Load(); l != nil && !l.verified {
		n.locked.CompareAndSwap(l, nil)
	}
}

// foreigners remembers peers of other sites that were turned away, so that their next attempts end
// right after TLS. The time is short: a machine may move to this site.
type foreigners struct {
	mu sync.Mutex
	at map[string]time.Time
}

const (
	foreignFor    = time.Minute
	maxForeigners = 1024
)

func (f *foreigners) knocked(id string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == nil {
		f.at = map[string]time.Time{}
	}
	if len(f.at) >= maxForeigners {
		clear(f.at)
	}
	f.at[id] = now
}

// forget lets all knock again: the roster may let them in now.
func (f *foreigners) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.at)
}

func (f *foreigners) is(id string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.at[id]
	if ok && now.Sub(at) >= foreignFor {
		delete(f.at, id)
		return false
	}
	return ok
}

// outside notes an address that is not dialled, so that an admin whose site is wider than this
// machine can see finds out why.
func (n *Node) outside(id, addr string, err error) {
	level := slog.LevelDebug
	if n.outsideNoted.CompareAndSwap(false, true) {
		level = slog.LevelWarn
	}
	n.log.Log(n.ctx, level, "address not dialled; see --site-prefix", "peer", api.Clean(id), "addr", api.Clean(addr), "err", err)
}

// admissionEvery is how often interfaces, keys and sessions are looked at again.
const admissionEvery = 2 * time.Second

// keepAdmission repeats what events may have missed.
func (n *Node) keepAdmission(ctx context.Context) {
	n.judgeSelf(n.believer.current())
	n.applyGossipKeys()
	t := time.NewTicker(admissionEvery)
	defer t.Stop()
	for round := 1; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		n.applyGossipKeys() // a time stated in the roster may have come
		n.askGossipKey("")
		if round%10 == 0 {
			n.renewReach()
		}
	}
}

// Revoke implements api.Service.
func (n *Node) Revoke(_ context.Context, r api.RevokeRequest) (*api.Revoked, error) {
	return onSeed(n.seed, func(s *seed) (*api.Revoked, error) { return s.revoke(r) })
}

// revoke publishes a roster without, or again with, a machine.
func (s *seed) revoke(r api.RevokeRequest) (*api.Revoked, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(r.Reason) > policy.MaxReasonText || api.Clean(r.Reason) != r.Reason {
		return nil, api.Errorf(api.ClassUsage, "the reason must be one line of at most %d bytes", policy.MaxReasonText)
	}
	t := s.believer.current()
	m, err := s.findMachine(t.Roster(), r.Machine)
	if err != nil {
		return nil, err
	}
	out := &api.Revoked{ID: m.ID, Name: m.Name, Site: m.Site, Undone: r.Undo}
	was, revoked := t.Roster().Revocation(m.ID)
	if r.Undo {
		if !revoked {
			return nil, api.Errorf(api.ClassNotFound, "machine %s is not revoked", m.Name)
		}
		next, _ := t.Roster().Unrevoke(m.ID)
		return out, s.publish(t, nil, next)
	}
	if revoked {
		out.Reason, out.At, out.Unchanged = was.Reason, was.At, true
		return out, nil
	}
	v := policy.Revocation{Peer: m.ID, Serial: m.Serial, At: s.now(), Until: s.now().Add(certLife + renewGrace), Reason: r.Reason}
	if end := m.NotAfter.Add(renewGrace); end.After(v.Until) {
		v.Until = end
	}
	next, err := t.Roster().Revoke(v)
	if errors.Is(err, policy.ErrTooLarge) {
		return nil, api.Errorf(api.ClassRefused, "the roster holds %d revocations already, which is all it can", policy.MaxRevocations).
			WithHint("those of machines whose certificates ended long ago go by themselves; a new enrolment key locks out everybody at once")
	}
	if err != nil {
		return nil, err
	}
	// What the machine knows of gossip is worth nothing soon.
	next.Gossip = s.nextGossip(next.Gossip, rotateOnRevoke)
	out.Reason, out.At = v.Reason, v.At.UTC().Truncate(time.Second)
	return out, s.publish(t, nil, next)
}

// findMachine finds a machine by id or by a name that only one has. Seeds are not among those that
// can be revoked.
func (s *seed) findMachine(roster *policy.Roster, name string) (state.MemberRow, error) {
	members, err := s.db.Members()
	if err != nil {
		return state.MemberRow{}, err
	}
	var found []state.MemberRow
	for _, m := range members {
		if m.ID == name {
			found = []state.MemberRow{m}
			break
		}
		if m.Name == name {
			found = append(found, m)
		}
	}
	if v, ok := roster.Revocation(name); ok && len(found) == 0 {
		found = append(found, state.MemberRow{ID: v.Peer, Name: v.Peer, Serial: v.Serial})
	}
	isSeed := func(id string) bool {
		return slices.ContainsFunc(roster.Seeds, func(e policy.SeedEntry) bool { return e.Peer == id })
	}
	switch {
	case isSeed(name), len(found) == 1 && isSeed(found[0].ID), len(found) == 0 && name == s.member.Name:
		return state.MemberRow{}, api.Errorf(api.ClassRefused, "%s is a seed: it signs the list of revocations itself", api.Clean(name)).
			WithHint("replace its online keys with 'patchmesh root rotate' instead")
	case len(found) == 0:
		return state.MemberRow{}, api.Errorf(api.ClassNotFound, "no machine %q is enrolled here", api.Clean(name)).
			WithHint("'patchmesh status' lists the machines by name, 'patchmesh status --json' with their ids")
	case len(found) > 1:
		ids := ""
		for _, m := range found[:min(len(found), 4)] {
			ids += " " + m.ID
		}
		return state.MemberRow{}, api.Errorf(api.ClassUsage, "%d machines are called %s:%s", len(found), api.Clean(name), ids).
			WithHint("name the one that is meant by its id")
	}
	return found[0], nil
}

func (s *seed) forgetAddr(id string) {
	s.seenMu.Lock()
	delete(s.addrs, id)
	s.seenMu.Unlock()
}
