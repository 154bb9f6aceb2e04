//go:build unix

package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/node/apply"
	"patchmesh/policy"
)

// turnedClock is a wall clock in somebody else's hands.
type turnedClock struct{ by atomic.Int64 }

func (c *turnedClock) now() time.Time         { return time.Now().Add(time.Duration(c.by.Load())) }
func (c *turnedClock) set(from time.Duration) { c.by.Store(int64(from)) }

// turnedApply is an apply process whose clock is turned, and how to end it.
func turnedApply(t *testing.T, cfg ApplyConfig) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- RunApply(ctx, cfg) }()
	until(t, "the apply process to answer", func() bool {
		_, err := apply.NewClient(cfg.Socket, nil).Status(context.Background())
		return err == nil
	})
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("apply process ended: %v", err)
		}
	}
}

// T32, S-CLOCK for the process that installs: approvals that it has once seen to be expired stay so,
// whatever the wall clock says afterwards and however often the process is ended and started. Then a
// newer head makes it install again.
func TestClockTurnedBackBringsNoExpiredApprovalToLife(t *testing.T) {
	t.Parallel()
	m, seedClock := clockMesh(t)
	m.join("a")
	root := filepath.Join(m.dir, "system")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	state := filepath.Join(m.dir, "a-apply")
	if _, err := PrepareApply(state, filepath.Join(m.dir, "a"), false, time.Now); err != nil {
		t.Fatal(err)
	}
	wall := &turnedClock{}
	cfg := ApplyConfig{
		StateDir: state, Socket: filepath.Join(dir, "apply.sock"), Root: root, UID: os.Getuid(), GID: -1,
		Log: slog.New(slog.DiscardHandler), Now: wall.now,
	}
	stop := turnedApply(t, cfg)
	a := m.run("a", Config{Egress: EgressYes, ApplySocket: cfg.Socket})
	want := payload(1000)
	m.file("u1", want)
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	id, dest := a.believer.current().Manifest().Approvals[0].Descriptor, filepath.Join(root, "srv", "u1")
	a.stop()
	role := apply.NewClient(cfg.Socket, offers{a.Node}) // it has nothing newer to offer
	refusedNow := func(when string) {
		t.Helper()
		if err := os.RemoveAll(dest); err != nil {
			t.Fatal(err)
		}
		_, err := role.Do(context.Background(), id, apply.Install)
		var e *apply.Error
		if !errors.As(err, &e) || e.Reason != policy.ReasonTrustStale {
			t.Errorf("%s: %v, want %s", when, err, policy.ReasonTrustStale)
		}
		if _, err := os.Stat(dest); err == nil {
			t.Errorf("%s: it was installed", when)
		}
	}
	day := 24 * time.Hour
	wall.set(8 * day)
	refusedNow("expired")
	for _, back := range []time.Duration{0, 6 * day, -30 * 365 * day} {
		wall.set(back)
		refusedNow("turned back in the same run")
		stop()
		stop = turnedApply(t, cfg)
		refusedNow("turned back and started again")
	}
	wall.set(0)
	seedClock.forward(2 * day)
	if err := m.seed.seed.renew(nil); err != nil {
		t.Fatal(err)
	}
	a = m.run("a", Config{Egress: EgressYes, ApplySocket: cfg.Socket})
	until(t, "a newer head to heal it", func() bool {
		got, err := os.ReadFile(dest)
		return err == nil && bytes.Equal(got, want)
	})
	stop()
}
