package state

import (
	"fmt"
	"testing"
)

// A machine in bad hands that names new updates with every report fills no disk, and what is booked of it still grows.
func TestTrafficOfMadeUpUpdatesIsBounded(t *testing.T) {
	db := openDB(t)
	named := func(report, many int) (out []TrafficRow) {
		for i := range many {
			out = append(out, TrafficRow{Day: "2026-11-25", Site: "s", Update: fmt.Sprintf("u%d-%d", report, i), Tier: "site", Bytes: 1})
		}
		return out
	}
	must(t, db.CatchUpTraffic("m", named(0, maxBooked-5)), db.CatchUpTraffic("m", named(1, 10)))
	more := named(0, 1)
	more[0].Bytes = 3
	must(t, db.CatchUpTraffic("m", append(named(2, 1), more...)), db.CatchUpTraffic("other", named(2, 1)))
	totals, err := db.TrafficTotals()
	if err != nil || totals["site"] != maxBooked+2+1 {
		t.Errorf("%v bytes are booked, want %d: %v", totals, maxBooked+3, err)
	}
}
