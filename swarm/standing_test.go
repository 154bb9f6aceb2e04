package swarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"patchmesh/policy"
)

// A full list gives up the shun that ends first. If it went by name instead, whoever can have many peer ids
// could push out one particular liar.
func TestFullShunListDropsTheOneThatEndsFirst(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var last Snapshot
	for i := range maxShuns {
		until := now.Add(time.Duration(1+(i+maxShuns/2)%maxShuns) * time.Second)
		last.Shuns = append(last.Shuns, Shun{Peer: PeerID(fmt.Sprintf("p%05d", i)), Until: until, Reason: policy.ReasonTrustBadChunk})
	}
	first := slices.MinFunc(last.Shuns, func(a, b Shun) int { return a.Until.Compare(b.Until) }).Peer
	c, err := New(DefaultConfig(), Self{Peer: "c", Site: "s"}, last, rand.New(rand.NewPCG(1, 2)), now)
	if err != nil {
		t.Fatal(err)
	}
	c.Step(now, PeerUp{Peer: "liar", Site: "s"})
	c.shun(c.byID["liar"], policy.ReasonTrustBadChunk, "")
	if !c.shunned("liar") || !c.shunned("p00000") {
		t.Errorf("shunned: liar %v, p00000 %v", c.shunned("liar"), c.shunned("p00000"))
	}
	if c.shunned(first) || len(c.tasks.shuns) != maxShuns {
		t.Errorf("%s is still shunned: %v; %d of %d are", first, c.shunned(first), len(c.tasks.shuns), maxShuns)
	}
}
