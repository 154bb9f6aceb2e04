package node

import (
	"context"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// closedNow makes a window that opens half a day from now.
func (m *mesh) closedNow() {
	m.t.Helper()
	p, err := m.seed.SetWindow(context.Background(), api.WindowRequest{Window: policy.Window{
		ID: "far", Group: "office", Rule: "FREQ=DAILY", From: "2026-01-01", At: time.Now().UTC().Add(12 * time.Hour).Format("15:04"), Zone: "UTC", Minutes: 60,
	}})
	if err != nil || !p.Published {
		m.t.Fatalf("%+v, %v", p, err)
	}
}
