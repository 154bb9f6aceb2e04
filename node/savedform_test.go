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
			if err := f.settle(db); err != nil {
				t.Fatal(err)
			}
			if got, err = lastSaved(db); err != nil {
				t.Fatal(err)
			}
			sortSaved(&got)
			if x, _ := json.Marshal(got); !bytes.Equal(x, y) {
				t.Fatalf("round %d, settled:\n%s\n%s", round, x, y)
			}
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

// Who goes back to an older version, which reads the whole one alone, stops this one first: nothing lies beside it then.
func TestAStoppedNodeHasWrittenItsSnapshotWhole(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	a.stop()
	path := filepath.Join(a.cfg.DataDir, "state.db")
	change := func(f func(db *state.DB)) {
		t.Helper()
		db, err := state.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		f(db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	change(func(db *state.DB) { // it has known many updates, which are not approved any more
		var f savedForm
		if err := f.keep(db, manySaved(1000)); err != nil {
			t.Fatal(err)
		}
	})
	a = m.run("a", Config{Egress: EgressYes})
	m.file("u1", payload(1000))
	m.approve("u1")
	installed(t, "u1", a)
	if _, later, err := a.db.Snapshot(); err != nil || len(later) == 0 {
		t.Fatalf("the test shows nothing: %d steps lie beside the whole one, %v", len(later), err)
	}
	a.stop()
	change(func(db *state.DB) {
		whole, later, err := db.Snapshot()
		if err != nil || len(later) > 0 {
			t.Fatal(len(later), err)
		}
		var s swarm.Snapshot
		if err := json.Unmarshal(whole, &s); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(s.Tasks, func(k swarm.SavedTask) bool { return k.Update == "u1" })
		if len(s.Tasks) != 1001 || i < 0 || s.Tasks[i].State != policy.StateInstalled {
			t.Errorf("%d tasks, u1 is the %d.", len(s.Tasks), i)
		}
	})
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
