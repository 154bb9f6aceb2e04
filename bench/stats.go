package bench

import (
	"math"
	"slices"
)

// Median is the middle value, of an even number the mean of the two in the middle; NaN of none.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Quantile is the value below which the share q of the values lies, with straight lines between
// neighbours (definition 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996);
// NaN of no values. It does not change its argument.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := min(max(q, 0), 1) * float64(len(sorted)-1)
	low := int(at)
	if low == len(sorted)-1 {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}
