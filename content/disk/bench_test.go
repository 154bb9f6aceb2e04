package disk_test

import (
	"io"
	"testing"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

const benchBytes = 16 << 20

func benchStore(b *testing.B) (*disk.Store, *content.PayloadMap, []byte) {
	b.Helper()
	s, err := disk.Open(b.TempDir(), disk.Options{ReserveBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	m, stored := storetest.Packed(b, storetest.Random(1, benchBytes))
	return s, m, stored
}

func fill(b *testing.B, s *disk.Store, m *content.PayloadMap, stored []byte) {
	b.Helper()
	if _, err := s.Begin(m); err != nil {
		b.Fatal(err)
	}
	for i := range m.Len() {
		if _, err := s.Put(m.ID(), i, storetest.ChunkOf(m, stored, i)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut(b *testing.B) { // a whole payload, verified
	s, m, stored := benchStore(b)
	b.SetBytes(benchBytes)
	for b.Loop() {
		fill(b, s, m, stored)
		if err := s.Drop(m.ID()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadChunk(b *testing.B) {
	s, m, stored := benchStore(b)
	fill(b, s, m, stored)
	buf := make([]byte, m.ChunkBytes)
	b.SetBytes(int64(m.ChunkBytes))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.ReadChunk(m.ID(), i%m.Len(), buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCopyOut(b *testing.B) { // as an installer reads: unhashed, and verified for comparison
	s, m, stored := benchStore(b)
	fill(b, s, m, stored)
	if err := s.Publish(m.ID()); err != nil {
		b.Fatal(err)
	}
	for name, open := range map[string]func() (io.ReadCloser, error){
		"copy":     func() (io.ReadCloser, error) { return s.OpenCopy(m.ID()) },
		"verified": func() (io.ReadCloser, error) { return s.OpenPlain(m.ID()) },
	} {
		b.Run(name, func(b *testing.B) {
			buf := make([]byte, content.MaxChunkBytes)
			b.SetBytes(benchBytes)
			for b.Loop() {
				r, err := open()
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = io.ReadFull(r, buf)
				}
				_ = r.Close()
			}
		})
	}
}
