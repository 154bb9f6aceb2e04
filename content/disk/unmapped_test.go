package disk_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// bodies are the files of a folder but its lock.
func bodies(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range filesIn(t, dir) {
		if name == ".lock" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(b)
	}
	return all
}

// damageMap makes a payload's map one that does not hold.
func damageMap(t *testing.T, dir string, m *content.PayloadMap) {
	t.Helper()
	flip(t, filepath.Join(dir, m.ID().String()+".map"), 70)
}

// withBadMap is a folder with a payload whose map is damaged: published, or with these chunks.
func withBadMap(t *testing.T, seed uint64, indexes ...int) (dir string, m *content.PayloadMap, stored []byte) {
	t.Helper()
	dir = t.TempDir()
	s := open(t, dir)
	m, stored = storetest.Packed(t, storetest.Mixed(seed, 6*content.MinChunkBytes+500))
	if len(indexes) > 0 {
		put(t, s, m, stored, indexes...)
	} else {
		publish(t, s, m, stored)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	damageMap(t, dir, m)
	return dir, m, stored
}

// A flipped bit in a map of 300 bytes must not cost a payload, of which a seed may have the only copy.
func TestDamagedMapIsSetAsideAndItsPayloadKept(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(path string) error
		had    []int
	}{
		"a flipped bit":        {func(path string) error { flip(t, path, 70); return nil }, nil},
		"cut short":            {func(path string) error { return os.Truncate(path, 100) }, nil},
		"empty":                {func(path string) error { return os.Truncate(path, 0) }, nil},
		"of absurd size":       {func(path string) error { return os.Truncate(path, content.MaxMapBytes+1) }, nil},
		"of a part of a whole": {func(path string) error { flip(t, path, 9); return nil }, []int{0, 3, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			m, stored := storetest.Packed(t, storetest.Mixed(31, 6*content.MinChunkBytes+500))
			had := c.had
			if had == nil {
				publish(t, s, m, stored)
				had = []int{0, 1, 2, 3, 4, 5, 6}
			}
			put(t, s, m, stored, had...)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := c.damage(filepath.Join(dir, m.ID().String()+".map")); err != nil {
				t.Fatal(err)
			}
			before := bodies(t, dir)
			s = open(t, dir)
			checkUnserved(t, s, m)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(before, bodies(t, dir)) {
				t.Fatalf("opening the folder changed it: %q", filesIn(t, dir))
			}
			s = open(t, dir)
			checkHad(t, s, m, stored, had...)
			if left := s.Unmapped(); len(left) > 0 {
				t.Errorf("it has its map again and is told as %v", left)
			}
			publish(t, s, m, stored)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s = open(t, dir); !s.Published(m.ID()) || len(s.Unmapped()) > 0 {
				t.Fatal("the healed payload is not there after a restart")
			}
		})
	}
}

// checkUnserved: a payload is set aside, and nobody gets anything of it.
func checkUnserved(t *testing.T, s *disk.Store, m *content.PayloadMap) {
	t.Helper()
	if aside := s.Unmapped(); len(aside) != 1 || aside[0].ID != m.ID() || aside[0].HeldBytes == 0 {
		t.Fatalf("set aside: %+v", aside)
	}
	infos, err := s.List()
	_, readErr := s.ReadChunk(m.ID(), 0, make([]byte, content.MaxChunkBytes))
	_, openErr := s.OpenPlain(m.ID())
	_, copyErr := s.OpenCopy(m.ID())
	for _, got := range []error{readErr, openErr, copyErr} {
		if !errors.Is(got, content.ErrNotFound) {
			t.Errorf("what cannot be verified is given out: %v", got)
		}
	}
	if err != nil || len(infos) > 0 || s.Published(m.ID()) {
		t.Errorf("what cannot be verified is listed: %v, %v", infos, err)
	}
}

// Where the map is damaged the bytes may be as well: each is hashed before anybody gets it.
func TestChunkDamagedBesideItsMapComesAnew(t *testing.T) {
	dir, m, stored := withBadMap(t, 32)
	flip(t, filepath.Join(dir, m.ID().String()), m.Offset(2)+7)
	s := open(t, dir)
	checkHad(t, s, m, stored, 0, 1, 3, 4, 5, 6)
	put(t, s, m, stored, 2)
	if err := s.Publish(m.ID()); err != nil {
		t.Fatal(err)
	}
}

// A process that dies while it takes a payload up loses nothing and believes nothing.
func TestKillWhilePayloadIsTakenUpLosesNothing(t *testing.T) {
	for _, c := range []struct {
		suffix    string
		had, want []int
	}{{"", nil, []int{0, 1, 3, 4, 5, 6}}, {".part", []int{1, 2, 5}, []int{1, 5}}} {
		for at := 1; ; at++ {
			dir, m, stored := withBadMap(t, 33, c.had...)
			flip(t, filepath.Join(dir, m.ID().String()+c.suffix), m.Offset(2)+7)
			died := diesAt(t, dir, m, at)
			s := open(t, dir)
			checkHad(t, s, m, stored, c.want...)
			publish(t, s, m, stored)
			if !died {
				if at < 6 {
					t.Errorf("only %d steps were seen", at)
				}
				break
			}
		}
	}
}

