package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/media"
)

// site is a data folder of a machine at a site without a network, not running, and the seed's mesh.
type site struct {
	*mesh
	stopped
	stick string
}

func newSite(t *testing.T) *site {
	t.Helper()
	m := newMesh(t)
	m.offline("a", "north").stop()
	f, err := waitFolder(filepath.Join(m.dir, "a"), time.Now, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return &site{mesh: m, stopped: stopped{f}, stick: t.TempDir()}
}

func (s *site) update(id string, body []byte) {
	s.t.Helper()
	s.file(id, body)
	s.approve(id)
}

func (s *site) take(dir string) (*ImportedBundle, error) {
	return ImportBundle(context.Background(), s.stopped, dir, time.Now())
}

// files lists the medium: sizes by name.
func files(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, media.FolderName))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = fi.Size()
	}
	return out
}

func TestSecondStickCarriesOnlyWhatTheSiteLacks(t *testing.T) {
	s := newSite(t)
	body := static(60 << 20)
	s.update("u1", body)
	s.export(ExportRequest{Dir: s.stick, Site: "north", VolumeBytes: 16 << 20})
	if i, err := s.take(s.stick); err != nil || !i.Complete {
		t.Fatalf("%+v, %v", i, err)
	}
	if _, err := ExportReturn(context.Background(), s.stopped, s.stick); err != nil {
		t.Fatal(err)
	}
	in, err := ImportReturns(context.Background(), s.seed, nil, s.stick)
	if err != nil || in.Returns[0].Site != "north" || in.Returns[0].Payloads != 1 {
		t.Fatalf("%+v, %v", in, err)
	}
	have, err := s.seed.LastHave(context.Background(), api.CargoQuery{Site: "north"})
	if err != nil {
		t.Fatal(err)
	}
	fresh := static(10<<20 + 1)
	s.update("u2", fresh)
	second := t.TempDir()
	plan := s.export(ExportRequest{Site: "north", Have: have, Plan: true})
	x := s.export(ExportRequest{Dir: second, Site: "north", Have: have})
	if x.ChunkBytes != int64(len(fresh)) || x.There != int64(len(body)) || !x.Complete {
		t.Errorf("second export: %+v", x)
	}
	if most := int64(len(fresh)) * 102 / 100; x.Written > most || plan.NeedBytes > most || plan.NeedBytes < int64(len(fresh)) {
		t.Errorf("%d bytes were written and %d planned for %d new ones", x.Written, plan.NeedBytes, len(fresh))
	}
	if i, err := s.take(second); err != nil || !i.Complete || i.ChunkBytes != int64(len(fresh)) {
		t.Errorf("second import: %+v, %v", i, err)
	}
	// Without the list, the first stick gets the new payload beside what it holds.
	if x := s.export(ExportRequest{Dir: s.stick, Site: "north"}); x.ChunkBytes != int64(len(fresh)) || x.Kept != int64(len(body)) {
		t.Errorf("the first stick again: %+v", x)
	}
	// A have-list that somebody changed is refused: it would make a stick that lacks something.
	if _, err := ExportBundle(context.Background(), s.seed, ExportRequest{
		Dir: second, Now: time.Now(), Have: bytes.Replace(have, []byte(`"sig":"`), []byte(`"sig":"AAAA`), 1),
	}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("a changed have-list: %v", err)
	}
}

// cutOff is a node whose export is cut after so many bytes of chunks: killed, or the stick was pulled.
type cutOff struct {
	api.Carrier
	left int
}

func (c *cutOff) GiveChunks(ctx context.Context, q api.ChunkQuery, w io.Writer) error {
	return c.Carrier.GiveChunks(ctx, q, &cutWriter{w, &c.left})
}

type cutWriter struct {
	w    io.Writer
	left *int
}

var errCut = errors.New("cut off")

func (c *cutWriter) Write(b []byte) (int, error) {
	if *c.left -= len(b); *c.left < 0 {
		return 0, errCut
	}
	return c.w.Write(b)
}

func TestExportGoesOnAfterACutAndACutStickIsStillOfUse(t *testing.T) {
	s := newSite(t)
	body := static(24 << 20)
	s.update("u1", body)
	points := soak(6, 200)
	for n := range points {
		stick := t.TempDir()
		cut := &cutOff{Carrier: s.seed, left: n * len(body) / points}
		r := ExportRequest{Dir: stick, Site: "north", VolumeBytes: 5 << 20, Now: time.Now()}
		if _, err := ExportBundle(context.Background(), cut, r); !errors.Is(err, errCut) {
			t.Fatalf("cut at %d of %d: %v", n, points, err)
		}
		// What is on it is whole volumes and an index that knows of them: of use, and known to be a part.
		i, err := s.take(stick)
		if err != nil || i.Complete || i.Damaged > 0 || i.Reason != "media-incomplete" || i.Volumes != i.Of {
			t.Fatalf("import of a stick cut at %d: %+v, %v", n, i, err)
		}
		x, err := ExportBundle(context.Background(), s.seed, r)
		if err != nil || !x.Complete || x.Kept+x.ChunkBytes != int64(len(body)) || (n > points/2 && x.Kept == 0) {
			t.Fatalf("export again after a cut at %d: %+v, %v", n, x, err)
		}
		if i, err := s.take(stick); err != nil || !i.Complete {
			t.Fatalf("import again: %+v, %v", i, err)
		}
		if err := s.store.Drop(s.payload("u1")); err != nil {
			t.Fatal(err)
		}
	}
}

