package bench

import (
	"math"
	"testing"
)

func TestQuantiles(t *testing.T) {
	for _, c := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{7}, 0.99, 7},
		{[]float64{1, 2, 3, 4, 5}, 0, 1},
		{[]float64{5, 4, 3, 2, 1}, 1, 5},
		{[]float64{10, 20, 30, 40, 50}, 0.9, 46},
	} {
		before := append([]float64(nil), c.values...)
		if got := Quantile(c.values, c.q); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("quantile %v of %v is %v, want %v", c.q, c.values, got, c.want)
		}
		for i := range before {
			if c.values[i] != before[i] {
				t.Errorf("the values were put in order: %v", c.values)
				break
			}
		}
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v", got)
	}
}
