package swarm

import (
	"encoding/binary"
	"strconv"
	"testing"

	"patchmesh/content"
)

// A peer may claim the lease of whatever it likes: what it takes of this machine's memory is bounded, and its newest
// claims are the ones that count.
func TestClaimsOfUnknownPayloadsAreBounded(t *testing.T) {
	p := &peer{}
	id := func(i int) content.ID { return content.Sum(binary.BigEndian.AppendUint32(nil, uint32(i))) }
	for i := range 10_000 {
		p.claimEarly(id(i), true)
		p.claimEarly(id(i), true)
	}
	if len(p.early) != maxEarlyClaims || cap(p.early) > 4*maxEarlyClaims || p.early[maxEarlyClaims-1] != id(9999) {
		t.Errorf("%d claims in room for %d are kept, at most %d are meant to be", len(p.early), cap(p.early), maxEarlyClaims)
	}
	for i := range 10_000 {
		p.claimEarly(id(i), false)
	}
	if len(p.early) != 0 {
		t.Errorf("%d claims are left after all were given up", len(p.early))
	}
}

// Who claimed is remembered beyond its session, and however many come and go that is bounded; the newest are remembered.
func TestClaimsOfEndedSessionsAreBounded(t *testing.T) {
	k := &lease{}
	for i := range 10_000 {
		id := PeerID(strconv.Itoa(i))
		k.claims = append(k.claims, claim{peer: id, held: true, stalled: true})
		k.sessionEnded(id)
		k.sessionEnded(id)
	}
	if n := len(k.past); n != maxPastClaims || cap(k.past) > 4*maxPastClaims || k.past[n-1].peer != "9999" || len(k.claims) != 0 {
		t.Errorf("%d past claims in room for %d, %d present ones", n, cap(k.past), len(k.claims))
	}
}