// payload is the ID of an update's payload.
func (s *site) payload(id string) content.ID {
	s.t.Helper()
	c, err := s.seed.Cargo(context.Background(), api.CargoQuery{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range c.Payloads {
		if p.Update == id {
			return p.ID
		}
	}
	s.t.Fatalf("no payload of %s", id)
	return content.ID{}
}

// A stick that was pulled out, or a copy that broke off: each file is cut at many points.
func TestTruncatedStickGivesWhatIsWholeAndNamesTheRest(t *testing.T) {
	s := newSite(t)
	body := static(9 << 20)
	s.update("u1", body)
	s.export(ExportRequest{Dir: s.stick, Site: "north", VolumeBytes: 4 << 20})
	id := s.payload("u1")
	each := soak(5, 50)
	for name, size := range files(t, s.stick) {
		path := filepath.Join(s.stick, media.FolderName, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for n := range each {
			at := size * int64(n) / int64(each)
			if err := os.WriteFile(path, whole[:at], 0o644); err != nil {
				t.Fatal(err)
			}
			i, err := s.take(s.stick)
			switch {
			case err != nil && (api.ClassOf(err) != api.ClassRefused && api.ClassOf(err) != api.ClassFailed || !bytes.Contains([]byte(err.Error()), []byte("media-"))):
				t.Errorf("%s cut at %d: %v", name, at, err)
			case err == nil && (i.Complete || i.Reason == "" || i.Damaged > 0):
				t.Errorf("%s cut at %d: %+v", name, at, i)
			case err == nil && len(i.Missing)+i.Lacking != 1:
				t.Errorf("%s cut at %d: %d payloads lack chunks, %d approvals documents", name, at, len(i.Missing), i.Lacking)
			}
			s.checkStore(id)
			s.forgetDocs()
			if err := s.store.Drop(id); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if i, err := s.take(s.stick); err != nil || !i.Complete {
		t.Fatalf("the whole stick: %+v, %v", i, err)
	}
	if err := s.store.Publish(id); err != nil {
		t.Errorf("the payload does not hash to what was approved: %v", err)
	}
}

// forgetDocs makes the machine one that has not seen the descriptors.
func (s *site) forgetDocs() {
	s.t.Helper()
	_, err := s.db.DropDocs(func(content.ID, string) bool { return false })
	if err != nil {
		s.t.Fatal(err)
	}
}

// checkStore reads every chunk that the store says it has.
func (s *site) checkStore(id content.ID) {
	s.t.Helper()
	have, err := s.store.Have(id)
	if errors.Is(err, content.ErrNotFound) {
		return
	}
	m, merr := s.store.Map(id)
	if err = errors.Join(err, merr); err != nil {
		s.t.Fatal(err)
	}
	buf := make([]byte, content.MaxChunkBytes)
	for i := range m.Len() {
		if !have.Has(i) {
			continue
		}
		n, err := s.store.ReadChunk(id, i, buf)
		if err == nil {
			err = m.CheckChunk(i, buf[:n])
		}
		if err != nil {
			s.t.Fatalf("chunk %d is believed: %v", i, err)
		}
	}
}

func TestExportRefusesAMediumThatIsTooSmall(t *testing.T) {
	s := newSite(t)
	s.update("u1", static(3<<20))
	dir := smallFS(t)
	_, err := ExportBundle(context.Background(), s.seed, ExportRequest{Dir: dir, Site: "north", Now: time.Now()})
	if api.ClassOf(err) != api.ClassNoSpace {
		t.Fatalf("a medium of 2 MiB: %v", err)
	}
	if n := len(files(t, dir)); n != 0 {
		t.Errorf("%d files were begun all the same", n)
	}
}

func TestExportForNobodySaysSo(t *testing.T) {
	s := newSite(t)
	s.update("u1", static(1<<20))
	for _, r := range []ExportRequest{{Site: "nowhere"}, {Group: "nobody"}} {
		r.Dir, r.Now = s.stick, time.Now()
		if _, err := ExportBundle(context.Background(), s.seed, r); api.ClassOf(err) != api.ClassNotFound {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := ExportBundle(context.Background(), s.seed, ExportRequest{Dir: s.stick, VolumeBytes: 1 << 32, Now: time.Now()}); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("a volume of 4 GiB: %v", err)
	}
}
