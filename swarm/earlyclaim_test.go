package swarm

import (
	"encoding/binary"
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
