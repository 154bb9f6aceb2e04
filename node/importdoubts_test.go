package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-A8, R-H8, R-M1: an import that names an update which is not there says so, and so does a mitigation that has ended.
func TestRA8AnImportTellsOfIDsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	n, _ := openSeedFolder(t, "")
	if i := bring(t, n, "fix", "a fix", nil); len(i.Warnings) != 0 {
		t.Errorf("%q", i.Warnings)
	}
	good := func(r *api.ImportRequest) {
		r.Prerequisites, r.Supersedes, r.Mitigates, r.MitigationEnds = []string{"fix"}, []string{"fix"}, "fix", time.Now().Add(time.Hour)
	}
	if i := bring(t, n, "good", "good", good); len(i.Warnings) != 0 {
		t.Errorf("%q", i.Warnings)
	}
	i := bring(t, n, "slips", "slips", func(r *api.ImportRequest) {
		r.Prerequisites, r.Supersedes, r.Mitigates, r.MitigationEnds = []string{"fx"}, []string{"fux"}, "fax", time.Now().Add(-time.Hour)
	})
	if got := strings.Join(i.Warnings, "; "); len(i.Warnings) != 4 || !strings.Contains(got, "needs fx,") || !strings.Contains(got, "replaces fux,") || !strings.Contains(got, "stands in for fax,") ||
		!strings.Contains(got, "has come already") {
		t.Errorf("%q", got)
	}
}

// R-H1, C-57, C-58: a window that never opens, or leaves months out, is told to whoever states it.
func TestRH1AWindowThatNeverOpensIsToldWhenItIsStated(t *testing.T) {
	t.Parallel()
	n, _ := openSeedFolder(t, "")
	for rule, want := range map[string]string{
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30": "never open",
		"FREQ=DAILY;UNTIL=20200101":           "never open",
		"FREQ=MONTHLY;BYMONTHDAY=31":          "without a day 31",
		"FREQ=MONTHLY;BYMONTHDAY=29":          "without a day 29",
		"FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=31": "",
		"FREQ=MONTHLY;BYMONTHDAY=-1":          "",
		"FREQ=MONTHLY;BYDAY=2TU":              "",
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29": "without a day 29",
	} {
		p, err := n.SetWindow(context.Background(), api.WindowRequest{Window: policy.Window{ID: "w", Group: "all", Rule: rule, From: "2026-01-01", At: "02:00", Zone: "Europe/Berlin", Minutes: 60}})
		if got := strings.Join(append([]string{""}, p.Warnings...), ""); err != nil || got == "" != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v", rule, got, err)
		}
	}
}
