package storetest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"patchmesh/content"
)

func publishFindsDamage(t *testing.T, k Kind) {
	s := k.Open(t)
	plain := Mixed(12, 6*content.MinChunkBytes)
	m, stored := Packed(t, plain)
	Fill(t, s, m, stored)
	k.Damage(t, s, m.ID(), 4)
	k.Damage(t, s, m.ID(), 1)
	want(t, "publish", s.Publish(m.ID()), content.ErrDamaged)
	heal(t, s, m, stored, 1, 4)
	checkPublished(t, s, m, plain)
}

func readingFindsDamage(t *testing.T, k Kind) {
	s := k.Open(t)
	plain := Mixed(13, 6*content.MinChunkBytes)
	m, err := s.Import(bytes.NewReader(plain), int64(len(plain)))
	want(t, "import", err, nil)
	_, stored := Packed(t, plain)
	k.Damage(t, s, m.ID(), 3)
	r, err := s.OpenPlain(m.ID())
	want(t, "open", err, nil)
	got, err := io.ReadAll(r)
	want(t, "read", err, content.ErrDamaged)
	wantCorrupt(t, "read", err)
	if !bytes.Equal(got, plain[:3*content.MinChunkBytes]) {
		t.Fatalf("%d bytes were read before the damage", len(got))
	}
	if s.Published(m.ID()) {
		t.Fatal("a damaged payload counts as published")
	}
	heal(t, s, m, stored, 3)
	checkPublished(t, s, m, plain)
}

// heal checks that just the bad chunks are missing, and stores them again.
func heal(t *testing.T, s content.Store, m *content.PayloadMap, stored []byte, bad ...int) {
	t.Helper()
	have, err := s.Have(m.ID())
	want(t, "have", err, nil)
	for i := range m.Len() {
		if have.Has(i) == slices.Contains(bad, i) {
			t.Fatalf("chunk %d: had=%v after damage to %v", i, have.Has(i), bad)
		}
	}
	Fill(t, s, m, stored)
	want(t, "publish", s.Publish(m.ID()), nil)
}

func refusesWithoutRoom(t *testing.T, k Kind) {
	plain := Random(14, 4*content.MinChunkBytes)
	m, stored := Packed(t, plain)
	s := k.Limited(t, m.StoredBytes()-1)
	_, err := s.Begin(m)
	want(t, "begin", err, content.ErrNoSpace)
	var full *content.NoSpaceError
	if !errors.As(err, &full) || full.NeedBytes != m.StoredBytes() || full.FreeBytes != m.StoredBytes()-1 {
		t.Fatalf("begin says %v", err)
	}
	_, err = s.Have(m.ID())
	want(t, "a payload that did not fit", err, content.ErrNotFound)
	_, err = s.Import(bytes.NewReader(plain), int64(len(plain)))
	want(t, "import", err, content.ErrNoSpace)

	s = k.Limited(t, m.StoredBytes())
	Fill(t, s, m, stored)
	_, err = s.Begin(m) // nothing is missing, so nothing is needed
	want(t, "begin of what is there", err, nil)
	want(t, "publish", s.Publish(m.ID()), nil)
}
