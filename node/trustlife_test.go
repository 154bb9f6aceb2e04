package node

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// A mesh with sites that hear of news by stick: what its seed signs lasts as long as it was told, after a
// restart and under a new root too, and a machine that takes it up later than the default life still does.
func TestSeedSignsForAsLongAsItWasTold(t *testing.T) {
	t.Parallel()
	m, clock := clockMesh(t)
	if _, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, "a"), Token: m.token(1), Name: "a"}, clock.now); err != nil {
		t.Fatal(err)
	}
	const life = 60 * 24 * time.Hour
	v, err := m.seed.TrustLife(context.Background(), api.TrustLife{Seconds: int64(life / time.Second)})
	if err != nil || v.Seconds != int64(life/time.Second) {
		t.Fatalf("%+v, %v", v, err)
	}
	lasts := func(what string) {
		t.Helper()
		if left := m.seed.believer.current().ExpiresAt().Sub(clock.now()); left < life-time.Hour || left > life {
			t.Errorf("%s: good for %v", what, left)
		}
	}
	lasts("at once")
	m.rotateTimestamp("timestamp-2")
	lasts("under a new timestamp key")
	m.seed.stop()
	m.seed = m.run("seed", Config{Now: clock.now, Listen: m.seed.addr})
	m.file("u1", payload(1000))
	m.approve("u1")
	lasts("after a restart")

	files := m.seed.believer.current().Files()
	m.seed.stop()
	clock.forward(40 * 24 * time.Hour)
	f, err := openFolder(filepath.Join(m.dir, "a"), clock.now)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	walk := f.believer.current().Refresh(files.Timestamp, clock.now())
	for need, more := walk.Need(); more; need, more = walk.Need() {
		var b []byte
		if need.RootVersion == 0 {
			b = files.Find(need.ID)
		} else if need.RootVersion == 2 {
			b = files.Root
		}
		if err := walk.Supply(b); err != nil {
			t.Fatalf("40 days later: %s: %v", need.Role, err)
		}
	}
	got, err := walk.Result()
	if err != nil || got.Stale(clock.now()) {
		t.Fatalf("40 days later: %v", err)
	}
	if !slices.ContainsFunc(got.Manifest().Approvals, func(a policy.Approval) bool { return a.Update == "u1" && a.Action == policy.ActionInstall }) {
		t.Errorf("the approval has not come: %+v", got.Manifest().Approvals)
	}
}

func TestLifeOfApprovalsHasBounds(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	for _, d := range []time.Duration{-time.Hour, time.Hour, 91 * 24 * time.Hour, 1 << 62} {
		_, err := m.seed.TrustLife(context.Background(), api.TrustLife{Seconds: int64(d / time.Second)})
		var e *api.Error
		if !errors.As(err, &e) || e.Class != api.ClassUsage {
			t.Errorf("%v: %v", d, err)
		}
	}
	v, err := m.seed.TrustLife(context.Background(), api.TrustLife{})
	if err != nil || v.Seconds != 7*24*60*60 {
		t.Errorf("%+v, %v", v, err)
	}
	if err := m.seed.db.PutValue(trustLifeKey, []byte("9999999999999999999")); err != nil {
		t.Fatal(err)
	}
	if _, err := keptLife(m.seed.db); err == nil {
		t.Error("a damaged life is believed")
	}
}
