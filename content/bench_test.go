package content_test

import (
	"bytes"
	"io"
	"testing"

	"patchmesh/content"
	"patchmesh/content/storetest"
)

const benchBytes = 16 << 20

func BenchmarkSplit(b *testing.B) {
	plain := storetest.Random(1, benchBytes)
	b.SetBytes(benchBytes)
	for b.Loop() {
		if err := (content.Fixed{SizeBytes: content.MinChunkBytes}).Split(bytes.NewReader(plain), func([]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	for name, size := range map[string]int{"256KiB": content.MinChunkBytes, "1MiB": content.MaxChunkBytes} {
		b.Run(name, func(b *testing.B) {
			chunk := storetest.Random(1, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				content.Sum(chunk)
			}
		})
	}
}

// kinds are payloads that do not shrink and that do.
func kinds() map[string][]byte {
	return map[string][]byte{"random": storetest.Random(1, benchBytes), "text": storetest.Text(benchBytes)}
}

func BenchmarkPack(b *testing.B) { // split, hash, compress
	for name, plain := range kinds() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchBytes)
			for b.Loop() {
				if _, err := content.Pack(bytes.NewReader(plain), benchBytes, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheckChunk(b *testing.B) { // decompress, hash
	for name, plain := range kinds() {
		b.Run(name, func(b *testing.B) {
			m, stored := storetest.Packed(b, plain)
			b.SetBytes(int64(m.Chunks[1].PlainBytes))
			b.ReportAllocs()
			for b.Loop() {
				if err := m.CheckChunk(1, storetest.ChunkOf(m, stored, 1)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
