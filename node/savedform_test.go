package node

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// What is saved is what the core gave, however often and whatever of it has changed since the last time.
func TestSavedFormSaysWhatTheSnapshotSays(t *testing.T) {
	var f savedForm
	r, at := rand.New(rand.NewPCG(1, 2)), time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	var failed struct {
		Tasks []swarm.SavedTask `json:"tasks"`
	}
	if err := json.Unmarshal([]byte(`{"tasks":[{"failed":{"facts":{"a":1}},"undone":{"detail":"x"}}]}`), &failed); err != nil {
		t.Fatal(err)
	}
	var s swarm.Snapshot
	for round := range 200 {
		switch {
		case round == 150:
			s = swarm.Snapshot{}
		case round%3 == 0 || len(s.Tasks) == 0:
			u := policy.UpdateID(fmt.Sprintf("u-%d", r.IntN(40)))
			s.Tasks = append(s.Tasks, swarm.SavedTask{Update: u, Revision: r.IntN(3), Since: at, Detail: "<&> \u2028"})
			s.Payloads = append(s.Payloads, swarm.SavedPayload{ID: content.Sum([]byte(u)), Since: int64(round)})
		default:
			k := &s.Tasks[r.IntN(len(s.Tasks))]
			k.State, k.Attempts, k.RetryAt = policy.StateInstalled, r.IntN(9), at.Add(time.Duration(r.IntN(3))*time.Second)
			if round%7 == 0 {
				k.Failed, k.Undone = failed.Tasks[0].Failed, failed.Tasks[0].Undone
			}
			if round%11 == 0 && k.Failed != nil { // behind the same pointer
				k.Failed.Facts["a"]++
			}
			s.Payloads[r.IntN(len(s.Payloads))].Since++
		}
		s.ReportSeq = uint64(round)
		b, err := f.encode(s)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got, ought swarm.Snapshot
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if err := json.Unmarshal(want, &ought); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, ought) || len(b) != len(want) {
			t.Fatalf("round %d:\n%s\n%s", round, b, want)
		}
	}
}

func BenchmarkSave(b *testing.B) {
	for _, n := range []int{20, 5000} {
		var s swarm.Snapshot
		for i := range n {
			u := fmt.Sprintf("u-%05d", i)
			s.Tasks = append(s.Tasks, swarm.SavedTask{Update: policy.UpdateID(u), Revision: 1, State: policy.StateInstalled, Since: time.Now()})
			s.Payloads = append(s.Payloads, swarm.SavedPayload{ID: content.Sum([]byte(u)), Since: 1})
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var f savedForm
			for i := 0; b.Loop(); i++ {
				s.Tasks[i%n].Attempts++
				if _, err := f.encode(s); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d-whole", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := json.Marshal(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
