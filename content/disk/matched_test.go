package disk_test

import (
	"errors"
	"io"
	"testing"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// complete is a store with a payload of which every chunk is there and that is not published.
func complete(t *testing.T) (*disk.Store, *content.PayloadMap, []byte) {
	t.Helper()
	s := open(t, t.TempDir())
	m, stored := storetest.Packed(t, storetest.Mixed(21, 6*content.MinChunkBytes+99))
	for i := range m.Len() {
		put(t, s, m, stored, i)
	}
	return s, m, stored
}

// copyOf reads a copy as far as n bytes.
func copyOf(t *testing.T, s *disk.Store, m *content.PayloadMap, n int64) *disk.Copy {
	t.Helper()
	c, err := s.OpenCopy(m.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, c, n); err != nil {
		t.Fatal(err)
	}
	return c
}

// What was hashed while it was copied is not hashed again: damage that comes after the copy is met by whoever
// reads it next, as it is with a payload that was published before.
func TestCopyThatMatchedStandsForTheHashBeforePublishing(t *testing.T) {
	s, m, stored := complete(t)
	c := copyOf(t, s, m, m.PlainBytes)
	c.Matched(m.SHA256)
	if s.Published(m.ID()) {
		t.Fatal("a copy alone has published the payload")
	}
	flip(t, dataFile(s, m.ID()), m.Offset(3)+5)
	if err := s.Publish(m.ID()); err != nil || !s.Published(m.ID()) {
		t.Fatalf("publish what a copy was just made of: %v", err)
	}
	r, err := s.OpenPlain(m.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, content.ErrDamaged) {
		t.Fatalf("read the damage: %v, want ErrDamaged", err)
	}
	put(t, s, m, stored, 3)
	if err := s.Publish(m.ID()); err != nil {
		t.Fatal(err)
	}
	checkRight(t, s, m, stored)
}

// A claim to have hashed the whole counts for exactly the bytes that were read.
func TestPublishHashesUnlessTheWholeOfTheseBytesMatched(t *testing.T) {
	for name, claim := range map[string]func(t *testing.T, s *disk.Store, m *content.PayloadMap, stored []byte){
		"nothing read": func(t *testing.T, s *disk.Store, m *content.PayloadMap, _ []byte) {
			copyOf(t, s, m, 0).Matched(m.SHA256)
		},
		"all but a byte read": func(t *testing.T, s *disk.Store, m *content.PayloadMap, _ []byte) {
			copyOf(t, s, m, m.PlainBytes-1).Matched(m.SHA256)
		},
		"closed too early": func(t *testing.T, s *disk.Store, m *content.PayloadMap, _ []byte) {
			c := copyOf(t, s, m, m.PlainBytes-1)
			_ = c.Close()
			c.Matched(m.SHA256)
		},
		"another hash": func(t *testing.T, s *disk.Store, m *content.PayloadMap, _ []byte) {
			sum := m.SHA256
			sum[0]++
			copyOf(t, s, m, m.PlainBytes).Matched(sum)
		},
		"not said": func(t *testing.T, s *disk.Store, m *content.PayloadMap, _ []byte) { copyOf(t, s, m, m.PlainBytes) },
		"a chunk came anew since": func(t *testing.T, s *disk.Store, m *content.PayloadMap, stored []byte) {
			copyOf(t, s, m, m.PlainBytes).Matched(m.SHA256)
			renew(t, s, m, stored)
		},
		"a chunk came anew while it was read": func(t *testing.T, s *disk.Store, m *content.PayloadMap, stored []byte) {
			c := copyOf(t, s, m, m.PlainBytes)
			renew(t, s, m, stored)
			c.Matched(m.SHA256)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, m, stored := complete(t)
			claim(t, s, m, stored)
			flip(t, dataFile(s, m.ID()), m.Offset(2)+9)
			if err := s.Publish(m.ID()); !errors.Is(err, content.ErrDamaged) || s.Published(m.ID()) {
				t.Fatalf("publish a damaged payload: %v, want ErrDamaged", err)
			}
		})
	}
}

// renew has chunk 4 put aside for damage and put again.
func renew(t *testing.T, s *disk.Store, m *content.PayloadMap, stored []byte) {
	t.Helper()
	flip(t, dataFile(s, m.ID()), m.Offset(4)+1)
	if _, err := s.CheckChunk(m.ID(), 4, make([]byte, m.ChunkBytes)); !errors.Is(err, content.ErrDamaged) {
		t.Fatalf("check a damaged chunk: %v", err)
	}
	put(t, s, m, stored, 4)
}

// Damage that the copy finds before the payload is published costs that chunk alone.
func TestCopyOfAnUnpublishedPayloadFindsTheDamagedChunk(t *testing.T) {
	s, m, stored := complete(t)
	flip(t, dataFile(s, m.ID()), m.Offset(1)+int64(m.Chunks[1].StoredBytes)/2)
	c, err := s.OpenCopy(m.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.Copy(io.Discard, c); err == nil { // a compressed chunk shows its damage at once
		err = c.Recheck()
	}
	have, herr := s.Have(m.ID())
	if !errors.Is(err, content.ErrDamaged) || herr != nil || have.Has(1) || have.Count() != m.Len()-1 {
		t.Fatalf("%v, %d of %d chunks left, %v", err, have.Count(), m.Len(), herr)
	}
	if _, err := s.OpenCopy(m.ID()); !errors.Is(err, content.ErrIncomplete) {
		t.Fatalf("copy of what is not whole: %v, want ErrIncomplete", err)
	}
	put(t, s, m, stored, 1)
	if err := s.Publish(m.ID()); err != nil {
		t.Fatal(err)
	}
}
