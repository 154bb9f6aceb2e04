package node

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// What happened can be read while the node runs, and from the data folder afterwards, in the order in which
// it happened.
func TestEventLogTellsTheLifeOfAnUpdate(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(1000))
	m.approve("u1")
	installed(t, "u1", a)
	a.refuse("somebody", policy.ReasonTrustBadSignature, "twice the same")
	a.refuse("somebody", policy.ReasonTrustBadSignature, "twice the same")
	ctx := context.Background()
	task, err := a.Events(ctx, api.EventQuery{Kind: "task", Update: "u1"})
	if err != nil || len(task.Events) < 2 || task.Events[len(task.Events)-1].State != "installed" {
		t.Fatalf("%+v, %v", task, err)
	}
	if l, err := a.Events(ctx, api.EventQuery{Kind: "refused"}); err != nil || len(l.Events) != 1 || l.Events[0].Peer != "somebody" {
		t.Errorf("what was refused: %+v, %v", l, err)
	}
	if _, err := a.Events(ctx, api.EventQuery{Kind: "gossip"}); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("a kind that there is not: %v", err)
	}
	if _, err := ReadEvents(a.cfg.DataDir, api.EventQuery{}, time.Now); !errors.Is(err, ErrLocked) {
		t.Errorf("the folder of a running node was opened: %v", err)
	}
	a.stop()
	l, err := ReadEvents(a.cfg.DataDir, api.EventQuery{}, time.Now)
	if err != nil || len(l.Events) < 4 || l.Events[0].Kind != api.EventStarted || l.Events[len(l.Events)-1].Kind != api.EventStopped {
		t.Fatalf("%+v, %v", l, err)
	}
	for i := 1; i < len(l.Events); i++ {
		if l.Events[i].At.Before(l.Events[i-1].At) {
			t.Errorf("%+v is shown after %+v", l.Events[i], l.Events[i-1])
		}
	}
	if l, err := ReadEvents(a.cfg.DataDir, api.EventQuery{Limit: 1}, time.Now); err != nil || len(l.Events) != 1 || !l.More || l.Events[0].Kind != api.EventStopped {
		t.Errorf("the newest: %+v, %v", l, err)
	}
}

// R-H4: what an installer printed that did its work can be read afterwards, on the machine, also when nothing runs.
func TestRH4WhatAnInstallerPrintedIsKept(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the script is one of a POSIX shell")
	}
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	body := []byte("#!/bin/sh\nprintf 'first line\\nlast \\033[31mline\\n'\nmkdir -p \"$PATCHMESH_ROOT/srv\"\n: > \"$PATCHMESH_ROOT/srv/tuned\"\n")
	if _, err := m.seed.Import(context.Background(), api.ImportRequest{FileName: "tune.sh", SizeBytes: int64(len(body)), ID: "tune", Installer: "script",
		ImportRules: api.ImportRules{Installed: []byte(`{"file":{"path":"/srv/tuned"}}`)}}, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	m.approve("tune")
	installed(t, "tune", a)
	a.stop()
	l, err := ReadEvents(a.cfg.DataDir, api.EventQuery{Kind: api.EventInstaller, Update: "tune"}, time.Now)
	if err != nil || len(l.Events) != 1 || !strings.Contains(l.Events[0].Detail, "first line\nlast ") || strings.ContainsRune(l.Events[0].Detail, 0x1b) {
		t.Errorf("%+v, %v", l, err)
	}
}

// R-H4: what an installer printed that failed is kept too, with what it was to do and its exit code, and its end where
// it is long; status and explain say when it is tried again, on a machine that does not run as well.
func TestRH4WhatAFailedInstallerPrintedIsKeptAndItsRetryTold(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the script is one of a POSIX shell")
	}
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	body := []byte("#!/bin/sh\ni=0\nwhile [ $i -lt 200 ]; do echo \"line $i of a long story\"; i=$((i+1)); done\nprintf 'no licence \\033[31mfound\\n' >&2\nexit 17\n")
	if _, err := m.seed.Import(context.Background(), api.ImportRequest{FileName: "tune.sh", SizeBytes: int64(len(body)), ID: "tune", Installer: "script",
		ImportRules: api.ImportRules{Installed: []byte(`{"file":{"path":"/srv/tuned"}}`)}}, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	m.approve("tune")
	until(t, "it to fail", func() bool { return !a.update(t, "tune").RetryAt.IsZero() })
	u := a.update(t, "tune")
	if wait := time.Until(u.RetryAt); u.State != "failed-install" || wait < time.Second || wait > 31*time.Second || u.RetryAt.Location() != time.UTC {
		t.Errorf("%+v, in %v", u, wait)
	}
	told := func(e *api.Explanation, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range e.Chain {
			if strings.Contains(f.Text, "tried again") && f.At.Equal(u.RetryAt) && strings.Contains(f.Text, "approving it anew") {
				return
			}
		}
		t.Errorf("explain does not say when it is tried again: %+v", e.Chain)
	}
	told(a.Explain(context.Background(), "tune", "a"))
	until(t, "the seed to know", func() bool {
		f, err := m.seed.Status(context.Background(), api.StatusQuery{Machine: "a"})
		return err == nil && len(f.Machines[0].Updates) == 1 && f.Machines[0].Updates[0].RetryAt.Equal(u.RetryAt)
	})
	a.stop()
	l, err := ReadEvents(a.cfg.DataDir, api.EventQuery{Kind: api.EventInstaller, Update: "tune"}, time.Now)
	if err != nil || len(l.Events) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	e := l.Events[0]
	if !strings.HasPrefix(e.Detail, "install failed: ") || !strings.Contains(e.Detail, "exit code 17") || e.Reason != "installer-exit" {
		t.Errorf("%+v", e)
	}
	if !strings.Contains(e.Detail, "line 199 of a long story\nno licence ") || strings.ContainsRune(e.Detail, 0x1b) || len(e.Detail) > state.MaxDetail {
		t.Errorf("%d bytes, ending in %q", len(e.Detail), e.Detail[max(0, len(e.Detail)-60):])
	}
	told(ExplainStopped(context.Background(), a.cfg.DataDir, "tune", "a", time.Now))
}
