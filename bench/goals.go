package bench

import (
	"fmt"
	"math"
	"strings"

	"patchmesh/content"
)

// goal is what patchmesh is to reach in a scenario.
type goal struct {
	scenario string
	what     string
	of       measure
	most     float64
	decimals int
}

// goals are judged by the medians of patchmesh. They stand here so that the results say themselves what
// was not reached.
var goals = []goal{
	{"cold10", "last machine / bound", timeRatio, 1.12, 3},
	{"cold24", "last machine / bound", timeRatio, 1.15, 3},
	{"fast10", "last machine / bound", timeRatio, 1.12, 3},
	{"fast10", "CPU s per GB", cpuPerGB, 5.5, 2},
	{"wan10", "last machine / bound", timeRatio, 1.11, 3},
	{"wan10", "WAN wire in / payload", wanWire, 1.06, 3},
	{"wan10", "payload bytes over the WAN / payload", wanPayload, 1.0, 3},
	{"churn10", "WAN wire in / payload", wanWire, 1.08, 3},
	{"churn10", "payload bytes over the WAN / payload", wanPayload, 1.02, 3},
	{"raw10", "CPU s per GB", cpuPerGB, 4.0, 2},
	{"small10", "approve to last machine, p99, s", p99Seconds, 2.0, 2},
}

// everywhere are judged in each scenario, and told where they are worst.
var everywhere = []goal{
	{"", "peak MB of a machine", peakMB, 64, 1},
	{"", "duplicates / delivered", duplicates, 0.005, 4},
}

// mostSlower is the goal of liars20 against honest20.
const mostSlower = 1.3

// goalsTable judges what has been measured.
func goalsTable(sheets []sheet) string {
	var b strings.Builder
	b.WriteString("## Goals\n\n| scenario | figure | goal | patchmesh | best of the others | |\n|---|---|---|---|---|---|\n")
	for _, g := range goals {
		for _, s := range sheets {
			if s.scenario.Name == g.scenario {
				b.WriteString(g.line(s))
			}
		}
	}
	for _, g := range everywhere {
		var worst *sheet
		for i, s := range sheets {
			if v := s.product(g.of); !math.IsNaN(v) && (worst == nil || v > worst.product(g.of)) {
				worst = &sheets[i]
			}
		}
		if worst != nil {
			b.WriteString(g.line(*worst))
		}
	}
	b.WriteString(liarsLines(sheets))
	return b.String()
}

func (g goal) line(s sheet) string {
	v := s.product(g.of)
	if math.IsNaN(v) {
		return ""
	}
	word := verdict(v, g.most, g.decimals)
	if word != reached {
		word += s.limits()
	}
	return fmt.Sprintf("| %s | %s | at most %s | %s | %s | %s |\n", s.scenario.Name, g.what, number(g.most, g.decimals), number(v, g.decimals), s.best(g), word)
}

// limits is what patchmesh ran into: how busy it kept the processor, and how full the link that the
// bytes come through. What is near 100 % is the limit; if neither is, bytes waited for decisions, or
// the processor was busy with others.
func (s sheet) limits() string {
	text := fmt.Sprintf(": processor %.0f %% busy with it", 100*s.product(busy))
	rate := s.scenario.LANBitPerSec
	if s.scenario.WAN {
		rate = min(rate, s.scenario.WANBitPerSec)
	}
	if s.scenario.Bound() > 0 {
		used := s.product(func(r Result) float64 { return float64(r.SeedOutBytes) * 8 / float64(rate) / sum(r.LastSeconds) })
		text += fmt.Sprintf(", the seed's link %.0f %% full with %.2f payloads", 100*used, s.product(seedOut))
	}
	if d := s.product(duplicates); d > 0.001 {
		text += fmt.Sprintf(", %.1f %% of what came was there already", 100*d)
	}
	return text
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}

const reached = "reached"

// verdict compares what is printed: 1.0004 is 1.000.
func verdict(v, most float64, decimals int) string {
	if unit := math.Pow10(decimals); math.Round(v*unit) <= math.Round(most*unit) {
		return reached
	}
	above, tenths := (v/most-1)*100, 0
	if above < 1 {
		tenths = 1
	}
	return fmt.Sprintf("**not reached**, %.*f %% above", tenths, above)
}

// product is the median of patchmesh, NaN where it was not measured.
func (s sheet) product(of measure) float64 {
	for _, r := range s.rows {
		if r.contender == "patchmesh" {
			return r.median(of)
		}
	}
	return math.NaN()
}

// best is the lowest median of the others.
func (s sheet) best(g goal) string {
	best, who := math.Inf(1), ""
	for _, r := range s.rows {
		if v := r.median(g.of); r.contender != "patchmesh" && v < best {
			best, who = v, r.contender
		}
	}
	if who == "" {
		return "-"
	}
	return who + " " + number(best, g.decimals)
}

// liarsLines compares the run with damaged stores with the one without.
func liarsLines(sheets []sheet) string {
	var liars, honest *sheet
	for i, s := range sheets {
		switch s.scenario.Name {
		case "liars20":
			liars = &sheets[i]
		case "honest20":
			honest = &sheets[i]
		}
	}
	if liars == nil || honest == nil {
		return ""
	}
	slower := liars.product(lastSeconds) / honest.product(lastSeconds)
	waste := liars.product(func(r Result) float64 { return r.told("wasted_bytes") })
	most := float64(liars.scenario.Liars * liars.scenario.Machines * content.ChunkBytesFor(liars.scenario.SizeBytes)) // a chunk per liar and victim
	if math.IsNaN(slower) || math.IsNaN(waste) {
		return ""
	}
	return fmt.Sprintf("| liars20 | time / the same without liars | at most %.1f | %.2f | - | %s |\n", mostSlower, slower, verdict(slower, mostSlower, 2)) +
		fmt.Sprintf("| liars20 | bytes wasted, all machines | at most %.0f | %.0f | - | %s |\n", most, waste, verdict(waste, most, 0))
}
