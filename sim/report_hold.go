package sim

// HoldRace is how the first hold spread: how many machines learned of it, and how many seconds after it was published
// half of those, 99 % of them and the last one knew.
type HoldRace struct {
	Machines int     `json:"machines"`
	P50      float64 `json:"p50_s"`
	P99      float64 `json:"p99_s"`
	Last     float64 `json:"last_s"`
}

// holdRace counts the race of a hold published at an instant; nil if there was none. held is sorted.
func holdRace(at float64, held []float64) *HoldRace {
	if at < 0 || len(held) == 0 {
		return nil
	}
	n := len(held)
	share := func(percent int) float64 { return held[(n*percent+99)/100-1] - at }
	return &HoldRace{Machines: n, P50: share(50), P99: share(99), Last: share(100)}
}
