package main

import (
	"testing"
	"time"

	"patchmesh/node/api"
)

// R-B5, R-B10: days and weeks are read wherever a length of time is; a ring gets conditions unless its maker says none.
func TestRB5DaysAreReadInRingsHoldsAndDeadlines(t *testing.T) {
	var r api.RingsRequest
	for i, text := range []string{"pilot:groups=pilot,soak=7d", "next:groups=next,success=0,fail=0", "broad:groups=all,spread=1d"} {
		if err := addRing(&r, text, i == 2); err != nil {
			t.Fatal(err)
		}
	}
	p, n, b := r.Plan.Rings[0], r.Plan.Rings[1], r.Plan.Rings[2]
	if p.SoakMinutes != 7*24*60 || p.SuccessPercent != 95 || p.FailCount != 1 {
		t.Errorf("pilot %+v", p)
	}
	if n.SuccessPercent != 0 || n.FailCount != 0 || b.SpreadMinutes != 24*60 || b.SuccessPercent != 0 || b.FailCount != 1 {
		t.Errorf("next %+v, broad %+v", n, b)
	}
	for _, text := range []string{"pilot:groups=pilot,success=50", "pilot:groups=pilot,soak=7", "pilot:groups=pilot,soak=7y"} {
		if err := addRing(&r, text, false); api.ClassOf(err) != api.ClassUsage {
			t.Errorf("%s: %v", text, err)
		}
	}
	if at, err := readTime("--deadline", "7d"); err != nil || time.Until(at) < 167*time.Hour || time.Until(at) > 169*time.Hour {
		t.Errorf("%s, %v", at, err)
	}
	h := (&app{}).holdCmd()
	if err := h.Flags().Parse([]string{"--for", "2w"}); err != nil || h.Flags().Lookup("for").Value.String() != "336h0m0s" {
		t.Errorf("hold --for 2w: %v, %v", h.Flags().Lookup("for").Value, err)
	}
}
