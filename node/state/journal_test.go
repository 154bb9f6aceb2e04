package state

import (
	"testing"
	"time"
)

// What failed last is known of each revision; what began anew has not failed.
func TestJournalTellsWhatFailedLast(t *testing.T) {
	db := openDB(t)
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	want := func(revision int, failed bool) {
		t.Helper()
		when, is, err := db.JournalFailed("u", revision)
		if err != nil || is != failed || failed && !when.Equal(at) {
			t.Errorf("revision %d: %v at %s, %v", revision, is, when, err)
		}
	}
	do := func(revision int, end string) {
		t.Helper()
		if err := db.JournalBegin("u", revision, "install", at.Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		if end == "" {
			return
		}
		if err := db.JournalEnd("u", revision, end, at); err != nil {
			t.Fatal(err)
		}
	}
	want(1, false)
	do(1, "failed: exit 1")
	do(2, "done")
	want(1, true)
	want(2, false)
	do(1, "")
	want(1, false)
	if err := db.JournalEnd("u", 1, "done", at); err != nil {
		t.Fatal(err)
	}
	want(1, false)
}
