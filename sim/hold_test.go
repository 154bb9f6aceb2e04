package sim

import (
	"strings"
	"testing"
)

// A hold must outrun what it stops, in a large site too, on a line that loses packets while everybody fetches.
func TestHoldReachesFiveHundredMachinesInTime(t *testing.T) {
	text := strings.Replace(open(t, "hold-500").text, "size=128MiB", "size=8MiB", 1)
	sc, err := ParseScenario("hold-500", text)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, sc, 1)
	if r.Hold == nil || r.Hold.Machines != 500 {
		t.Fatalf("of 500 machines the race of the hold has %+v", r.Hold)
	}
	t.Logf("half know of the hold after %.2f s, 99 %% after %.2f s, the last after %.2f s", r.Hold.P50, r.Hold.P99, r.Hold.Last)
	if r.Hold.P99 >= 10 || r.Hold.P50 > r.Hold.P99 || r.Hold.P99 > r.Hold.Last || r.Hold.P50 <= 0 {
		t.Errorf("the hold took %+v", *r.Hold)
	}
}

func TestHoldRaceCountsFromThePublication(t *testing.T) {
	held := make([]float64, 200)
	for i := range held {
		held[i] = 5 + float64(i+1)
	}
	if got := *holdRace(5, held); got != (HoldRace{200, 100, 198, 200}) {
		t.Errorf("of 200 machines that know one second after the other: %+v", got)
	}
	if holdRace(-1, held) != nil || holdRace(5, nil) != nil {
		t.Error("there is a race without a hold, or without anybody who knows of it")
	}
}
