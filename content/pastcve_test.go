package content_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"patchmesh/content"
)

// S-PASTCVE, bytes: advisories of tools that unpack, count or name what others send.
func TestPastCVEs(t *testing.T) {
	for _, c := range []struct {
		id, of, here string
		attack       func(t *testing.T)
	}{
		{"CVE-2022-36114", "cargo", "a small chunk unpacks to a full disk", func(t *testing.T) {
			enc, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			plain := make([]byte, 64<<20)
			bomb := enc.EncodeAll(plain, nil)
			m := mapOf(t, content.MinChunkBytes, content.Chunk{ID: content.Sum(plain[:content.MinChunkBytes]), StoredBytes: int32(len(bomb))})
			var corrupt *content.CorruptError
			if _, err := m.OpenChunk(0, bomb, make([]byte, content.MinChunkBytes)); !errors.As(err, &corrupt) {
				t.Fatalf("%v, want CorruptError", err)
			}
		}},
		{"CVE-2022-2879", "Go archive/tar", "a header promises more entries than there are bytes, and memory is taken for all of them", func(t *testing.T) {
			b := mapOf(t, content.MinChunkBytes, content.Chunk{ID: content.Sum([]byte("x")), StoredBytes: content.MinChunkBytes}).Encode()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for at := 4; at+8 <= len(b) && at < 64; at++ { // wherever the lengths stand
				evil := bytes.Clone(b)
				binary.BigEndian.PutUint32(evil[at:], 0xfffffff0)
				if _, err := content.DecodeMap(evil); err != nil && !errors.Is(err, content.ErrFormat) {
					t.Fatalf("byte %d: %v", at, err)
				}
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
				t.Fatalf("%d bytes were taken", got)
			}
		}},
		{"CVE-2023-23626", "go-bitfield", "a bit field of an impossible size ends the program", func(t *testing.T) {
			for _, n := range []int{-1, -8, 7, 9, 1 << 40, content.MaxChunks + 1} {
				if _, err := content.BitsFromBytes(n, []byte{0xff}); err == nil {
					t.Errorf("%d bits were taken from one byte", n)
				}
			}
		}},
		{"CVE-2023-23625", "go-unixfs", "a malformed tree of blocks ends the program", func(t *testing.T) {
			b := mapOf(t, content.MinChunkBytes, content.Chunk{ID: content.Sum([]byte("x")), StoredBytes: content.MinChunkBytes}).Encode()
			for i := range b {
				if _, err := content.DecodeMap(b[:i]); !errors.Is(err, content.ErrFormat) {
					t.Fatalf("the first %d bytes: %v", i, err)
				}
				evil := bytes.Clone(b)
				evil[i] = 0xff
				if m, err := content.DecodeMap(evil); err == nil && m.Len() != 1 {
					t.Fatalf("byte %d gave %d chunks", i, m.Len())
				}
			}
		}},
		{"CVE-2020-26279", "go-ipfs", "a name in what was fetched leads out of the folder", func(t *testing.T) {
			id := content.Sum([]byte("x")).String()
			for _, name := range []string{"..", "../x", "/etc/passwd", id + "/..", "./" + id, strings.ToUpper(id), id + "\x00", " " + id, ""} {
				if _, err := content.ParseID(name); err == nil {
					t.Errorf("%q is taken for a name of content", name)
				}
			}
			if _, err := content.ParseID(id); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.id+" "+c.of, func(t *testing.T) {
			t.Log(c.here)
			c.attack(t)
		})
	}
}
