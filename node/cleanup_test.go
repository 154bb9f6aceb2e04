package node

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// C-31: a clean-up that does not run is told, by doctor and status while it lasts and by the metrics as a heartbeat that stands
// still, and not by a disk that is full.
func TestC31ACleanUpThatDoesNotRunIsTold(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	cleanup := func() api.Finding {
		t.Helper()
		d, err := a.Doctor(context.Background(), api.DoctorQuery{Scopes: []string{api.ScopeStore}})
		if err != nil {
			t.Fatal(err)
		}
		f := checkOf(d, "clean-up")
		if f == nil {
			t.Fatalf("nothing is said of it: %+v", d)
		}
		return *f
	}
	until(t, "the store to be looked at", func() bool { f := cleanup(); return f.OK && strings.Contains(f.Detail, "last looked at") })
	payloads := filepath.Join(a.cfg.DataDir, "payloads")
	if err := os.Rename(payloads, payloads+"-gone"); err != nil { // as when its disk is gone
		t.Fatal(err)
	}
	a.checkStore()
	beat := a.keeper.checks.Load()
	a.checkStore()
	if f := cleanup(); f.OK || f.Reason != string(policy.ReasonDiskError) || !strings.Contains(f.Detail, "nothing in it is cleaned up") {
		t.Errorf("doctor says %+v", f)
	}
	if a.keeper.checks.Load() != beat {
		t.Error("the heartbeat goes on")
	}
	if f, err := a.Status(context.Background(), api.StatusQuery{}); err != nil || f.Reason != string(policy.ReasonDiskError) {
		t.Errorf("status says %q: %q, %v", f.Reason, f.Detail, err)
	}
	if err := os.Rename(payloads+"-gone", payloads); err != nil {
		t.Fatal(err)
	}
	a.checkStore()
	if f := cleanup(); !f.OK || a.keeper.checks.Load() == beat {
		t.Errorf("afterwards it says %+v", f)
	}
	until(t, "what could not be removed to be told", func() bool { // a look in between finds that nothing has to go any more
		a.keeper.removed(0, os.ErrPermission)
		f := cleanup()
		return !f.OK && strings.Contains(f.Detail, "could not be removed") && a.keeper.evictFailures.Load() > 0
	})
	a.checkStore()
	if f := cleanup(); !f.OK {
		t.Errorf("it says %+v although nothing has to go", f)
	}
	until(t, "a look that was long ago to be told", func() bool {
		a.keeper.checkedAt.Store(time.Now().Add(-2 * storeCheckLate).Unix())
		f := cleanup()
		return !f.OK && strings.Contains(f.Detail, "ago")
	})
}
