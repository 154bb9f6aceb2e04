package state

import (
	"strings"
	"testing"
	"time"
)

// What strangers cause must not push what the machine did out of the log, nor keep it from being written.
func TestEventsOfOneKindPushOutOnlyTheirOwn(t *testing.T) {
	db := openDB(t)
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	own := EventRow{At: at, Kind: "task", Update: "u1", State: "installed", Detail: "done"}
	if err := db.AddEvents([]EventRow{own}); err != nil {
		t.Fatal(err)
	}
	flood := make([]EventRow, 500)
	for i := range flood {
		flood[i] = EventRow{At: at.Add(time.Hour), Kind: "refused", Peer: strings.Repeat("p", 10_000), Detail: strings.Repeat("é", 10_000)}
	}
	for range 2 * keptEvents / len(flood) {
		if err := db.AddEvents(flood); err != nil {
			t.Fatal(err)
		}
	}
	all, err := db.Events(EventFilter{Limit: 10 * keptEvents})
	if err != nil || len(all) != keptEvents+1 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	if got := all[len(all)-1]; got != own {
		t.Errorf("the machine's own event is %+v", got)
	}
	if len(all[0].Peer) != maxEventText || len(all[0].Detail) != MaxDetail {
		t.Errorf("%d bytes of a peer's name, %d of a detail", len(all[0].Peer), len(all[0].Detail))
	}
	for f, want := range map[EventFilter]int{
		{Limit: 7}:                                   7,
		{Limit: 7, Kind: "task"}:                     1,
		{Limit: 7, Update: "u1"}:                     1,
		{Limit: 7, Update: "u2"}:                     0,
		{Limit: 7, Since: at.Add(time.Minute)}:       7,
		{Limit: 7, Since: at, Kind: "task"}:          1,
		{Limit: 7, Since: at.Add(1), Update: "u1"}:   1, // the same microsecond
		{Limit: 7, Since: at.Add(1e6), Kind: "task"}: 0,
	} {
		if got, err := db.Events(f); err != nil || len(got) != want {
			t.Errorf("%+v: %d events, %v, want %d", f, len(got), err, want)
		}
	}
	if _, err := db.Events(EventFilter{}); err == nil {
		t.Error("an answer without bound")
	}
}
