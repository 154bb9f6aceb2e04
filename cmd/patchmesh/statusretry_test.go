package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
)

// Status says when an update that failed is tried again, in words and as JSON, and nothing once that time has come.
func TestStatusSaysWhenAFailedUpdateIsTriedAgain(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	f := &api.Fleet{Org: "acme", AsOf: now, Machines: []api.Machine{{Name: "a", Updates: []api.Update{
		{Update: "app", State: "failed-install", Reason: "installer-exit", RetryAt: now.Add(14 * time.Minute)},
		{Update: "old", State: "failed-install", Reason: "installer-exit", RetryAt: now.Add(-time.Minute)},
	}}}}
	var out strings.Builder
	writeFleet(&out, f)
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "app") && !strings.Contains(line, "(in 14 min)") || strings.Contains(line, "old") && strings.Contains(line, "again") {
			t.Errorf("%s", line)
		}
	}
	if b, err := json.Marshal(f); err != nil || !strings.Contains(string(b), `"retry_at":"2026-05-01T12:14:00Z"`) {
		t.Errorf("%s, %v", b, err)
	}
}
