package disk_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// noReserve is for tests that do not care how full this machine's disk is.
var noReserve = disk.Options{ReserveBytes: -1}

func open(t *testing.T, dir string) *disk.Store {
	t.Helper()
	return openWith(t, dir, noReserve, disk.System{})
}

func openWith(t *testing.T, dir string, opt disk.Options, sys disk.System) *disk.Store {
	t.Helper()
	s, err := disk.OpenWith(dir, opt, sys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestDiskStore(t *testing.T) {
	storetest.Run(t, storetest.Kind{
		Open: func(t *testing.T) content.Store { return open(t, t.TempDir()) },
		Limited: func(t *testing.T, freeBytes int64) content.Store {
			return openWith(t, t.TempDir(), noReserve, disk.System{
				Space: func(string) (int64, int64, error) { return freeBytes, 1 << 40, nil },
			})
		},
		Damage: func(t *testing.T, s content.Store, payload content.ID, index int) {
			m, err := s.Map(payload)
			if err != nil {
				t.Fatal(err)
			}
			flip(t, dataFile(s.(*disk.Store), payload), m.Offset(index)+int64(m.Chunks[index].StoredBytes)/2)
		},
	})
}

// dataFile is where a payload's bytes are now.
func dataFile(s *disk.Store, id content.ID) string {
	path := filepath.Join(s.Dir(), id.String())
	if s.Published(id) {
		return path
	}
	return path + ".part"
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// put stores some chunks of a payload.
func put(t *testing.T, s *disk.Store, m *content.PayloadMap, stored []byte, indexes ...int) {
	t.Helper()
	if _, err := s.Begin(m); err != nil {
		t.Fatal(err)
	}
	for _, i := range indexes {
		if _, err := s.Put(m.ID(), i, storetest.ChunkOf(m, stored, i)); err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
	}
}

// checkHad fails unless exactly these chunks are there, and right.
func checkHad(t *testing.T, s *disk.Store, m *content.PayloadMap, stored []byte, indexes ...int) {
	t.Helper()
	have, err := s.Begin(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range indexes {
		if !have.Has(i) {
			t.Errorf("chunk %d is not there", i)
		}
	}
	if have.Count() != len(indexes) {
		t.Errorf("%d chunks are there, want %v", have.Count(), indexes)
	}
	checkRight(t, s, m, stored)
}

// checkRight fails if a chunk counts as had and is not what it should be.
func checkRight(t *testing.T, s *disk.Store, m *content.PayloadMap, stored []byte) {
	t.Helper()
	have, err := s.Have(m.ID())
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, content.MaxChunkBytes)
	for i := range m.Len() {
		if !have.Has(i) {
			continue
		}
		n, err := s.ReadChunk(m.ID(), i, buf)
		if err != nil || !bytes.Equal(buf[:n], storetest.ChunkOf(m, stored, i)) {
			t.Errorf("chunk %d counts as had and is wrong: %v", i, err)
		}
	}
}

func publish(t *testing.T, s *disk.Store, m *content.PayloadMap, stored []byte) {
	t.Helper()
	storetest.Fill(t, s, m, stored)
	if err := s.Publish(m.ID()); err != nil {
		t.Fatal(err)
	}
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestPublishedPayloadLiesOnDiskOnce(t *testing.T) {
	plain := storetest.Mixed(6, 6*content.MinChunkBytes)
	imported := func(s *disk.Store) {
		if _, err := s.Import(bytes.NewReader(plain), int64(len(plain))); err != nil {
			t.Fatal(err)
		}
	}
	for name, fill := range map[string]func(s *disk.Store, m *content.PayloadMap, stored []byte){
		"fetched":  func(s *disk.Store, m *content.PayloadMap, stored []byte) { publish(t, s, m, stored) },
		"imported": func(s *disk.Store, _ *content.PayloadMap, _ []byte) { imported(s) },
		"imported over a part": func(s *disk.Store, m *content.PayloadMap, stored []byte) {
			put(t, s, m, stored, 0)
			imported(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			m, stored := storetest.Packed(t, plain)
			fill(s, m, stored)
			want := []string{".lock", m.ID().String(), m.ID().String() + ".map"}
			if got := filesIn(t, dir); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Fatalf("files are %q", got)
			}
			b, err := os.ReadFile(dataFile(s, m.ID()))
			if err != nil || !bytes.Equal(b, stored) {
				t.Fatalf("the published file is not the stored form: %v", err)
			}
			if err := s.Drop(m.ID()); err != nil {
				t.Fatal(err)
			}
			if got := filesIn(t, dir); len(got) != 1 {
				t.Fatalf("after drop: %q", got)
			}
		})
	}
}

func TestPayloadsSurviveReopening(t *testing.T) {
	dir := t.TempDir()
	whole, wholeStored := storetest.Packed(t, storetest.Text(7*content.MinChunkBytes))
	part, partStored := storetest.Packed(t, storetest.Random(7, 9*content.MinChunkBytes))
	s := open(t, dir)
	publish(t, s, whole, wholeStored)
	put(t, s, part, partStored, 8, 0, 5)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if !s.Published(whole.ID()) || s.Published(part.ID()) {
		t.Fatal("published or not is not what it was")
	}
	checkHad(t, s, part, partStored, 0, 5, 8)
	checkHad(t, s, whole, wholeStored, 0, 1, 2, 3, 4, 5, 6)
}

func TestHaveBitsAreSavedByBytesAndByTime(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		name  string
		opt   disk.Options
		after int // chunks until the bits are on disk
		pass  time.Duration
	}{
		{"bytes", disk.Options{SaveBytes: 3 * content.MinChunkBytes}, 3, 0},
		{"time", disk.Options{}, 5, 6 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.opt.ReserveBytes, c.opt.Now = -1, func() time.Time { return now }
			s := openWith(t, dir, c.opt, disk.System{})
			m, stored := storetest.Packed(t, storetest.Random(5, 8*content.MinChunkBytes))
			isSaved := func() bool { return strings.Contains(strings.Join(filesIn(t, dir), " "), ".have") }
			for i := range c.after {
				if isSaved() {
					t.Fatalf("have-bits were saved after %d chunks", i)
				}
				if i == c.after-1 {
					now = now.Add(c.pass)
				}
				put(t, s, m, stored, i)
			}
			if !isSaved() {
				t.Fatal("have-bits were not saved")
			}
		})
	}
}

// The order is what a power cut tests: data, then the bits that claim it.
func TestDataIsSyncedBeforeItIsClaimed(t *testing.T) {
	var log []string
	note := func(what, path string) { log = append(log, what+filepath.Ext(strings.TrimSuffix(path, ".new"))) }
	s := openWith(t, t.TempDir(), noReserve, disk.System{
		Sync:   func(f *os.File) error { note("sync ", f.Name()); return f.Sync() },
		Rename: func(from, to string) error { note("rename ", to); return os.Rename(from, to) },
	})
	m, stored := storetest.Packed(t, storetest.Random(5, 2*content.MinChunkBytes))
	put(t, s, m, stored, 0)
	log = nil
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(log, ", "); got != "sync .part, sync .have, rename .have" {
		t.Errorf("saving: %s", got)
	}
	put(t, s, m, stored, 1)
	log = nil
	if err := s.Publish(m.ID()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(log, ", "); got != "sync .part, rename " {
		t.Errorf("publishing: %s", got)
	}
}

func TestFewFilesStayOpen(t *testing.T) {
	opt := noReserve
	opt.OpenFiles = 3
	s := openWith(t, t.TempDir(), opt, disk.System{})
	var maps []*content.PayloadMap
	var forms [][]byte
	for i := range 12 {
		m, stored := storetest.Packed(t, storetest.Random(uint64(30+i), 5000))
		maps, forms = append(maps, m), append(forms, stored)
		if i%2 == 0 {
			publish(t, s, m, stored)
		} else {
			put(t, s, m, stored, 0)
		}
	}
	var work sync.WaitGroup
	for w := range 8 {
		work.Go(func() {
			buf := make([]byte, 5000)
			for i := range 120 {
				i = (i * (w + 1)) % len(maps)
				if n, err := s.ReadChunk(maps[i].ID(), 0, buf); err != nil || !bytes.Equal(buf[:n], forms[i]) {
					t.Errorf("payload %d: %v", i, err)
				}
			}
		})
	}
	work.Wait()
	if n := s.OpenFiles(); n > 3 {
		t.Fatalf("%d payloads have open files", n)
	}
}

func TestFolderIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // access lists are another matter
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	m, stored := storetest.Packed(t, storetest.Random(5, 100))
	put(t, s, m, stored, 0)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{".": 0o700, m.ID().String() + ".part": 0o600, m.ID().String() + ".have": 0o600} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v", name, fi.Mode())
		}
	}
}

func TestServingDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		return
	}
	s := open(t, t.TempDir())
	m, stored := storetest.Packed(t, storetest.Mixed(5, 4*content.MinChunkBytes))
	publish(t, s, m, stored)
	buf := make([]byte, content.MaxChunkBytes)
	if n := testing.AllocsPerRun(20, func() {
		if _, err := s.ReadChunk(m.ID(), 1, buf); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations per chunk read", n)
	}
	for i := range 2 { // a compressed chunk and a plain one, checked and found to be there
		if n := testing.AllocsPerRun(20, func() {
			if _, err := s.Put(m.ID(), i, storetest.ChunkOf(m, stored, i)); err != nil {
				t.Fatal(err)
			}
		}); n > 2 {
			t.Errorf("%v allocations per put of chunk %d", n, i)
		}
	}
}
