package node

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"patchmesh/node/api"
)

// A machine and a seed that do not run answer what is held and what is known as they did while they ran, without network,
// and write nothing; while they run, the folder is theirs.
func TestHoldsAndCatalogueAnswerWhereNothingRuns(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", noise(11, 10_000))
	m.approve("u1")
	installed(t, "u1", a)
	ctx := context.Background()
	if _, err := m.seed.Hold(ctx, api.HoldRequest{Update: "u1", Reason: "breaks the till"}); err != nil {
		t.Fatal(err)
	}
	epoch := m.seed.believer.current().Epoch()
	until(t, "the hold", func() bool { return a.believer.current().Epoch() == epoch })
	for name, r := range map[string]*running{"a": a, "seed": m.seed} {
		dir := filepath.Join(m.dir, name)
		holds, err := r.Holds(ctx, api.HoldQuery{})
		if err != nil || len(holds.Holds) != 1 {
			t.Fatalf("%+v, %v", holds, err)
		}
		one, err := r.Catalogue(ctx, api.CatalogueQuery{Update: "u1"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := HoldsStopped(ctx, dir, api.HoldQuery{}, time.Now); !errors.Is(err, ErrLocked) {
			t.Errorf("%s while it runs: %v", name, err)
		}
		r.stop()
		before := listing(t, dir)
		offline, err := HoldsStopped(ctx, dir, api.HoldQuery{Update: "u1"}, time.Now)
		if err != nil || !reflect.DeepEqual(offline.Holds, holds.Holds) || offline.Epoch != epoch {
			t.Errorf("%s: %+v, %v", name, offline, err)
		}
		got, err := CatalogueStopped(ctx, dir, api.CatalogueQuery{Update: "u1"}, time.Now)
		if err != nil || !reflect.DeepEqual(got, one) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if _, err := CatalogueStopped(ctx, dir, api.CatalogueQuery{Update: "u9"}, time.Now); api.ClassOf(err) != api.ClassNotFound {
			t.Errorf("%s, an update that nobody knows: %v", name, err)
		}
		if after := listing(t, dir); after != before {
			t.Errorf("%s was changed:\n%s\nbefore:\n%s", name, after, before)
		}
	}
	if _, err := CatalogueStopped(ctx, t.TempDir(), api.CatalogueQuery{}, time.Now); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("a folder of no mesh: %v", err)
	}
}
