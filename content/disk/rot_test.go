package disk_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// soak is the short count, or the full one with PATCHMESH_SOAK=1.
func soak(short, full int) int {
	if os.Getenv("PATCHMESH_SOAK") == "1" {
		return full
	}
	return short
}

// flipBit turns one bit of a chunk on disk.
func flipBit(t *testing.T, s *disk.Store, m *content.PayloadMap, i int, rng *rand.Rand) {
	t.Helper()
	path := filepath.Join(s.Dir(), m.ID().String())
	if !s.Published(m.ID()) {
		path += ".part"
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := m.Offset(i) + rng.Int64N(int64(m.Chunks[i].StoredBytes))
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << rng.IntN(8)
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// S-ROT: one flipped bit anywhere in the store is found by whoever comes across it first, before a byte
// of it is served or installed, and one chunk heals it.
func TestFlippedBitIsFoundBeforeItIsServedOrInstalled(t *testing.T) {
	var damage []int
	dir := t.TempDir()
	opt := noReserve
	opt.OnDamage = func(_ content.ID, indexes []int) { damage = append(damage, indexes...) }
	s := openWith(t, dir, opt, disk.System{})
	plain := storetest.Mixed(21, 7*content.MinChunkBytes+1000)
	m, stored := storetest.Packed(t, plain)
	storetest.Fill(t, s, m, stored)
	rng := rand.New(rand.NewPCG(21, 1))
	found := map[string]int{}
	for round := range soak(60, 1000) {
		if round%5 == 4 { // what is only believed after a restart is found as well
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openWith(t, dir, opt, disk.System{})
		}
		whole := rng.IntN(2) == 0
		if whole {
			if err := s.Publish(m.ID()); err != nil {
				t.Fatal(err)
			}
		}
		i := rng.IntN(m.Len())
		damage = nil
		flipBit(t, s, m, i, rng)
		path := []string{"serve", "scrub", "install"}[rng.IntN(3)]
		if !whole && path == "install" {
			path = "publish"
		}
		err := meet(s, m, i, path, plain, t)
		if !errors.Is(err, content.ErrDamaged) {
			t.Fatalf("round %d: %s of a flipped bit in chunk %d: %v", round, path, i, err)
		}
		if !slices.Equal(damage, []int{i}) {
			t.Fatalf("round %d: %s: damage of chunk %d was told as %v", round, path, i, damage)
		}
		if _, err := s.ReadChunk(m.ID(), i, make([]byte, content.MaxChunkBytes)); !errors.Is(err, content.ErrNotFound) {
			t.Fatalf("round %d: the damaged chunk is still offered: %v", round, err)
		}
		storetest.Fill(t, s, m, stored)
		found[path]++
	}
	t.Logf("found by %v", found)
	for _, path := range []string{"serve", "scrub", "install", "publish"} {
		if found[path] == 0 {
			t.Errorf("nothing was found by %s", path)
		}
	}
}

// meet comes across chunk i on one of the ways that bytes leave the store.
func meet(s *disk.Store, m *content.PayloadMap, i int, path string, plain []byte, t *testing.T) error {
	t.Helper()
	buf := make([]byte, content.MaxChunkBytes)
	switch path {
	case "serve":
		_, err := s.ReadChunk(m.ID(), i, buf)
		return err
	case "scrub":
		for k := range m.Len() {
			if _, err := s.CheckChunk(m.ID(), k, buf); err != nil {
				return err
			}
		}
		return nil
	case "publish":
		return s.Publish(m.ID())
	}
	r, err := s.OpenPlain(m.ID())
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if !bytes.HasPrefix(plain, got) {
		t.Fatal("wrong bytes reached the installer")
	}
	return err
}

// What a serve costs beside hashing the chunk each time.
func BenchmarkServe(b *testing.B) {
	s, err := disk.Open(b.TempDir(), noReserve)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	m, stored := storetest.Packed(b, storetest.Random(22, content.MaxChunkBytes))
	storetest.Fill(b, s, m, stored)
	buf := make([]byte, content.MaxChunkBytes)
	for name, read := range map[string]func(content.ID, int, []byte) (int, error){"serve": s.ReadChunk, "hash": s.CheckChunk} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(m.Chunks[0].StoredBytes))
			for b.Loop() {
				if _, err := read(m.ID(), 0, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestQuotaCountsWhatHasBegun(t *testing.T) {
	a, storedA := storetest.Packed(t, storetest.Random(23, 4*content.MinChunkBytes))
	b, _ := storetest.Packed(t, storetest.Random(24, 4*content.MinChunkBytes))
	opt := noReserve
	opt.QuotaBytes = a.StoredBytes() + b.StoredBytes() - 1
	s := openWith(t, t.TempDir(), opt, disk.System{})
	if _, err := s.Begin(a); err != nil {
		t.Fatal(err)
	}
	var full *content.NoSpaceError
	if _, err := s.Begin(b); !errors.As(err, &full) || full.NeedBytes-full.FreeBytes != 1 {
		t.Fatalf("the second payload begins although both are one byte too many: %v", err)
	}
	if _, err := s.Import(bytes.NewReader(storetest.Random(24, 4*content.MinChunkBytes)), 4*content.MinChunkBytes); !errors.Is(err, content.ErrNoSpace) {
		t.Fatalf("import beyond the quota: %v", err)
	}
	storetest.Fill(t, s, a, storedA)
	if _, err := s.Begin(a); err != nil {
		t.Errorf("what is there does not fit: %v", err)
	}
	if err := s.Drop(a.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Begin(b); err != nil {
		t.Errorf("there is room again, and yet: %v", err)
	}
	s.Tune(disk.Options{QuotaBytes: 1000, ReserveBytes: -1})
	u, err := s.Usage()
	if err != nil || u.OverBytes() != b.StoredBytes()-1000 {
		t.Errorf("a quota of 1000 bytes: %+v, over by %d, %v", u, u.OverBytes(), err)
	}
}

func TestLimitsAsSharesOfTheDisk(t *testing.T) {
	space := func(string) (int64, int64, error) { return 60 << 30, 100 << 30, nil }
	s := openWith(t, t.TempDir(), disk.Options{}, disk.System{Space: space})
	for _, c := range []struct {
		opt            disk.Options
		quota, reserve int64
	}{
		{disk.Options{}, 20 << 30, 1 << 30},
		{disk.Options{QuotaPercent: 50, ReservePercent: 10}, 50 << 30, 10 << 30},
		{disk.Options{QuotaBytes: 7, ReserveBytes: 9, QuotaPercent: 50, ReservePercent: 10}, 7, 9},
		{disk.Options{QuotaBytes: -1, ReserveBytes: -1}, 100 << 30, 0},
		{disk.Options{QuotaBytes: -1, ReserveBytes: math.MaxInt64}, 100 << 30, 100 << 30},
	} {
		s.Tune(c.opt)
		u, err := s.Usage()
		if err != nil || u.QuotaBytes != c.quota || u.ReserveBytes != c.reserve {
			t.Errorf("%+v gives quota %d and reserve %d, want %d and %d (%v)", c.opt, u.QuotaBytes, u.ReserveBytes, c.quota, c.reserve, err)
		}
	}
}

// Another program fills the disk while chunks arrive: the reserve is not touched for long.
func TestReserveIsGuardedWhileChunksArrive(t *testing.T) {
	free := int64(10 << 30)
	s := openWith(t, t.TempDir(), disk.Options{ReserveBytes: 1 << 30}, disk.System{
		Space: func(string) (int64, int64, error) { return free, 100 << 30, nil },
	})
	m, stored := storetest.Packed(t, storetest.Random(25, 40*content.MaxChunkBytes))
	if _, err := s.Begin(m); err != nil {
		t.Fatal(err)
	}
	free = 1<<30 + 100
	taken := int64(0)
	for i := range m.Len() {
		_, err := s.Put(m.ID(), i, storetest.ChunkOf(m, stored, i))
		if errors.Is(err, content.ErrNoSpace) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		taken += int64(m.Chunks[i].StoredBytes)
	}
	if taken > 32<<20 {
		t.Fatalf("%d bytes were taken from the reserve", taken)
	}
	free = 10 << 30
	storetest.Fill(t, s, m, stored)
	if err := s.Publish(m.ID()); err != nil {
		t.Fatal(err)
	}
}

// A reserve of any size is one: nothing comes in, instead of everything.
func TestReserveLargerThanTheDiskHolds(t *testing.T) {
	s := openWith(t, t.TempDir(), disk.Options{ReserveBytes: math.MaxInt64}, disk.System{Space: func(string) (int64, int64, error) { return 50 << 30, 100 << 30, nil }})
	m, _ := storetest.Packed(t, storetest.Random(28, content.MinChunkBytes))
	if _, err := s.Begin(m); !errors.Is(err, content.ErrNoSpace) {
		t.Errorf("begin: %v", err)
	}
}

// Whoever took room that he does not need gives it back before a payload or a chunk is refused.
func TestRoomThatIsGivenBackIsUsedAtOnce(t *testing.T) {
	free, given := int64(10<<30), 0
	opt := disk.Options{ReserveBytes: 1 << 30, OnShort: func() { free, given = 10<<30, given+1 }}
	s := openWith(t, t.TempDir(), opt, disk.System{Space: func(string) (int64, int64, error) { return free, 100 << 30, nil }})
	m, stored := storetest.Packed(t, storetest.Random(26, 40*content.MaxChunkBytes))
	free = 1<<30 + 100
	if _, err := s.Begin(m); err != nil || given != 1 {
		t.Fatalf("begin: %v, room was asked for %d times", err, given)
	}
	free = 1<<30 + 100
	storetest.Fill(t, s, m, stored)
	if given != 2 {
		t.Errorf("room was asked for %d times, want 2", given)
	}
	opt.QuotaBytes, opt.OnShort = 1, func() { t.Error("a quota does not grow by what is given back") }
	s.Tune(opt)
	more, _ := storetest.Packed(t, storetest.Random(27, content.MinChunkBytes))
	if _, err := s.Begin(more); !errors.Is(err, content.ErrNoSpace) {
		t.Errorf("begin over the quota: %v", err)
	}
}