// diesAt begins a payload in a process that can do nothing any more from a step on.
func diesAt(t *testing.T, dir string, m *content.PayloadMap, at int) (died bool) {
	t.Helper()
	step := 0
	next := func() error {
		if step++; step >= at {
			died = true
			return errors.New("killed")
		}
		return nil
	}
	s, err := disk.OpenWith(dir, noReserve, disk.System{
		WriteAt: func(f *os.File, b []byte, off int64) (int, error) {
			if err := next(); err != nil {
				return 0, err
			}
			return f.WriteAt(b, off)
		},
		Sync:   func(f *os.File) error { return errors.Join(next(), f.Sync()) },
		Rename: func(from, to string) error { return unless(next(), func() error { return os.Rename(from, to) }) },
		Remove: func(path string) error { return unless(next(), func() error { return os.Remove(path) }) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if have, err := s.Begin(m); died == (err == nil) {
		t.Fatalf("step %d: %v chunks, %v", at, have, err)
	}
	if err := s.Abandon(); err != nil {
		t.Fatal(err)
	}
	return died
}

func unless(err error, do func() error) error {
	if err != nil {
		return err
	}
	return do()
}

func TestUnmappedPayloadIsDroppedReplacedAndCounted(t *testing.T) {
	plain := storetest.Mixed(34, 6*content.MinChunkBytes+500)
	dir, m, _ := withBadMap(t, 34)
	opt := noReserve
	opt.QuotaBytes = m.StoredBytes() + 10
	s := openWith(t, dir, opt, disk.System{})
	if u, err := s.Usage(); err != nil || u.UsedBytes != m.StoredBytes() {
		t.Errorf("it takes %d bytes and counts as %+v, %v", m.StoredBytes(), u, err)
	}
	other, _ := storetest.Packed(t, storetest.Random(35, 4*content.MinChunkBytes))
	if _, err := s.Begin(other); !errors.Is(err, content.ErrNoSpace) {
		t.Errorf("begin beside what is set aside: %v, want ErrNoSpace", err)
	}
	if err := s.Drop(m.ID()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(filesIn(t, dir), " "); got != ".lock" || len(s.Unmapped()) > 0 {
		t.Errorf("after drop: %s, %v", got, s.Unmapped())
	}
	if _, err := s.Begin(other); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	dir, m, stored := withBadMap(t, 34)
	s = open(t, dir)
	if _, err := s.Import(bytes.NewReader(plain), int64(len(plain))); err != nil {
		t.Fatal(err)
	}
	if !s.Published(m.ID()) || len(s.Unmapped()) > 0 || len(filesIn(t, dir)) != 3 {
		t.Errorf("imported over it: %v, %q", s.Unmapped(), filesIn(t, dir))
	}
	checkRight(t, s, m, stored)
}

// Whoever asks meanwhile waits for the answer: chunks that lie there would be fetched again.
func TestBeginWaitsUntilTheBytesWereHashed(t *testing.T) {
	dir, m, stored := withBadMap(t, 36)
	s := open(t, dir)
	var work sync.WaitGroup
	counts := make([]int, 4)
	for i := range counts {
		work.Go(func() {
			if have, err := s.Begin(m); err == nil {
				counts[i] = have.Count()
			}
		})
	}
	work.Wait()
	if slices.ContainsFunc(counts, func(n int) bool { return n != m.Len() }) {
		t.Errorf("four that begin at once are told of %v chunks of %d", counts, m.Len())
	}
	checkRight(t, s, m, stored)
}

// A node that stops, or a payload that is dropped, does not wait for the end of a long hash, and loses nothing by it.
func TestHashingEndsWithTheStoreOrThePayload(t *testing.T) {
	for range soak(5, 100) {
		dir, m, stored := withBadMap(t, 37)
		s := open(t, dir)
		var work sync.WaitGroup
		work.Go(func() { _, _ = s.Begin(m) })
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		work.Wait()
		s = open(t, dir)
		checkHad(t, s, m, stored, 0, 1, 2, 3, 4, 5, 6)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		damageMap(t, dir, m)
		s = open(t, dir)
		work.Go(func() { _, _ = s.Begin(m) })
		work.Go(func() { _ = s.Drop(m.ID()) })
		work.Wait()
		if _, err := s.Begin(m); err != nil {
			t.Fatal(err)
		}
		publish(t, s, m, stored)
	}
}

func TestInterruptedHashingGoesOnAfterTheNextOpening(t *testing.T) {
	dir, m, stored := withBadMap(t, 38)
	s := open(t, dir)
	s.Interrupt()
	if have, err := s.Begin(m); !errors.Is(err, content.ErrClosed) {
		t.Fatalf("begin after the interruption: %v, %v", have, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkHad(t, open(t, dir), m, stored, 0, 1, 2, 3, 4, 5, 6)
}
