package node

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"patchmesh/content"
	"patchmesh/node/api"
)

func TestNewVersionCrossesTheWANAsFarAsItHasChanged(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	const chunks, changed = 16, 5
	body := noise(1, chunks*content.MinChunkBytes)
	m.file("u1", body)
	m.approve("u1")
	installed(t, "u1", a)
	next := bytes.Clone(body)
	copy(next[changed*content.MinChunkBytes:], "changed")
	m.file("u2", next)
	m.approve("u2")
	installedIs(t, a, "u2", next)
	ctx := context.Background()
	p, err := a.Provenance(ctx, "u2", "a")
	checkProvenance(t, p, err)
	if len(p.Sources) != 2 || p.Sources[0].Tier != api.TierStore || p.Sources[0].Chunks != chunks-1 || p.Sources[1].Tier != api.TierSeed || p.Sources[1].Chunks != 1 {
		t.Errorf("all chunks but one were here in u1: %+v", p.Sources)
	}
	until(t, "the seed to know where u2 came from", func() bool {
		p, err := m.seed.Provenance(ctx, "u2", "a")
		return err == nil && p.HeldBytes == p.StoredBytes
	})
	p, err = m.seed.Provenance(ctx, "u2", "a")
	checkProvenance(t, p, err)
	if len(p.Sources) != 2 || p.Sources[0].Tier != api.TierStore {
		t.Errorf("what the seed was told: %+v", p.Sources)
	}
	until(t, "the seed to have booked both updates", func() bool {
		r, err := m.seed.BytesReport(ctx, api.BytesQuery{})
		return err == nil && r.Total.WANBytes == int64(len(body))+content.MinChunkBytes
	})
	log, err := a.Events(ctx, api.EventQuery{Update: "u2"})
	if err != nil {
		t.Fatal(err)
	}
	told := false
	for _, e := range log.Events {
		told = told || strings.Contains(e.Detail, "15 of 16 chunks")
	}
	if !told {
		t.Errorf("the event log does not say what was taken from the store: %+v", log.Events)
	}
}
