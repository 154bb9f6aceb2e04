package tufdir

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// publishMirror puts one head with what it leads to, as 'trust mirror' does, and prunes.
func publishMirror(t *testing.T, m *Mirror, n int, now time.Time) int {
	t.Helper()
	hash := fmt.Sprintf("%064x", n)
	keep := []string{"1.root.json", fmt.Sprintf("%d.snapshot.json", n), "targets/" + hash + ".manifest.json", "targets/approvals/" + hash + ".crew.json", "timestamp.json"}
	for _, name := range keep[:len(keep)-1] {
		if _, err := m.Put(name, []byte(fmt.Sprint(n))); err != nil && name != "1.root.json" {
			t.Fatal(err)
		}
	}
	if _, err := m.PutHead("timestamp.json", []byte(fmt.Sprint(n))); err != nil {
		t.Fatal(err)
	}
	removed, err := m.Prune(keep, now)
	if err != nil {
		t.Fatal(err)
	}
	return removed
}

func openTestMirror(t *testing.T) (*Mirror, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "www")
	m, err := OpenMirror(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m, dir
}

// A client that began with an older head finds all that it leads to for a day after a newer one came,
// however old the files themselves are; then they go.
func TestMirrorKeepsWhatASlowClientNeedsAndNoMore(t *testing.T) {
	m, dir := openTestMirror(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	foreign := []string{"index.html", "7.jpg", "notes.json", "targets/readme.json"}
	for _, name := range foreign {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	publishMirror(t, m, 1, now)
	there := func(n int) bool {
		_, a := os.Stat(filepath.Join(dir, fmt.Sprintf("%d.snapshot.json", n)))
		_, b := os.Stat(filepath.Join(dir, "targets", "approvals", fmt.Sprintf("%064x.crew.json", n)))
		if (a == nil) != (b == nil) {
			t.Fatalf("head %d is there by half", n)
		}
		return a == nil
	}
	now = now.Add(30 * 24 * time.Hour) // in force for a month
	publishMirror(t, m, 2, now)
	if !there(1) {
		t.Fatal("what was in force until just now is gone")
	}
	now = now.Add(KeepSuperseded - time.Second)
	publishMirror(t, m, 3, now)
	if !there(1) || !there(2) {
		t.Error("a slow client was left alone within the day")
	}
	if removed := publishMirror(t, m, 3, now.Add(time.Second)); removed != 3 || there(1) || !there(2) {
		t.Errorf("%d files removed after the day, head 1 there: %v, head 2: %v", removed, there(1), there(2))
	}
	if removed := publishMirror(t, m, 3, now.Add(2*KeepSuperseded)); removed != 3 || there(2) || !there(3) {
		t.Errorf("%d removed, head 2 there: %v, head 3: %v", removed, there(2), there(3))
	}
	for _, name := range append(foreign, "1.root.json") {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The list of times is lost, damaged or from a clock that was wrong: files stay longer, never shorter.
func TestMirrorThatForgotTheTimesWaitsAnew(t *testing.T) {
	m, dir := openTestMirror(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	publishMirror(t, m, 1, now)
	publishMirror(t, m, 2, now)
	if err := os.WriteFile(filepath.Join(dir, supersededFile), []byte("{broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * KeepSuperseded)
	if removed := publishMirror(t, m, 2, now); removed != 0 {
		t.Errorf("%d files removed although nobody knows since when", removed)
	}
	now = now.Add(-365 * 24 * time.Hour)
	if removed := publishMirror(t, m, 2, now); removed != 0 {
		t.Errorf("%d files removed by a clock that was turned back", removed)
	}
	if removed := publishMirror(t, m, 2, now.Add(KeepSuperseded)); removed != 3 {
		t.Errorf("%d files removed a day later, want 3", removed)
	}
}

// A seed that publishes all day long: the folder is bounded, and the oldest go first.
func TestMirrorIsBounded(t *testing.T) {
	m, dir := openTestMirror(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	heads := MaxSupersededKept/3 + 20
	for n := 1; n <= heads; n++ {
		hash := fmt.Sprintf("%064x", n)
		for _, name := range []string{fmt.Sprintf("%d.snapshot.json", n), "targets/" + hash + ".manifest.json", "targets/approvals/" + hash + ".crew.json"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if n%5 > 0 && n < heads {
			continue
		}
		if _, err := m.Prune([]string{fmt.Sprintf("%d.snapshot.json", n)}, now.Add(time.Duration(n)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, sub := range mirrorFolders {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".json") {
				left++
			}
		}
	}
	if left != MaxSupersededKept+1 {
		t.Errorf("%d files left, want %d and the head's", left, MaxSupersededKept)
	}
	if slices.ContainsFunc(names, func(e os.DirEntry) bool { return e.Name() == "1.snapshot.json" }) {
		t.Error("the oldest stayed")
	}
}

// What a crash has left half written goes with the next head.
func TestMirrorClearsHalfWrittenFiles(t *testing.T) {
	m, dir := openTestMirror(t)
	for _, name := range []string{"9.snapshot.json.tmp", "2.root.json.tmp", "targets/" + strings.Repeat("a", 64) + ".manifest.json.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("ha"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if removed := publishMirror(t, m, 1, time.Now()); removed != 3 {
		t.Errorf("%d removed, want 3", removed)
	}
}
