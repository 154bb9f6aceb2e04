package disk_test

import (
	"testing"

	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

const benchBytes = 64 << 20

// BenchmarkPut verifies and stores a payload chunk by chunk, with the syncs that make it durable.
func BenchmarkPut(b *testing.B) {
	m, stored := storetest.Packed(b, storetest.Random(1, benchBytes))
	s, err := disk.Open(b.TempDir(), noReserve)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.SetBytes(int64(len(stored)))
	for b.Loop() {
		storetest.Fill(b, s, m, stored)
		if err := s.Sync(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Drop(m.ID()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkReadChunk reads what is served, from the page cache.
func BenchmarkReadChunk(b *testing.B) {
	m, stored := storetest.Packed(b, storetest.Random(1, benchBytes))
	s, err := disk.Open(b.TempDir(), noReserve)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	storetest.Fill(b, s, m, stored)
	buf := make([]byte, len(storetest.ChunkOf(m, stored, 0)))
	b.SetBytes(int64(len(buf)))
	i := 0
	for b.Loop() {
		if _, err := s.ReadChunk(m.ID(), i, buf); err != nil {
			b.Fatal(err)
		}
		i = (i + 1) % (len(m.Chunks) - 1)
	}
}

// BenchmarkPublish hashes a whole payload again before it is final.
func BenchmarkPublish(b *testing.B) {
	m, stored := storetest.Packed(b, storetest.Random(1, benchBytes))
	s, err := disk.Open(b.TempDir(), noReserve)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.SetBytes(int64(len(stored)))
	for b.Loop() {
		b.StopTimer()
		if err := s.Drop(m.ID()); err != nil {
			b.Fatal(err)
		}
		storetest.Fill(b, s, m, stored)
		b.StartTimer()
		if err := s.Publish(m.ID()); err != nil {
			b.Fatal(err)
		}
	}
}
