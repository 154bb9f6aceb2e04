package disk_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"patchmesh/content"
	"patchmesh/content/storetest"
)

// A copy is read without hashing each chunk; what its maker finds wrong as a whole must still cost
// exactly the damaged chunk.
func TestCopyThatDoesNotMatchCostsOnlyTheDamagedChunk(t *testing.T) {
	s := open(t, t.TempDir())
	plain := storetest.Mixed(5, 7*content.MinChunkBytes+123) // some chunks compressed, some not
	m, stored := storetest.Packed(t, plain)
	publish(t, s, m, stored)
	for i := range m.Len() {
		flip(t, dataFile(s, m.ID()), m.Offset(i)+int64(m.Chunks[i].StoredBytes)/2)
		r, err := s.OpenCopy(m.ID())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.LimitReader(r, m.PlainBytes+1))
		if err == nil {
			if bytes.Equal(got, plain) {
				t.Fatalf("chunk %d is damaged and the copy is right", i)
			}
			if !s.Published(m.ID()) {
				t.Fatal("reading alone took the payload back")
			}
			err = r.Recheck()
		}
		var corrupt *content.CorruptError
		if !errors.Is(err, content.ErrDamaged) || !errors.As(err, &corrupt) {
			t.Fatalf("chunk %d: %v, want ErrDamaged and *CorruptError", i, err)
		}
		have, err := s.Have(m.ID())
		if err != nil || have.Has(i) || have.Count() != m.Len()-1 || s.Published(m.ID()) {
			t.Fatalf("chunk %d: %d of %d chunks are left, err %v", i, have.Count(), m.Len(), err)
		}
		put(t, s, m, stored, i)
		if err := s.Publish(m.ID()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCopyIsThePayloadInPiecesOfAnySize(t *testing.T) {
	s := open(t, t.TempDir())
	plain := storetest.Mixed(6, 5*content.MinChunkBytes+77)
	m, stored := storetest.Packed(t, plain)
	if _, err := s.OpenCopy(m.ID()); !errors.Is(err, content.ErrNotFound) {
		t.Fatalf("unknown payload: %v, want ErrNotFound", err)
	}
	put(t, s, m, stored, 0)
	if _, err := s.OpenCopy(m.ID()); !errors.Is(err, content.ErrIncomplete) {
		t.Fatalf("part of a payload: %v, want ErrIncomplete", err)
	}
	publish(t, s, m, stored)
	for _, size := range []int{1000, content.MinChunkBytes, content.MinChunkBytes + 1, content.MaxChunkBytes, 10 << 20} {
		r, err := s.OpenCopy(m.ID())
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		buf := make([]byte, size)
		for err == nil {
			var n int
			n, err = io.ReadFull(r, buf)
			got = append(got, buf[:n]...)
		}
		if !bytes.Equal(got, plain) {
			t.Errorf("pieces of %d bytes: %d bytes that differ, %v", size, len(got), err)
		}
		if err := r.Recheck(); err != nil {
			t.Errorf("recheck of a sound payload: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.Read(buf); !errors.Is(err, content.ErrClosed) {
			t.Errorf("read after close: %v, want ErrClosed", err)
		}
	}
}
