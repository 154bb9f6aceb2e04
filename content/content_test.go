package content_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"patchmesh/content"
	"patchmesh/content/storetest"
)

func TestIDTextIsACIDAndHasOneForm(t *testing.T) {
	id := content.Sum([]byte("hello"))
	const want = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq" // as other tools print it
	if id.String() != want {
		t.Fatalf("id of hello is %s, want %s", id, want)
	}
	got, err := content.ParseID(want)
	if err != nil || got != id {
		t.Fatalf("parse: %v %v", got, err)
	}
	for _, bad := range []string{
		"", "x", strings.ToUpper(want), want + "a", "../" + want, strings.Repeat("b", 5000),
		"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",              // version 0
		"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", // another codec
	} {
		if _, err := content.ParseID(bad); !errors.Is(err, content.ErrFormat) {
			t.Errorf("%.70q: %v, want ErrFormat", bad, err)
		}
	}
}

func TestMapSurvivesEncodingAndNamesThePayload(t *testing.T) {
	m, _ := storetest.Packed(t, storetest.Random(1, 5*content.MinChunkBytes+1))
	got, err := content.DecodeMap(m.Encode())
	if err != nil || got.ID() != m.ID() || got.Len() != 6 || got.StoredBytes() != m.StoredBytes() {
		t.Fatalf("%v, %v", got, err)
	}
	b := m.Encode()
	for i := range b { // any change is refused or names another payload
		b[i] ^= 0x41
		if g, err := content.DecodeMap(b); err == nil && g.ID() == m.ID() {
			t.Fatalf("byte %d changed and the payload kept its name", i)
		}
		b[i] ^= 0x41
	}
	if _, err := content.DecodeMap(b[:len(b)-1]); !errors.Is(err, content.ErrFormat) {
		t.Fatalf("cut map: %v", err)
	}
}

func TestCompressionOnlyWhereItHelps(t *testing.T) {
	text := bytes.Repeat([]byte("security update for everybody\n"), 60_000)
	m, stored := storetest.Packed(t, text)
	if int64(len(stored))*2 > m.PlainBytes {
		t.Fatalf("text of %d bytes is stored in %d", m.PlainBytes, len(stored))
	}
	m, stored = storetest.Packed(t, storetest.Random(4, 3*content.MinChunkBytes))
	if int64(len(stored)) != m.PlainBytes {
		t.Fatalf("random data of %d bytes is stored in %d", m.PlainBytes, len(stored))
	}
}

func FuzzDecodeMap(f *testing.F) {
	m, _ := storetest.Packed(f, storetest.Random(1, 2*content.MinChunkBytes+1))
	f.Add(m.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := content.DecodeMap(b)
		if err == nil && !bytes.Equal(m.Encode(), b) {
			t.Fatal("a map has two encodings")
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add(content.Sum(nil).String())
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := content.ParseID(s); err == nil && id.String() != s {
			t.Fatalf("%q reads as %s", s, id)
		}
	})
}

func FuzzBits(f *testing.F) {
	f.Add(9, []byte{0xff, 1})
	f.Fuzz(func(t *testing.T, n int, b []byte) {
		bits, err := content.BitsFromBytes(n, b)
		if err != nil {
			return
		}
		if !bytes.Equal(bits.Bytes(), b) {
			t.Fatal("a set has two encodings")
		}
		missing := 0
		for i := bits.NextMissing(0); i >= 0; i = bits.NextMissing(i + 1) {
			missing++
		}
		if missing+bits.Count() != bits.Len() {
			t.Fatalf("%d missing and %d had of %d", missing, bits.Count(), bits.Len())
		}
	})
}

func FuzzOpenChunk(f *testing.F) {
	m, stored := storetest.Packed(f, bytes.Repeat([]byte("abcdefg "), 40_000))
	f.Add(storetest.ChunkOf(m, stored, 0))
	f.Add(storetest.ChunkOf(m, stored, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		for i := range m.Len() {
			plain, err := m.OpenChunk(i, b, nil)
			if err == nil && content.Sum(plain) != m.Chunks[i].ID {
				t.Fatal("wrong bytes were accepted")
			}
			if checked := m.CheckChunk(i, b); (checked == nil) != (err == nil) {
				t.Fatalf("open says %v, check says %v", err, checked)
			}
		}
	})
}

