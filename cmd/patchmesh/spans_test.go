package main

import (
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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

// R-B5, R-H1, R-H3, R-C15: whatever verb asks for a length of time, it reads days and weeks beside what was ever read, and
// begins with the length that its help names.
func TestRB5EveryFlagForALengthOfTimeReadsDays(t *testing.T) {
	usual := map[string]string{"open": "3h0m0s", "member-timeout": "1h0m0s", "within": "5m0s", "hook-timeout": "5m0s", "interval": "1s", "group-timeout": "", "spread": "", "wait": ""}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() != "duration" {
				return
			}
			if want, known := usual[f.Name]; known && f.DefValue != want {
				t.Errorf("%s --%s begins with %q, not %q", c.CommandPath(), f.Name, f.DefValue, want)
			}
			delete(usual, f.Name)
			for text, want := range map[string]string{"1w2d": "216h0m0s", "90m": "1h30m0s", "1h0m30s": "1h0m30s"} {
				if err := f.Value.Set(text); err != nil || f.Value.String() != want {
					t.Errorf("%s --%s %s: %s, %v", c.CommandPath(), f.Name, text, f.Value, err)
				}
			}
			if f.Value.Set("soon") == nil {
				t.Errorf("%s --%s reads anything", c.CommandPath(), f.Name)
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit((&app{}).root())
	if len(usual) > 0 {
		t.Errorf("no verb asks for %v", usual)
	}
}
