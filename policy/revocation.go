package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Revocation locks one machine out of the mesh.
type Revocation struct {
	Peer   string    `json:"peer"`             // peer id
	Serial uint64    `json:"serial,omitempty"` // of its newest certificate; 0 if none was known
	At     time.Time `json:"at"`
	// Until is when the entry may go: by then every certificate of the machine has been expired for
	// so long that it cannot even be renewed.
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty"`
}

// Limits of the revocations in a roster. Entries go once they are past Until, so that a roster does
// not grow for ever: see Revocation.
const (
	MaxRevocations    = 16384
	MaxReasonText     = 100 // bytes
	maxRevokedPeerLen = 128
)

// Revocation finds the entry of a peer.
func (r *Roster) Revocation(peer string) (Revocation, bool) {
	i, ok := slices.BinarySearchFunc(r.Revoked, peer, func(v Revocation, peer string) int { return cmp.Compare(v.Peer, peer) })
	if !ok {
		return Revocation{}, false
	}
	return r.Revoked[i], true
}

// IsRevoked says whether a peer is locked out.
func (r *Roster) IsRevoked(peer string) bool {
	_, ok := r.Revocation(peer)
	return ok
}

// Revoke gives the roster with one more entry, or with the entry of that peer replaced. The receiver
// stays as it is: others read it. ErrFormat, ErrTooLarge when the list is full.
func (r *Roster) Revoke(v Revocation) (*Roster, error) {
	v.At, v.Until = stamp(v.At), stamp(v.Until)
	next := *r
	next.Revoked = slices.DeleteFunc(slices.Clone(r.Revoked), func(o Revocation) bool { return o.Peer == v.Peer })
	next.Revoked = append(next.Revoked, v)
	slices.SortFunc(next.Revoked, func(a, b Revocation) int { return cmp.Compare(a.Peer, b.Peer) })
	if err := checkRevoked(next.Revoked); err != nil {
		return nil, fmt.Errorf("revoke %.60q: %w", v.Peer, err)
	}
	return &next, nil
}

// Unrevoke gives the roster without the entry of a peer; false if there is none.
func (r *Roster) Unrevoke(peer string) (*Roster, bool) {
	if !r.IsRevoked(peer) {
		return r, false
	}
	next := *r
	next.Revoked = slices.DeleteFunc(slices.Clone(r.Revoked), func(o Revocation) bool { return o.Peer == peer })
	return &next, true
}

// prune drops what has served its time, on a copy: revocations past their end and gossip epochs
// that nobody may use any more.
func (r *Roster) prune(now time.Time) {
	r.Revoked = slices.DeleteFunc(slices.Clone(r.Revoked), func(v Revocation) bool { return now.After(v.Until) })
	if len(r.Brakes) > 0 {
		r.Brakes = slices.DeleteFunc(slices.Clone(r.Brakes), func(b Brake) bool { return !now.Before(b.Until) })
	}
	r.Gossip = slices.DeleteFunc(slices.Clone(r.Gossip), func(g GossipEpoch) bool {
		return !g.EndAt.IsZero() && now.After(g.EndAt)
	})
}

func checkRevoked(all []Revocation) error {
	if len(all) > MaxRevocations {
		return fmt.Errorf("%d revocations, at most %d: %w", len(all), MaxRevocations, ErrTooLarge)
	}
	for i, v := range all {
		if v.Peer == "" || v.At.IsZero() || !v.Until.After(v.At) {
			return fmt.Errorf("revocation of %.60q from %s until %s: %w", v.Peer, v.At, v.Until, ErrFormat)
		}
		if i > 0 && all[i-1].Peer >= v.Peer { // sorted, so that it is found, and once each
			return fmt.Errorf("revocations are not in order: %w", ErrFormat)
		}
		if err := checkText("revoked peer", v.Peer, maxRevokedPeerLen); err != nil {
			return err
		}
		if err := checkText("reason of a revocation", v.Reason, MaxReasonText); err != nil {
			return err
		}
	}
	return nil
}
