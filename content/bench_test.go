package content_test

import (
	"bytes"
	"io"
	"testing"

	"patchmesh/content"
	"patchmesh/content/storetest"
)

const benchSizeBytes = 16 << 20

func BenchmarkSplit(b *testing.B) {
	plain := storetest.Random(1, benchSizeBytes)
	splitter := content.Fixed{SizeBytes: content.ChunkBytesFor(benchSizeBytes)}
	b.SetBytes(benchSizeBytes)
	for b.Loop() {
		if err := splitter.Split(bytes.NewReader(plain), func([]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	chunk := storetest.Random(1, content.ChunkBytesFor(benchSizeBytes))
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		content.Sum(chunk)
	}
}

// BenchmarkPack splits, hashes and compresses where it pays.
func BenchmarkPack(b *testing.B) {
	for name, plain := range map[string][]byte{"random": storetest.Random(1, benchSizeBytes), "text": storetest.Text(benchSizeBytes)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchSizeBytes)
			for b.Loop() {
				if _, err := content.Pack(bytes.NewReader(plain), benchSizeBytes, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpenChunk verifies a chunk and takes it out of its stored form.
func BenchmarkOpenChunk(b *testing.B) {
	for name, plain := range map[string][]byte{"random": storetest.Random(1, benchSizeBytes), "text": storetest.Text(benchSizeBytes)} {
		b.Run(name, func(b *testing.B) {
			m, stored := storetest.Packed(b, plain)
			chunk, buf := storetest.ChunkOf(m, stored, 0), make([]byte, 0, content.ChunkBytesFor(benchSizeBytes))
			b.SetBytes(int64(content.ChunkBytesFor(benchSizeBytes)))
			for b.Loop() {
				if _, err := m.OpenChunk(0, chunk, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
