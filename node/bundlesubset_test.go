package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"patchmesh/content"
	"patchmesh/content/bundle"
	"patchmesh/node/api"
	"patchmesh/node/media"
)

// TestSBundleNoSubsetOfAStickPassesForTheWhole is S-BUNDLE (T5): sticks from which a subset of blocks was dropped, each
// position alone first, then any number of them together. Whatever is missing is told of, chunk by
// chunk; what the machine believes and holds stands on its own; and the whole stick heals it.
func TestSBundleNoSubsetOfAStickPassesForTheWhole(t *testing.T) {
	s := newSite(t)
	ids := []string{"u1", "u2", "u3", "u4", "u5"}
	for i, id := range ids {
		s.update(id, static(600<<10+i*70_001))
	}
	s.export(ExportRequest{Dir: s.stick, Site: "north"})
	e := evil{t, s.stick}
	positions := []position{}
	for _, name := range []string{docs, vol} {
		for i := range e.blocks(name) {
			positions = append(positions, position{name, i})
		}
	}
	whole := map[content.ID]int{}
	for _, id := range ids {
		p := s.payload(id)
		whole[p] = s.seedMap(t, p).Len()
	}
	restore := s.saved(t)
	head := s.believer.current().HeadVersion()
	rng := rand.New(rand.NewPCG(5, 3))
	partial, refused := 0, 0
	cases := soak(14, 300)
	for n := range cases {
		var drop []position
		switch {
		case cases >= 2*len(positions) && n < len(positions):
			drop = positions[n : n+1]
		default:
			some := 1 + rng.IntN(len(positions)-1)
			for _, i := range rng.Perm(len(positions))[:some] {
				drop = append(drop, positions[i])
			}
			if n%2 == 0 { // mostly there
				drop = drop[:1+rng.IntN(min(3, len(drop)))]
			}
		}
		got := s.dropped(t, drop, n%3 == 1)
		switch s.judgeSubset(t, fmt.Sprintf("case %d without %v", n, drop), got, head, whole) {
		case "partial":
			partial++
		case "refused":
			refused++
		}
		if i, err := s.take(s.stick); err != nil || !i.Complete {
			t.Fatalf("case %d: the whole stick afterwards: %+v, %v", n, i, err)
		}
		restore(t)
	}
	t.Logf("%d subsets of %d positions: %d told as partial, %d refused, %d of which nothing was needed", cases, len(positions), partial, refused, cases-partial-refused)
	if partial == 0 || refused == 0 {
		t.Error("the cases show nothing")
	}
}

// position is a block of a file of the stick.
type position struct {
	file  string
	index int
}

// seedMap is the payload map of a payload, from the seed.
func (s *site) seedMap(t *testing.T, id content.ID) *content.PayloadMap {
	t.Helper()
	m, err := s.seed.docs.payloadMap(id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// dropped is a copy of the stick without some blocks. With care the runs do not name the chunks that are missing,
// as if the stick had been packed that way.
func (s *site) dropped(t *testing.T, drop []position, care bool) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, media.FolderName), os.DirFS(filepath.Join(s.stick, media.FolderName))); err != nil {
		t.Fatal(err)
	}
	e := evil{t, dir}
	for _, name := range []string{docs, vol} {
		e.rebuild(name, func(all []rawBlock) (kept []rawBlock) {
			gone := func(i int) bool { return slices.Contains(drop, position{name, i}) }
			for i, b := range all {
				if care && name == vol && bundle.IsRun(b.body) && !gone(i) {
					b = shortened(t, all, i, gone)
				}
				if !gone(i) {
					kept = append(kept, b)
				}
			}
			return kept
		})
	}
	return dir
}

// shortened is the run at i without the chunks that are gone.
func shortened(t *testing.T, all []rawBlock, i int, gone func(int) bool) rawBlock {
	t.Helper()
	r, err := bundle.DecodeRun(all[i].body)
	if err != nil {
		t.Fatal(err)
	}
	left := content.NewBits(r.Bits.Len())
	at := i + 1
	for k := range r.Bits.Len() {
		if !r.Bits.Has(k) {
			continue
		}
		if !gone(at) {
			left.Set(k)
		}
		at++
	}
	return rawOf(bundle.Run{Payload: r.Payload, First: r.First, Bits: left}.Encode())
}

