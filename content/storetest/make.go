// Package storetest is the suite that every content.Store passes, and payloads to test with.
package storetest

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"patchmesh/content"
)

// Random is n bytes that do not compress, from a seed.
func Random(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24), 1})
	b := make([]byte, n)
	_, _ = r.Read(b) // never fails
	return b
}

// Text is n bytes that compress well, every chunk differently.
func Text(n int) []byte {
	b := make([]byte, 0, n+64)
	for i := 0; len(b) < n; i++ {
		b = append(b, "update "...)
		b = append(b, byte('a'+i%26), byte('a'+i/26%26), byte('a'+i/676%26), '\n')
	}
	return b[:n]
}

// Mixed is n bytes whose chunks compress and do not compress by turns.
func Mixed(seed uint64, n int) []byte {
	b := Random(seed, n)
	text := Text(content.MinChunkBytes)
	for at := 0; at < n; at += 2 * content.MinChunkBytes {
		copy(b[at:], text)
	}
	return b
}

// Packed makes a payload: its map and stored form.
func Packed(t testing.TB, plain []byte) (*content.PayloadMap, []byte) {
	t.Helper()
	var b bytes.Buffer
	m, err := content.Pack(bytes.NewReader(plain), int64(len(plain)), &b)
	if err != nil {
		t.Fatal(err)
	}
	return m, b.Bytes()
}

// ChunkOf cuts chunk i out of a stored form.
func ChunkOf(m *content.PayloadMap, stored []byte, i int) []byte {
	return stored[m.Offset(i):m.Offset(i+1)]
}

// Fill begins a payload and puts all of its chunks that are missing.
func Fill(t testing.TB, s content.Store, m *content.PayloadMap, stored []byte) {
	t.Helper()
	have, err := s.Begin(m)
	if err != nil {
		t.Fatal(err)
	}
	for i := have.NextMissing(0); i >= 0; i = have.NextMissing(i + 1) {
		if fresh, err := s.Put(m.ID(), i, ChunkOf(m, stored, i)); err != nil || !fresh {
			t.Fatalf("put missing chunk %d: fresh=%v, %v", i, fresh, err)
		}
	}
}
