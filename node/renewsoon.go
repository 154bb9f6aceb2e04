package node

import (
	"errors"
	mrand "math/rand/v2"
	"time"

	"patchmesh/node/enrol"
	"patchmesh/node/transport"
)

// When a renewal does not wait for half life: the key that has signed the own certificate was withdrawn,
// or others show certificates of a key that this machine has never heard of, as after a withdrawal that it
// has slept through. And what becomes of sessions with those who have not renewed.

const (
	// withdrawnSpread is over how long a whole site asks.
	withdrawnSpread = 3 * time.Second
	// withdrawnGrace lets the roster pass on over the sessions that it ends. A stranger with a stolen key is
	// refused at once; one that was in already stays so long.
	withdrawnGrace = 15 * time.Second
	// doubtPause bounds what anybody can cause who shows made-up certificates.
	doubtPause = 10 * time.Minute
)

// withdrawn: the key that has signed the own certificate counts no more; mu is held.
func (r *renewal) withdrawn() bool {
	return !issuerCounts(r.n.believer.current().Roster(), r.own.Issuer)
}

// hurry brings the renewal forward once for a withdrawn issuer; mu is held.
func (r *renewal) hurry() {
	if !r.withdrawn() || r.hurried == r.own.Issuer {
		return
	}
	r.hurried, r.fails, r.nextAt = r.own.Issuer, 0, r.n.cfg.Now()
	if r.n.seed == nil {
		r.nextAt = r.nextAt.Add(mrand.N(withdrawnSpread))
	}
}

// look makes run look at once whether there is something to do.
func (r *renewal) look() {
	r.kick.Ring()
}

// unknownIssuer: a peer has shown a certificate that would be good, but for the key that has signed it.
func (r *renewal) unknownIssuer() { r.doubt() }

// turnedAway: a peer did not admit this machine. That says little while others do.
func (r *renewal) turnedAway(err error) {
	if errors.Is(err, transport.ErrNotAdmitted) && len(r.n.host.Peers()) == 0 {
		r.doubt()
	}
}

// doubt asks the seed for the documents of today, with a renewal. It is a hint and no more: what comes is
// sealed by the seed and verified as always.
func (r *renewal) doubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.n.cfg.Now()
	if r.n.seed != nil || r.doubted || !r.doubtedAt.IsZero() && now.Sub(r.doubtedAt) < doubtPause && !now.Before(r.doubtedAt) {
		return
	}
	r.doubted, r.doubtedAt = true, now
	if at := now.Add(mrand.N(withdrawnSpread)); at.Before(r.nextAt) {
		r.nextAt = at
	}
	r.look()
}

// answered ends a doubt when the seed gave the same certificate again: it is still the right one. False if
// there was none.
func (r *renewal) answered() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.doubted
	if was {
		r.set(r.cert, r.own)
	}
	return was
}

// showed notes what the certificate of a peer says. A later hello with a newer one counts.
func (r *renewal) showed(peer string, c enrol.Certificate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.peers) >= maxCertificates {
		clear(r.peers) // those are dropped no more, until they say hello again
	}
	r.peers[peer] = shown{cert: c}
}

// dropLapsed ends sessions with peers whose certificate has lapsed while they were connected, or whose
// issuer was withdrawn. One that has renewed connects again at once and shows its new certificate.
func (r *renewal) dropLapsed() {
	n := r.n
	over := map[string]error{}
	roster, now := n.believer.current().Roster(), n.cfg.Now()
	r.mu.Lock()
	for id, p := range r.peers {
		switch {
		case p.cert.NotAfter.Add(r.late(p.cert)).Before(now.Add(-lapseGrace)):
			over[id] = errLapsedPeer
		case issuerCounts(roster, p.cert.Issuer):
		case p.withdrawnAt.IsZero():
			p.withdrawnAt = now
			r.peers[id] = p
		case now.Sub(p.withdrawnAt) >= withdrawnGrace || now.Before(p.withdrawnAt):
			over[id] = errWithdrawnPeer
		}
		if over[id] != nil {
			delete(r.peers, id)
		}
	}
	r.mu.Unlock()
	for id, why := range over {
		n.host.Disconnect(id, why)
	}
}

var (
	errLapsedPeer    = errors.New("its membership has lapsed")
	errWithdrawnPeer = errors.New("the key that has signed its membership was withdrawn")
)
