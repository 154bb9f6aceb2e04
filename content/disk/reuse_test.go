package disk_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// changed is a payload with some of its chunks changed.
func changed(plain []byte, chunks ...int) []byte {
	out := bytes.Clone(plain)
	for _, i := range chunks {
		copy(out[i*content.MinChunkBytes:], "changed")
	}
	return out
}

// reused begins a payload and takes what others have of it.
func reused(t *testing.T, s *disk.Store, m *content.PayloadMap) (chunks int, bytes int64) {
	t.Helper()
	if _, err := s.Begin(m); err != nil {
		t.Fatal(err)
	}
	chunks, bytes, err := s.Reuse(m.ID())
	if err != nil {
		t.Fatal(err)
	}
	return chunks, bytes
}

func TestNewVersionTakesFromTheOldOneWhatHasNotChanged(t *testing.T) {
	s := open(t, t.TempDir())
	plain := storetest.Mixed(41, 8*content.MinChunkBytes+99) // some chunks compressed, and one of them not everywhere
	old, oldStored := storetest.Packed(t, plain)
	publish(t, s, old, oldStored)
	next := append(changed(plain, 2, 5), "longer"...)
	m, stored := storetest.Packed(t, next)
	chunks, n := reused(t, s, m)
	same := []int{0, 1, 3, 4, 6, 7}
	var want int64
	for _, i := range same {
		want += int64(m.Chunks[i].StoredBytes)
	}
	if chunks != len(same) || n != want {
		t.Errorf("%d chunks of %d bytes were taken, want %d of %d", chunks, n, len(same), want)
	}
	checkHad(t, s, m, stored, same...)
	if again, n, err := s.Reuse(m.ID()); again != 0 || n != 0 || err != nil {
		t.Errorf("a second time: %d chunks of %d bytes, %v", again, n, err)
	}
	put(t, s, m, stored, 2, 5, 8)
	if err := s.Publish(m.ID()); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(old.ID()); err != nil { // each is a file by itself
		t.Fatal(err)
	}
	r, err := s.OpenPlain(m.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, next) {
		t.Errorf("%d bytes that differ, %v", len(got), err)
	}
}

func TestReuseTakesFromPayloadsThatAreNotWholeAndFillsRepeats(t *testing.T) {
	s := open(t, t.TempDir())
	plain := storetest.Random(42, 6*content.MinChunkBytes)
	old, oldStored := storetest.Packed(t, plain)
	put(t, s, old, oldStored, 1, 4)
	// The new one has chunk 1 of the old one three times, each elsewhere, and chunk 0, which is not there.
	one := plain[content.MinChunkBytes : 2*content.MinChunkBytes]
	m, stored := storetest.Packed(t, bytes.Join([][]byte{plain[:content.MinChunkBytes], one, storetest.Random(43, content.MinChunkBytes), one, one}, nil))
	if chunks, _ := reused(t, s, m); chunks != 3 {
		t.Errorf("%d chunks were taken, want 3", chunks)
	}
	checkHad(t, s, m, stored, 1, 3, 4)
}

func TestReuseTakesNothingThatRotted(t *testing.T) {
	s := open(t, t.TempDir())
	plain := storetest.Random(44, 4*content.MinChunkBytes)
	old, oldStored := storetest.Packed(t, plain)
	publish(t, s, old, oldStored)
	flip(t, dataFile(s, old.ID()), old.Offset(1)+7)
	m, stored := storetest.Packed(t, changed(plain, 3))
	if chunks, _ := reused(t, s, m); chunks != 2 {
		t.Errorf("%d chunks were taken, want 2", chunks)
	}
	checkHad(t, s, m, stored, 0, 2)
	if have, err := s.Have(old.ID()); err != nil || have.Has(1) || have.Count() != 3 {
		t.Errorf("the damage was found and the old payload still has %d chunks, %v", have.Count(), err)
	}
}

func TestReuseEndsWhereTheDiskIsFullAndKeepsWhatCame(t *testing.T) {
	room := 1 << 20 // writes that are left
	plain := storetest.Random(45, 4*content.MinChunkBytes)
	old, oldStored := storetest.Packed(t, plain)
	s := openWith(t, t.TempDir(), noReserve, disk.System{WriteAt: func(f *os.File, b []byte, at int64) (int, error) {
		if room--; room < 0 {
			return 0, syscall.ENOSPC
		}
		return f.WriteAt(b, at)
	}})
	publish(t, s, old, oldStored)
	m, stored := storetest.Packed(t, changed(plain, 3))
	if _, err := s.Begin(m); err != nil {
		t.Fatal(err)
	}
	room = 2 * 2 // each chunk is written, and its hint
	chunks, _, err := s.Reuse(m.ID())
	if !errors.Is(err, content.ErrNoSpace) || chunks != 2 {
		t.Errorf("%d chunks were taken, %v; want 2 and that the disk is full", chunks, err)
	}
	if have, err := s.Have(m.ID()); err != nil || have.Count() != 2 {
		t.Errorf("%d chunks are there, %v", have.Count(), err)
	}
	checkRight(t, s, m, stored)
	if _, _, err := s.Reuse(old.ID()); err != nil {
		t.Errorf("a whole payload: %v", err)
	}
	if _, _, err := s.Reuse(content.Sum([]byte("none"))); !errors.Is(err, content.ErrNotFound) {
		t.Errorf("an unknown payload: %v", err)
	}
}
