package swarm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"patchmesh/content"
)

// A session is found by its name however many there are, also among names that end alike, and not once it is over.
func TestSessionsAreFoundByTheirNames(t *testing.T) {
	core, now := &Core{byID: map[PeerID]*peer{}}, map[PeerID]*peer{}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		id := PeerID(fmt.Sprintf("m%d-seat-%d", rng.IntN(8), rng.IntN(20)))
		if p := now[id]; p != nil {
			core.unseat(p)
			delete(core.byID, id)
			delete(now, id)
		} else {
			p = &peer{id: id}
			core.seat(p)
			core.byID[id], now[id] = p, p
		}
		for k := range 8 {
			for i := range 20 {
				id := PeerID(fmt.Sprintf("m%d-seat-%d", k, i))
				if got := core.peer(id); got != now[id] {
					t.Fatalf("%s among %d: %v, want %v", id, len(now), got, now[id])
				}
			}
		}
	}
}

// What a peer said is found by payload, the newest word of each, and nothing after it was taken back.
func TestHaveListsAreFoundByPayload(t *testing.T) {
	var h haveLists
	ids := make([]content.ID, 40)
	for i := range ids {
		ids[i] = content.Sum([]byte{byte(i)})
	}
	want := map[content.ID]*remote{}
	rng := rand.New(rand.NewPCG(2, 2))
	for range 2000 {
		id := ids[rng.IntN(len(ids))]
		if rng.IntN(3) == 0 {
			h.drop(id)
			delete(want, id)
		} else {
			want[id] = &remote{}
			h.put(id, want[id])
		}
		for _, id := range ids {
			if h.of(id) != want[id] {
				t.Fatalf("%v: %p, want %p", id, h.of(id), want[id])
			}
		}
		if len(h) != len(want) {
			t.Fatalf("%d lists for %d payloads", len(h), len(want))
		}
	}
}
