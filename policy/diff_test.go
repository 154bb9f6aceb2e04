package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Going back over changes gives what doing them one by one gives, the order of the list and items that are there twice
// included: the bytes that were signed hang on it.
func TestChangesAreDoneTogetherAsOneByOne(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		var now []Hold
		for range r.IntN(6) {
			now = append(now, Hold{ID: fmt.Sprint(r.IntN(4)), Reason: fmt.Sprint(r.IntN(2))})
		}
		want, lacks := slices.Clone(now), false
		var changes []Change
		for range r.IntN(8) {
			var c Change
			if r.IntN(3) > 0 {
				c.WasHold = &Hold{ID: fmt.Sprint(r.IntN(4)), Reason: fmt.Sprint(r.IntN(2))}
				i := slices.IndexFunc(want, func(h Hold) bool { return h.ID == c.WasHold.ID && h.Reason == c.WasHold.Reason })
				if i < 0 && r.IntN(4) > 0 {
					continue
				}
				if lacks = lacks || i < 0; i >= 0 {
					want = slices.Delete(want, i, i+1)
				}
			}
			if r.IntN(3) > 0 {
				c.Hold = &Hold{ID: fmt.Sprint(r.IntN(4)), Reason: fmt.Sprint(r.IntN(2))}
				want = append(want, *c.Hold)
			}
			changes = append(changes, c)
		}
		before, _ := json.Marshal(now)
		got, err := decisions{holds: now}.apply(changes)
		if (err != nil) != lacks {
			t.Fatalf("round %d: %v, and something lacks: %v", round, err, lacks)
		}
		if err == nil && !sameJSON(append([]Hold{}, got.holds...), append([]Hold{}, want...)) {
			t.Fatalf("round %d: %+v, one by one %+v", round, got.holds, want)
		}
		if after, _ := json.Marshal(now); string(after) != string(before) {
			t.Fatalf("round %d: what was decided before has changed: %s", round, after)
		}
	}
}
