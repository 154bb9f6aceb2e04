package bundle

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

func car(t testing.TB, blocks ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, []content.ID{content.Sum([]byte("root"))})
	if err != nil {
		t.Fatal(err)
	}
	want := HeaderBytes(1)
	for _, b := range blocks {
		if err := w.Put(content.Sum(b), b); err != nil {
			t.Fatal(err)
		}
		want += BlockBytes(len(b))
	}
	if w.Size() != int64(out.Len()) || w.Size() != want {
		t.Fatalf("%d bytes were written, %d counted, %d foreseen", out.Len(), w.Size(), want)
	}
	return out.Bytes()
}

// read gives the bodies of a file; every second one is passed over if skip is set.
func read(b []byte, skip bool) (bodies [][]byte, err error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		id, size, err := r.Next()
		if errors.Is(err, io.EOF) {
			return bodies, nil
		}
		if err != nil {
			return bodies, err
		}
		if skip && n%2 == 0 {
			bodies = append(bodies, nil)
			continue
		}
		body, err := r.Body(make([]byte, size))
		if err != nil {
			return bodies, err
		}
		if content.Sum(body) != id {
			return bodies, content.ErrDamaged
		}
		bodies = append(bodies, body)
	}
}

func TestCARIsWhatTheSpecificationSays(t *testing.T) {
	// The header {"roots": [CID], "version": 1} in dag-cbor, then one block, byte by byte.
	got := car(t, []byte("hello"))
	sum, root := content.Sum([]byte("hello")).SHA256(), content.Sum([]byte("root")).SHA256()
	want := "\x3a\xa2\x65roots\x81\xd8\x2a\x58\x25\x00\x01\x55\x12\x20" + string(root[:]) + "\x67version\x01" +
		"\x29\x01\x55\x12\x20" + string(sum[:]) + "hello"
	if string(got) != want {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestCARReadsBackAndPassesOver(t *testing.T) {
	blocks := [][]byte{[]byte("a"), bytes.Repeat([]byte("b"), 3<<20), {}, bytes.Repeat([]byte("c"), 300), bytes.Repeat([]byte("d"), 1<<20)}
	b := car(t, blocks...)
	for _, skip := range []bool{false, true} {
		got, err := read(b, skip)
		if err != nil || len(got) != len(blocks) {
			t.Fatalf("skip %v: %d blocks, %v", skip, len(got), err)
		}
		for i, body := range got {
			if want := blocks[i]; !(skip && i%2 == 0) && !bytes.Equal(body, want) {
				t.Errorf("block %d has %d bytes, want %d", i, len(body), len(want))
			}
		}
	}
}

// A stick that was pulled out: every block before the cut is there, and the cut is noticed, wherever it is.
func TestCutCARIsNoticedAtEveryByte(t *testing.T) {
	blocks := [][]byte{bytes.Repeat([]byte("a"), 100), bytes.Repeat([]byte("b"), 200)}
	b := car(t, blocks...)
	head := int(HeaderBytes(1))
	for n := range b {
		for _, skip := range []bool{false, true} {
			got, err := read(b[:n], skip)
			whole := 0
			for at := head; whole < len(blocks) && at+int(BlockBytes(len(blocks[whole]))) <= n; whole++ {
				at += int(BlockBytes(len(blocks[whole])))
			}
			edge := n == head || n == head+int(BlockBytes(100))
			if edge != (err == nil) || len(got) < whole {
				t.Fatalf("cut at %d (skip %v): %d of %d whole blocks, %v", n, skip, len(got), whole, err)
			}
		}
	}
}

func TestHostileCARIsRefused(t *testing.T) {
	good := string(car(t, []byte("hello")))
	header := good[:HeaderBytes(1)]
	for name, b := range map[string]string{
		"version 2":                     strings.Replace(good, "version\x01", "version\x02", 1),
		"a CARv2 pragma":                "\x0a\xa1\x67version\x02" + good,
		"header of 2^63 bytes":          "\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
		"header of 4 GiB":               "\xff\xff\xff\xff\x0f",
		"header in too many bytes":      "\xba\x00" + header[1:],
		"roots of 2^32":                 "\x0e\xa2\x65roots\x9a\xff\xff\xff\xff\x67ve",
		"a root that is no CID":         strings.Replace(good, "\x01\x55\x12\x20", "\x01\x70\x12\x20", 1),
		"block of 2^35 bytes":           header + "\xff\xff\xff\xff\x7f",
		"block shorter than its CID":    header + "\x05hello",
		"block of another hash":         header + "\x29\x01\x55\x16\x20" + strings.Repeat("x", 37),
		"block of another codec":        header + "\x29\x01\x71\x12\x20" + strings.Repeat("x", 37),
		"a length that is not shortest": header + "\xa9\x00\x01\x55\x12\x20" + strings.Repeat("x", 37),
		"zeros":                         strings.Repeat("\x00", 100),
		"zeros behind the header":       header + strings.Repeat("\x00", 100),
	} {
		if _, err := read([]byte(b), false); !errors.Is(err, content.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRunsAndFramesReadBackAndRefuse(t *testing.T) {
	bits := content.NewBits(77)
	bits.Set(0)
	bits.Set(76)
	id := content.Sum([]byte("p"))
	r, err := DecodeRun(Run{Payload: id, First: 5, Bits: bits}.Encode())
	if err != nil || r.Payload != id || r.First != 5 || r.Bits.Count() != 2 || !r.Bits.Has(76) {
		t.Fatalf("%+v, %v", r, err)
	}
	good := Run{Payload: id, Bits: bits}.Encode()
	for name, b := range map[string][]byte{
		"short":           good[:len(good)-1],
		"long":            append(bytes.Clone(good), 0),
		"first is beyond": Run{Payload: id, First: content.MaxChunks, Bits: bits}.Encode(),
		"no chunks":       Run{Payload: id, Bits: content.NewBits(0)}.Encode(),
		"no payload":      Run{Bits: bits}.Encode(),
	} {
		if _, err := DecodeRun(b); !errors.Is(err, content.ErrFormat) {
			t.Errorf("run, %s: %v", name, err)
		}
	}
	f := Frame{Payload: id, Index: 3, Bytes: 9}
	if got, err := ReadFrame(bytes.NewReader(AppendFrame(nil, f))); err != nil || got != f {
		t.Errorf("frame %+v, %v", got, err)
	}
	if _, err := ReadFrame(bytes.NewReader(AppendEnd(nil))); !errors.Is(err, io.EOF) {
		t.Errorf("end: %v", err)
	}
	if _, err := ReadFrame(bytes.NewReader(nil)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a stream without its end: %v", err)
	}
	if _, err := ReadFrame(bytes.NewReader(AppendFrame(nil, Frame{Bytes: content.MaxChunkBytes + 1}))); !errors.Is(err, content.ErrFormat) {
		t.Errorf("a frame that is too large: %v", err)
	}
}

func someIndex() *Index {
	id := content.Sum([]byte("x"))
	return &Index{
		Org: "acme", Epoch: 3, HeadNo: 4, MadeAt: time.Unix(1, 0).UTC(), Head: id, Roots: []RootRef{{1, id}}, Documents: []content.ID{id},
		DocFile: File{1, 100, 3}, Volumes: []File{{1, 100, 2}, {3, 50, 1}},
		Payloads: []Payload{{ID: id, Update: "u", Chunks: 3, Carried: 2, StoredBytes: 9}}, Complete: true,
	}
}

func TestIndexReadsBackAndRefusesNonsense(t *testing.T) {
	b, err := someIndex().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if x, err := DecodeIndex(b); err != nil || x.Volumes[1].Number != 3 || x.Payloads[0].Carried != 2 {
		t.Fatalf("%+v, %v", x, err)
	}
	for name, change := range map[string]func(*Index){
		"volume 0":             func(x *Index) { x.Volumes[0].Number = 0 },
		"volume twice":         func(x *Index) { x.Volumes[1].Number = 1 },
		"volume 10000":         func(x *Index) { x.Volumes[1].Number = 10000 },
		"volume of 4 GiB":      func(x *Index) { x.Volumes[0].SizeBytes = 1 << 32 },
		"documents at -1":      func(x *Index) { x.DocFile.Number = -1 },
		"chunks beyond reason": func(x *Index) { x.Payloads[0].Chunks = 1 << 30 },
		"more than all chunks": func(x *Index) { x.Payloads[0].Carried = 4 },
		"no head":              func(x *Index) { x.Head = content.ID{} },
		"a long name":          func(x *Index) { x.Site = strings.Repeat("x", 300) },
	} {
		x := someIndex()
		change(x)
		if _, err := x.Encode(); !errors.Is(err, content.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"another format": strings.Replace(string(b), `"format": 1`, `"format": 2`, 1), "an unknown field": strings.Replace(string(b), `"org"`, `"path": "../../etc/passwd", "org"`, 1),
		"something behind": string(b) + "{}", "nothing": "", "null": "null", "a list": "[]",
	} {
		if _, err := DecodeIndex([]byte(text)); !errors.Is(err, content.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCAR(f *testing.F) {
	f.Add(car(f, []byte("hello"), bytes.Repeat([]byte("b"), 1000)))
	f.Add([]byte("\x0a\xa1\x67version\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		bodies, err := read(b, false)
		if err != nil {
			return
		}
		r, _ := NewReader(bytes.NewReader(b))
		var out bytes.Buffer
		w, err := NewWriter(&out, r.Roots())
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range bodies {
			if err := w.Put(content.Sum(body), body); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(out.Bytes(), b) { // one form only: two files of one content would be two names
			t.Fatalf("accepted %x, writes %x", b, out.Bytes())
		}
	})
}

func FuzzIndex(f *testing.F) {
	b, err := someIndex().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := DecodeIndex(b)
		if err != nil {
			return
		}
		again, err := x.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeIndex(again); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzRun(f *testing.F) {
	f.Add(Run{Payload: content.Sum([]byte("p")), Bits: content.FullBits(9)}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodeRun(b); err == nil && !bytes.Equal(r.Encode(), b) {
			t.Fatalf("%x reads as %+v", b, r)
		}
		_, _ = ReadFrame(bytes.NewReader(b))
	})
}
