package install

import (
	"context"
	"time"
)

// Grow makes the copy that is under way older.
func (e *Early) Grow(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now.begun = e.now.begun.Add(-d)
}

// Beside is beside, for tests.
var Beside = beside

// WindowsTool puts something else in the place of msiexec and wusa while a test runs.
func WindowsTool(t interface{ Cleanup(func()) }, run func(tool string, args []string) (int, []byte, error)) {
	wasRun, wasTool := runWindowsTool, windowsTool
	t.Cleanup(func() { runWindowsTool, windowsTool = wasRun, wasTool })
	windowsTool = func(string) error { return nil }
	runWindowsTool = func(_ context.Context, _ Job, r msiRun) (int, []byte, error) { return run(r.tool, r.args) }
}
