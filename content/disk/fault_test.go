package disk_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// errFull is what the system says when a disk is full.
func errFull() error {
	if os.PathSeparator == '\\' {
		return syscall.Errno(112)
	}
	return syscall.ENOSPC
}

func TestFullDiskIsFoundOnWriteAndHealsWhenThereIsRoom(t *testing.T) {
	m, stored := storetest.Packed(t, storetest.Mixed(5, 4*content.MinChunkBytes))
	for _, suffix := range []string{".part", ".hint"} {
		t.Run(suffix, func(t *testing.T) {
			var full atomic.Bool
			s := openWith(t, t.TempDir(), noReserve, disk.System{
				WriteAt: func(f *os.File, b []byte, at int64) (int, error) {
					if full.Load() && strings.HasSuffix(f.Name(), suffix) {
						n, _ := f.WriteAt(b[:len(b)/2], at) // as far as there is room
						return n, &os.PathError{Op: "write", Path: f.Name(), Err: errFull()}
					}
					return f.WriteAt(b, at)
				},
			})
			put(t, s, m, stored, 0)
			full.Store(true)
			fresh, err := s.Put(m.ID(), 1, storetest.ChunkOf(m, stored, 1))
			if fresh || !errors.Is(err, content.ErrNoSpace) {
				t.Fatalf("put to a full disk: fresh=%v, %v, want ErrNoSpace", fresh, err)
			}
			checkHad(t, s, m, stored, 0)
			full.Store(false)
			publish(t, s, m, stored)
		})
	}
}

// Have-bits that cannot be written cost nothing while the process lives: chunks go on coming.
func TestFullDiskForHaveBitsIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	var full atomic.Bool
	opt := noReserve
	opt.SaveBytes = content.MinChunkBytes
	s := openWith(t, dir, opt, disk.System{
		WriteAt: func(f *os.File, b []byte, at int64) (int, error) {
			if full.Load() && strings.Contains(f.Name(), ".have") {
				return 0, errFull()
			}
			return f.WriteAt(b, at)
		},
	})
	m, stored := storetest.Packed(t, storetest.Random(5, 4*content.MinChunkBytes))
	put(t, s, m, stored, 0)
	full.Store(true)
	put(t, s, m, stored, 1, 2)
	if err := s.Sync(); !errors.Is(err, content.ErrNoSpace) {
		t.Fatalf("sync on a full disk: %v, want ErrNoSpace", err)
	}
	full.Store(false)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := s.Abandon(); err != nil {
		t.Fatal(err)
	}
	rewrite(t, dir, m.ID().String()+".hint", nil)
	checkHad(t, open(t, dir), m, stored, 0, 1, 2)
}

// After a sync that failed nobody knows what reached the disk, and the next sync would not tell.
func TestFailedSyncGivesUpWhatCameSinceTheLastSave(t *testing.T) {
	dir := t.TempDir()
	var broken atomic.Bool
	s := openWith(t, dir, noReserve, disk.System{
		Sync: func(f *os.File) error {
			if strings.HasSuffix(f.Name(), ".part") && broken.Swap(false) {
				return &os.PathError{Op: "sync", Path: f.Name(), Err: errors.New("input/output error")}
			}
			return f.Sync()
		},
	})
	m, stored := storetest.Packed(t, storetest.Random(5, 6*content.MinChunkBytes))
	put(t, s, m, stored, 0, 1)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	put(t, s, m, stored, 2, 3)
	broken.Store(true)
	if err := s.Sync(); !errors.Is(err, content.ErrDamaged) {
		t.Fatalf("failed sync: %v, want ErrDamaged", err)
	}
	checkHad(t, s, m, stored, 0, 1)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := s.Abandon(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	checkHad(t, s, m, stored, 0, 1) // the hints do not bring them back either
	publish(t, s, m, stored)
}

func TestPublishWithoutSyncIsNoPublish(t *testing.T) {
	var broken atomic.Bool
	s := openWith(t, t.TempDir(), noReserve, disk.System{
		Sync: func(f *os.File) error {
			if broken.Load() {
				return errors.New("input/output error")
			}
			return f.Sync()
		},
	})
	m, stored := storetest.Packed(t, storetest.Random(5, 2*content.MinChunkBytes))
	storetest.Fill(t, s, m, stored)
	broken.Store(true)
	if err := s.Publish(m.ID()); !errors.Is(err, content.ErrDamaged) || s.Published(m.ID()) {
		t.Fatalf("publish without sync: %v, published=%v", err, s.Published(m.ID()))
	}
	broken.Store(false)
	publish(t, s, m, stored)
}

// A payload that is dropped and begins anew while a put is about to save must not inherit its bits. The
// store asks for the time just before it saves: that is where it happens here.
func TestLateSaverWritesNoBitsBesideANewPayload(t *testing.T) {
	dir := t.TempDir()
	m, stored := storetest.Packed(t, storetest.Random(5, 3*content.MinChunkBytes))
	var s *disk.Store
	between := func() {}
	now := time.Unix(1000, 0)
	opt := noReserve
	opt.Now = func() time.Time {
		do := between
		between = func() {}
		do()
		return now
	}
	s = openWith(t, dir, opt, disk.System{})
	put(t, s, m, stored)
	between = func() {
		if err := s.Drop(m.ID()); err != nil {
			t.Error(err)
		}
		put(t, s, m, stored, 2)
		now = now.Add(time.Hour)
	}
	if _, err := s.Put(m.ID(), 0, storetest.ChunkOf(m, stored, 0)); err != nil {
		t.Fatal(err)
	}
	checkHad(t, s, m, stored, 2)
	if err := s.Abandon(); err != nil {
		t.Fatal(err)
	}
	checkHad(t, open(t, dir), m, stored, 2)
}

func TestDroppedPayloadEndsItsReaders(t *testing.T) {
	s := open(t, t.TempDir())
	m, stored := storetest.Packed(t, storetest.Random(5, 3*content.MinChunkBytes))
	publish(t, s, m, stored)
	r, err := s.OpenPlain(m.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(m.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, content.ErrNotFound) {
		t.Fatalf("reading on after drop: %v, want ErrNotFound", err)
	}
}

func TestReserveIsFivePercentUpToAGibibyte(t *testing.T) {
	m, _ := storetest.Packed(t, storetest.Random(5, 1000))
	for _, c := range []struct{ option, total, want int64 }{
		{0, 1 << 30, (1 << 30) / 20}, {0, 1 << 40, 1 << 30}, {7, 1 << 40, 7}, {-1, 1 << 40, 0},
	} {
		free := c.want + m.StoredBytes()
		s := openWith(t, t.TempDir(), disk.Options{ReserveBytes: c.option}, disk.System{
			Space: func(string) (int64, int64, error) { return free, c.total, nil },
		})
		free--
		var full *content.NoSpaceError
		if _, err := s.Begin(m); !errors.As(err, &full) || full.NeedBytes != free+1 || full.FreeBytes != free {
			t.Errorf("reserve %d of %d: %v, want it to need %d", c.option, c.total, err, free+1)
		}
		free++
		if _, err := s.Begin(m); err != nil {
			t.Errorf("reserve %d of %d: %v with exactly enough", c.option, c.total, err)
		}
	}
}
