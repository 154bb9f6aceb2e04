package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// What is saved is what the core gave, however often and whatever of it has changed since the last time.
func TestSavedFormSaysWhatTheSnapshotSays(t *testing.T) {
	db, beside := openState(t), 0
	var f savedForm
	r, at := rand.New(rand.NewPCG(1, 2)), time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	var failed struct {
		Tasks []swarm.SavedTask `json:"tasks"`
	}
	if err := json.Unmarshal([]byte(`{"tasks":[{"failed":{"facts":{"a":1}},"undone":{"detail":"x"}}]}`), &failed); err != nil {
		t.Fatal(err)
	}
	s := manySaved(400)
	for round := range 300 {
		switch {
		case round == 150:
			s = swarm.Snapshot{}
		case round == 160:
			s = manySaved(500)
		case round%5 == 4 && len(s.Tasks) > 2:
			i := r.IntN(len(s.Tasks))
			s.Tasks, s.Payloads = slices.Delete(s.Tasks, i, i+1), slices.Delete(s.Payloads, i, i+1)
		case round%3 == 0 || len(s.Tasks) == 0:
			u := policy.UpdateID(fmt.Sprintf("n-%d", round))
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
		if err := f.keep(db, s); err != nil {
			t.Fatal(err)
		}
		if f.later > 0 {
			beside++
		}
		got, err := lastSaved(db)
		if err != nil {
			t.Fatal(err)
		}
		sortSaved(&got)
		want := s
		want.Tasks, want.Payloads = slices.Clone(s.Tasks), slices.Clone(s.Payloads)
		sortSaved(&want)
		x, _ := json.Marshal(got)
		y, _ := json.Marshal(want)
		if !bytes.Equal(x, y) {
			t.Fatalf("round %d:\n%s\n%s", round, x, y)
		}
		if round%50 == 49 { // a new run of the program begins with what was saved
			f = savedForm{}
		}
	}
	if beside == 0 {
		t.Error("nothing was ever written beside a whole one")
	}
}

func sortSaved(s *swarm.Snapshot) {
	slices.SortFunc(s.Tasks, func(a, b swarm.SavedTask) int { return strings.Compare(string(a.Update), string(b.Update)) })
	slices.SortFunc(s.Payloads, func(a, b swarm.SavedPayload) int { return a.ID.Compare(b.ID) })
}

// What failed to be written may be half there: the next one is whole again.
func TestSnapshotIsWrittenWholeAfterAFailure(t *testing.T) {
	db := openState(t)
	var f savedForm
	s := manySaved(1000)
	if err := f.keep(db, s); err != nil {
		t.Fatal(err)
	}
	s.Tasks[3].Attempts++
	if err := f.keep(db, s); err != nil || f.later == 0 {
		t.Fatal(err, f.later)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s.Tasks[4].Attempts++
	if err := f.keep(db, s); err == nil {
		t.Fatal("a closed database took a snapshot")
	}
	if _, whole, err := f.encode(s); err != nil || !whole {
		t.Error("beside something that may be missing", err)
	}
}

func openState(t testing.TB) *state.DB {
	t.Helper()
	db, err := state.Open(filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func manySaved(n int) (s swarm.Snapshot) {
	for i := range n {
		u := fmt.Sprintf("u-%05d", i)
		s.Tasks = append(s.Tasks, swarm.SavedTask{Update: policy.UpdateID(u), Revision: 1, State: policy.StateInstalled, Since: time.Now().UTC()})
		s.Payloads = append(s.Payloads, swarm.SavedPayload{ID: content.Sum([]byte(u)), Since: 1})
	}
	return s
}

// BenchmarkSave is one step of one install among many: what it writes does not grow with their number.
func BenchmarkSave(b *testing.B) {
	for _, n := range []int{20, 1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db, s := openState(b), manySaved(n)
			var f savedForm
			var written int
			for i := 0; b.Loop(); i++ {
				s.Tasks[i%n].Attempts++
				doc, whole, err := f.encode(s)
				if err != nil {
					b.Fatal(err)
				}
				if err := f.write(db, doc, whole); err != nil {
					b.Fatal(err)
				}
				written += len(doc)
			}
			b.ReportMetric(float64(written)/float64(b.N), "B/save")
		})
	}
}