// judgeSubset imports a stick and compares what is told of it with what the machine holds then.
func (s *site) judgeSubset(t *testing.T, what, dir string, head int64, whole map[content.ID]int) string {
	t.Helper()
	i, err := s.take(dir)
	if err != nil {
		if !bytes.Contains([]byte(err.Error()), []byte("media-")) {
			t.Errorf("%s: no reason: %v", what, err)
		}
		if now := s.believer.current().HeadVersion(); now != head {
			t.Errorf("%s: refused, and head %d is trusted all the same", what, now)
		}
		return "refused"
	}
	told := map[string]int{}
	for _, m := range i.Missing {
		told[m.Payload] = m.Chunks
	}
	lacking := 0
	for id, chunks := range whole {
		s.checkStore(id)
		if _, err := s.docs.payloadMap(id); err != nil {
			lacking++
			continue
		}
		have := 0
		if b, err := s.store.Have(id); err == nil {
			have = b.Count()
		} else if !errors.Is(err, content.ErrNotFound) {
			t.Fatal(err)
		}
		if told[id.String()] != chunks-have {
			t.Errorf("%s: %d chunks of %s are told as missing, %d are", what, told[id.String()], id.Short(), chunks-have)
		}
		if err := s.store.Publish(id); (err == nil) != (have == chunks) {
			t.Errorf("%s: %d of %d chunks, and publishing says %v", what, have, chunks, err)
		}
	}
	if i.Lacking != lacking {
		t.Errorf("%s: documents of %d approvals are told as missing, %d are", what, i.Lacking, lacking)
	}
	if short := lacking > 0 || len(i.Missing) > 0; short != !i.Complete || short && i.Reason == "" {
		if short || i.Reason == "" { // what is damaged but not needed may well be told
			t.Errorf("%s: a silent partial: %+v", what, i)
		}
	}
	if i.Complete {
		return "whole"
	}
	return "partial"
}

// A machine that was fed a part installs what is whole, in the declared order, and says of the rest what it
// waits for; the rest of the stick completes it.
func TestPartialStickInstallsNothingOutOfOrder(t *testing.T) {
	m := newMesh(t)
	a := m.offline("a", "north")
	m.file("first", static(600<<10))
	m.fileAfter("second", static(500<<10), "first")
	m.file("apart", static(400<<10))
	for _, id := range []string{"first", "second", "apart"} {
		m.approve(id)
	}
	s := &site{mesh: m, stick: t.TempDir()}
	m.export(ExportRequest{Dir: s.stick, Site: "north"})
	first := s.payload("first")
	part := -1
	blocks := evil{t, s.stick}.blocks(vol)
	for i, b := range blocks {
		if bundle.IsRun(b.body) {
			if r, err := bundle.DecodeRun(b.body); err == nil && r.Payload == first {
				part = i + 1
			}
		}
	}
	i := a.feed(t, s.dropped(t, []position{{vol, part}}, true))
	if i.Complete || len(i.Missing) != 1 || i.Missing[0].Payload != first.String() || i.Missing[0].Chunks != 1 {
		t.Fatalf("%+v", i)
	}
	until(t, "what stands alone to be installed", func() bool { return a.update(t, "apart").State == "installed" })
	for id, state := range map[string]string{"first": "waiting-content", "second": "waiting-prerequisite"} {
		until(t, id+" to say what it waits for", func() bool { u := a.update(t, id); return u.State == state && u.Reason != "" })
		if _, err := os.Stat(filepath.Join(a.root, "srv", id)); err == nil {
			t.Errorf("%s was installed out of order", id)
		}
	}
	if i := a.feed(t, s.stick); !i.Complete {
		t.Fatalf("%+v", i)
	}
	for _, id := range []string{"first", "second"} {
		until(t, id+" to be installed", func() bool { return a.update(t, id).State == "installed" })
	}
}

// fileAfter is file with a prerequisite.
func (m *mesh) fileAfter(id string, body []byte, after string) {
	m.t.Helper()
	_, err := m.seed.Import(context.Background(), api.ImportRequest{
		FileName: id, SizeBytes: int64(len(body)), ID: id, Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/" + id}, ImportRules: api.ImportRules{Prerequisites: []string{after}},
	}, bytes.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
}