// A frame may promise little and hold much, or promise much: neither may cost memory beyond a chunk.
func TestBombsAreRefusedWithoutMemory(t *testing.T) {
	plain := bytes.Repeat([]byte{'a'}, 64<<20)
	enc, err := zstd.NewWriter(nil, zstd.WithWindowSize(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	bomb := enc.EncodeAll(plain, nil)
	chunk := enc.EncodeAll(plain[:content.MinChunkBytes], nil)
	var hidden bytes.Buffer // a stream does not say its size
	if enc, err = zstd.NewWriter(&hidden); err != nil {
		t.Fatal(err)
	}
	if _, err := enc.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	id := content.Sum(plain[:content.MinChunkBytes])
	for name, frame := range map[string][]byte{
		"promises much": bomb, "promises nothing": hidden.Bytes(), "a chunk and a bomb": append(bytes.Clone(chunk), bomb...),
		"a chunk twice": append(bytes.Clone(chunk), chunk...), "skippable": append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0}, 1, 2, 3, 4),
	} {
		t.Run(name, func(t *testing.T) {
			m := mapOf(t, content.MinChunkBytes, content.Chunk{ID: id, StoredBytes: int32(len(frame))})
			dst := make([]byte, content.MinChunkBytes)
			_, err := m.OpenChunk(0, frame, dst) // also warms the pools
			var corrupt *content.CorruptError
			if !errors.As(err, &corrupt) {
				t.Fatalf("%d bytes: %v, want CorruptError", len(frame), err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = m.OpenChunk(0, frame, dst)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("a frame of %d bytes cost %d bytes of memory", len(frame), n)
			}
		})
	}
}

// mapOf writes the map document by hand, as an attacker would.
func mapOf(t *testing.T, plainBytes int64, chunks ...content.Chunk) *content.PayloadMap {
	t.Helper()
	b := []byte("pmmap\x00\x01\n")
	b = binary.BigEndian.AppendUint64(b, uint64(plainBytes))
	b = binary.BigEndian.AppendUint32(b, content.MinChunkBytes)
	b = binary.BigEndian.AppendUint32(b, uint32(len(chunks)))
	b = append(b, make([]byte, 32)...)
	for _, c := range chunks {
		sum := c.ID.SHA256()
		b = append(b, sum[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(c.StoredBytes))
	}
	m, err := content.DecodeMap(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMapsThatDoNotAddUpAreRefused(t *testing.T) {
	m, _ := storetest.Packed(t, storetest.Random(1, 2*content.MinChunkBytes+1))
	good := m.Encode()
	put := func(at int, v ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], v)
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "another format": put(0, 'q'), "another version": put(6, 2),
		"no payload": put(8, make([]byte, 8)...), "beyond a tebibyte": put(8, 0, 0, 1, 0, 0, 0, 0, 1),
		"negative size": put(8, 0xff), "tiny chunks": put(16, 0, 0, 0, 1), "huge chunks": put(16, 0xff),
		"no chunks": put(20, 0, 0, 0, 0), "more chunks than entries": put(20, 0, 0, 0, 4), "endless chunks": put(20, 0xff),
		"a chunk without a name": put(56, make([]byte, 32)...), "a chunk of nothing": put(88, 0, 0, 0, 0),
		"a chunk larger than plain": put(88, 0, 4, 0, 1), "a chunk beyond all": put(88, 0x80),
		"longer": append(bytes.Clone(good), 0), "larger than allowed": make([]byte, content.MaxMapBytes+1),
	} {
		if _, err := content.DecodeMap(b); !errors.Is(err, content.ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

// An image that begins with compressed files and goes on with plain ones still shrinks.
func TestPackLooksAgainAfterAPoorStart(t *testing.T) {
	plain := append(storetest.Random(1, 8*content.MinChunkBytes), storetest.Text(16*content.MinChunkBytes)...)
	m, _ := storetest.Packed(t, plain)
	if limit := int64(10 * content.MinChunkBytes); m.StoredBytes() > limit {
		t.Fatalf("%d bytes are stored as %d, more than %d", m.PlainBytes, m.StoredBytes(), limit)
	}
}

func TestChunkSizeGrowsWithThePayload(t *testing.T) {
	for _, c := range []struct {
		payload int64
		want    int
	}{
		{1, 256 << 10}, {128 << 20, 256 << 10}, {128<<20 + 1, 512 << 10}, {1 << 30, 512 << 10}, {1<<30 + 1, 1 << 20},
		{content.MaxPayloadBytes, 1 << 20},
	} {
		if got := content.ChunkBytesFor(c.payload); got != c.want {
			t.Errorf("%d bytes in chunks of %d, want %d", c.payload, got, c.want)
		}
	}
}

func TestBitsAgreeWithAPlainSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 140 { // around the words' edges
		bits, set := content.NewBits(n), map[int]bool{}
		for range 3 * n {
			i := rng.IntN(n+4) - 2
			inside := i >= 0 && i < n
			if rng.IntN(4) == 0 {
				bits.Clear(i)
				delete(set, i)
			} else if fresh := bits.Set(i); fresh != (inside && !set[i]) {
				t.Fatalf("set %d of %d: fresh=%v", i, n, fresh)
			} else if inside {
				set[i] = true
			}
		}
		missing := -1
		for i := n - 1; i >= 0; i-- {
			if bits.Has(i) != set[i] {
				t.Fatalf("has %d of %d: %v", i, n, bits.Has(i))
			}
			if !set[i] {
				missing = i
			}
		}
		if bits.Count() != len(set) || bits.Full() != (len(set) == n) || bits.NextMissing(-1) != missing {
			t.Fatalf("of %d: count %d, full %v, next %d", n, bits.Count(), bits.Full(), bits.NextMissing(-1))
		}
		again, err := content.BitsFromBytes(n, bits.Bytes())
		if err != nil || again.Count() != bits.Count() {
			t.Fatalf("wire form: %v", err)
		}
		if full := content.FullBits(n); !full.Full() || full.NextMissing(0) != -1 || full.Has(n) {
			t.Fatalf("the full set of %d is not full", n)
		}
	}
}

// Checking a chunk is on the way of every byte of the mesh.
func TestCheckingDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		return
	}
	m, stored := storetest.Packed(t, storetest.Mixed(1, 2*content.MinChunkBytes))
	for i := range m.Len() {
		chunk := storetest.ChunkOf(m, stored, i)
		if n := testing.AllocsPerRun(20, func() {
			if err := m.CheckChunk(i, chunk); err != nil {
				t.Fatal(err)
			}
		}); n > 1 {
			t.Errorf("%v allocations to check chunk %d", n, i)
		}
	}
}
