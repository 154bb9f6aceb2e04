package storetest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"patchmesh/content"
)

// Kind is a kind of store under test. Each call of Open and Limited gives an empty store that lives
// until the test ends.
type Kind struct {
	Open func(t *testing.T) content.Store
	// Limited opens a store on a medium with freeBytes left and nothing to reserve.
	Limited func(t *testing.T, freeBytes int64) content.Store
	// Damage flips a bit of a stored chunk behind the store's back.
	Damage func(t *testing.T, s content.Store, payload content.ID, index int)
}

// Run tests a kind of store.
func Run(t *testing.T, k Kind) {
	for name, plain := range map[string][]byte{
		"random": Random(1, 3*content.MinChunkBytes+17), "text": Text(5*content.MinChunkBytes + 1),
		"mixed": Mixed(2, 6*content.MinChunkBytes), "one byte": {7},
	} {
		t.Run(name+" is filled, published and dropped", func(t *testing.T) { fillAndPublish(t, k.Open(t), plain) })
	}
	for name, test := range map[string]func(t *testing.T, s content.Store){
		"wrong chunks are refused":              refusesWrongChunks,
		"a chunk that is there stays":           keepsWhatIsThere,
		"begin can be repeated":                 beginsAgain,
		"unknown payloads":                      unknownPayloads,
		"import":                                imports,
		"import replaces a part":                importsOverPart,
		"a map that lies is found":              findsLyingMap,
		"everything is refused after close":     refusesAfterClose,
		"payloads are listed by id":             lists,
		"chunks come and go at the same time":   concurrently,
		"two copies of a chunk are stored once": storesOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, k.Open(t)) })
	}
	t.Run("publish finds damage", func(t *testing.T) { publishFindsDamage(t, k) })
	t.Run("reading finds damage", func(t *testing.T) { readingFindsDamage(t, k) })
	t.Run("what does not fit is refused", func(t *testing.T) { refusesWithoutRoom(t, k) })
}

func fillAndPublish(t *testing.T, s content.Store, plain []byte) {
	m, stored := Packed(t, plain)
	if _, err := s.Begin(m); err != nil {
		t.Fatal(err)
	}
	for i := m.Len() - 1; i >= 0; i-- { // any order
		want(t, "publish of an incomplete payload", s.Publish(m.ID()), content.ErrIncomplete)
		_, err := s.OpenPlain(m.ID())
		want(t, "reading an incomplete payload", err, content.ErrIncomplete)
		for round, wantFresh := range []bool{true, false} {
			fresh, err := s.Put(m.ID(), i, ChunkOf(m, stored, i))
			if err != nil || fresh != wantFresh {
				t.Fatalf("chunk %d round %d: fresh=%v, %v", i, round, fresh, err)
			}
		}
		checkChunk(t, s, m, stored, i)
	}
	for range 2 {
		want(t, "publish", s.Publish(m.ID()), nil)
	}
	checkPublished(t, s, m, plain)
	checkChunk(t, s, m, stored, m.Len()-1)
	if fresh, err := s.Put(m.ID(), 0, ChunkOf(m, stored, 0)); fresh || err != nil {
		t.Fatalf("put to a published payload: fresh=%v, %v", fresh, err)
	}
	want(t, "drop", s.Drop(m.ID()), nil)
	_, err := s.Have(m.ID())
	want(t, "have-bits of a dropped payload", err, content.ErrNotFound)
	Fill(t, s, m, stored) // from the beginning
	want(t, "publish after drop", s.Publish(m.ID()), nil)
}

// want checks an error; nil stands for none.
func want(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("%s: %v, want %v", what, err, target)
	}
}

func wantCorrupt(t *testing.T, what string, err error) {
	t.Helper()
	var corrupt *content.CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("%s: %v, want CorruptError", what, err)
	}
}

func checkChunk(t *testing.T, s content.Store, m *content.PayloadMap, stored []byte, i int) {
	t.Helper()
	buf := make([]byte, content.MaxChunkBytes)
	n, err := s.ReadChunk(m.ID(), i, buf)
	if err != nil || !bytes.Equal(buf[:n], ChunkOf(m, stored, i)) {
		t.Fatalf("read chunk %d: %d bytes, %v", i, n, err)
	}
}

func checkPublished(t *testing.T, s content.Store, m *content.PayloadMap, plain []byte) {
	t.Helper()
	r, err := s.OpenPlain(m.ID())
	want(t, "open", err, nil)
	got, err := io.ReadAll(io.MultiReader(io.LimitReader(r, 1000), r)) // odd pieces
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("plain payload: %d bytes, want %d, %v", len(got), len(plain), err)
	}
	want(t, "close reader", r.Close(), nil)
	_, err = r.Read(make([]byte, 1))
	want(t, "read after close", err, content.ErrClosed)
	have, err := s.Have(m.ID())
	if err != nil || !have.Full() || !s.Published(m.ID()) {
		t.Fatalf("published payload: full=%v published=%v %v", have.Full(), s.Published(m.ID()), err)
	}
}

func refusesWrongChunks(t *testing.T, s content.Store) {
	for _, plain := range [][]byte{Random(2, 2*content.MinChunkBytes), Text(2 * content.MinChunkBytes)} {
		m, stored := Packed(t, plain)
		_, err := s.Begin(m)
		want(t, "begin", err, nil)
		for name, b := range map[string][]byte{
			"one bit flipped": flipped(ChunkOf(m, stored, 0), 100), "another chunk": ChunkOf(m, stored, 1),
			"short": stored[:10], "long": stored[:m.Offset(1)+1], "empty": nil,
		} {
			_, err := s.Put(m.ID(), 0, b)
			wantCorrupt(t, name, err)
		}
		have, err := s.Have(m.ID())
		if err != nil || have.Count() != 0 {
			t.Fatalf("refused chunks count as had: %d, %v", have.Count(), err)
		}
		_, err = s.ReadChunk(m.ID(), 0, make([]byte, content.MaxChunkBytes))
		want(t, "read of a chunk that was never stored", err, content.ErrNotFound)
		for _, i := range []int{-1, m.Len(), 1 << 30} {
			_, err := s.Put(m.ID(), i, ChunkOf(m, stored, 0))
			want(t, "put of a chunk that the map does not have", err, content.ErrNotFound)
			_, err = s.ReadChunk(m.ID(), i, make([]byte, content.MaxChunkBytes))
			want(t, "read of a chunk that the map does not have", err, content.ErrNotFound)
		}
	}
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func keepsWhatIsThere(t *testing.T, s content.Store) {
	m, stored := Packed(t, Random(3, 2*content.MinChunkBytes))
	Fill(t, s, m, stored)
	_, err := s.Put(m.ID(), 1, flipped(ChunkOf(m, stored, 1), 5))
	wantCorrupt(t, "wrong bytes for a chunk that is there", err)
	checkChunk(t, s, m, stored, 1)
	_, err = s.ReadChunk(m.ID(), 1, make([]byte, 10))
	want(t, "read into a small buffer", err, io.ErrShortBuffer)
	taken := bytes.Clone(ChunkOf(m, stored, 0))
	want(t, "drop", s.Drop(m.ID()), nil)
	_, err = s.Begin(m)
	want(t, "begin", err, nil)
	_, err = s.Put(m.ID(), 0, taken)
	want(t, "put", err, nil)
	clear(taken) // the caller's buffer is the caller's again
	checkChunk(t, s, m, stored, 0)
}

func beginsAgain(t *testing.T, s content.Store) {
	m, stored := Packed(t, Random(4, 3*content.MinChunkBytes))
	for i := range m.Len() {
		have, err := s.Begin(m)
		if err != nil || have.Count() != i {
			t.Fatalf("begin with %d chunks: %d, %v", i, have.Count(), err)
		}
		for j := range m.Len() {
			have.Set(j) // the caller's own copy
		}
		_, err = s.Put(m.ID(), i, ChunkOf(m, stored, i))
		want(t, "put", err, nil)
	}
	want(t, "publish", s.Publish(m.ID()), nil)
	have, err := s.Begin(m)
	if err != nil || !have.Full() || !s.Published(m.ID()) {
		t.Fatalf("begin of a published payload: %v", err)
	}
}

func unknownPayloads(t *testing.T, s content.Store) {
	m, stored := Packed(t, Random(5, 100))
	id := m.ID()
	_, err := s.Put(id, 0, stored)
	want(t, "put", err, content.ErrNotFound)
	_, err = s.ReadChunk(id, 0, make([]byte, 100))
	want(t, "read", err, content.ErrNotFound)
	_, err = s.Have(id)
	want(t, "have", err, content.ErrNotFound)
	_, err = s.Map(id)
	want(t, "map", err, content.ErrNotFound)
	_, err = s.OpenPlain(id)
	want(t, "open", err, content.ErrNotFound)
	want(t, "publish", s.Publish(id), content.ErrNotFound)
	want(t, "drop", s.Drop(id), nil)
	want(t, "drop of no id", s.Drop(content.ID{}), nil)
	if s.Published(id) {
		t.Fatal("an unknown payload is published")
	}
	_, err = s.Begin(m)
	want(t, "begin", err, nil)
	got, err := s.Map(id)
	if err != nil || got.ID() != id {
		t.Fatalf("map of a payload: %v", err)
	}
}

func imports(t *testing.T, s content.Store) {
	for _, plain := range [][]byte{Random(6, content.MinChunkBytes+5), Mixed(7, 4*content.MinChunkBytes)} {
		for range 2 { // again is the same payload
			m, err := s.Import(bytes.NewReader(plain), int64(len(plain)))
			want(t, "import", err, nil)
			checkPublished(t, s, m, plain)
			packed, stored := Packed(t, plain)
			if packed.ID() != m.ID() {
				t.Fatal("import and pack disagree")
			}
			checkChunk(t, s, m, stored, m.Len()-1)
		}
	}
	broken := errors.New("the source broke")
	for _, c := range []struct {
		name      string
		r         io.Reader
		sizeBytes int64
		want      error
	}{
		{"a source that ends early", bytes.NewReader(make([]byte, 10)), 11, io.ErrUnexpectedEOF},
		{"a source that goes on", bytes.NewReader(make([]byte, 12)), 11, content.ErrFormat},
		{"nothing", bytes.NewReader(nil), 0, content.ErrFormat},
		{"less than nothing", bytes.NewReader(nil), -1, content.ErrFormat},
		{"a source that breaks", io.MultiReader(bytes.NewReader(make([]byte, 10)), failing{broken}), 20, broken},
	} {
		_, err := s.Import(c.r, c.sizeBytes)
		want(t, c.name, err, c.want)
	}
	all, err := s.List()
	if err != nil || len(all) != 2 {
		t.Fatalf("list after refused imports: %v, %v", all, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func importsOverPart(t *testing.T, s content.Store) {
	plain := Random(8, 3*content.MinChunkBytes)
	m, stored := Packed(t, plain)
	_, err := s.Begin(m)
	want(t, "begin", err, nil)
	_, err = s.Put(m.ID(), 1, ChunkOf(m, stored, 1))
	want(t, "put", err, nil)
	_, err = s.Import(bytes.NewReader(plain), int64(len(plain)))
	want(t, "import", err, nil)
	checkPublished(t, s, m, plain)
}

// LyingMap is m with another hash of the whole: every chunk matches it, the payload does not.
func LyingMap(t testing.TB, m *content.PayloadMap) *content.PayloadMap {
	t.Helper()
	b := m.Encode()
	sum := bytes.Index(b, m.SHA256[:])
	b[sum] ^= 1
	lie, err := content.DecodeMap(b)
	if err != nil {
		t.Fatal(err)
	}
	return lie
}

func findsLyingMap(t *testing.T, s content.Store) {
	m, stored := Packed(t, Random(9, 2*content.MinChunkBytes))
	lie := LyingMap(t, m)
	Fill(t, s, lie, stored)
	wantCorrupt(t, "publish", s.Publish(lie.ID()))
	if s.Published(lie.ID()) {
		t.Fatal("a payload that is not what its map promises was published")
	}
}

func refusesAfterClose(t *testing.T, s content.Store) {
	plain := Random(10, 100)
	m, stored := Packed(t, plain)
	Fill(t, s, m, stored)
	want(t, "publish", s.Publish(m.ID()), nil)
	r, err := s.OpenPlain(m.ID())
	want(t, "open", err, nil)
	for range 2 {
		want(t, "close", s.Close(), nil)
	}
	_, err = r.Read(make([]byte, 1))
	want(t, "reader of a closed store", err, content.ErrClosed)
	_, err = s.Begin(m)
	want(t, "begin", err, content.ErrClosed)
	_, err = s.Put(m.ID(), 0, stored)
	want(t, "put", err, content.ErrClosed)
	_, err = s.ReadChunk(m.ID(), 0, make([]byte, 100))
	want(t, "read", err, content.ErrClosed)
	_, err = s.Have(m.ID())
	want(t, "have", err, content.ErrClosed)
	_, err = s.Import(bytes.NewReader(plain), 100)
	want(t, "import", err, content.ErrClosed)
	_, err = s.List()
	want(t, "list", err, content.ErrClosed)
	want(t, "publish", s.Publish(m.ID()), content.ErrClosed)
	want(t, "drop", s.Drop(m.ID()), content.ErrClosed)
	want(t, "sync", s.Sync(), content.ErrClosed)
}

func lists(t *testing.T, s content.Store) {
	for i := range 5 {
		plain := Random(uint64(20+i), 100+i)
		m, stored := Packed(t, plain)
		if i%2 == 0 {
			_, err := s.Begin(m)
			want(t, "begin", err, nil)
			continue
		}
		Fill(t, s, m, stored)
		want(t, "publish", s.Publish(m.ID()), nil)
	}
	all, err := s.List()
	if err != nil || len(all) != 5 {
		t.Fatalf("list: %v, %v", all, err)
	}
	if !slices.IsSortedFunc(all, func(a, b content.Info) int { return a.ID.Compare(b.ID) }) {
		t.Fatal("the list is in no order")
	}
	for _, in := range all {
		odd := (in.PlainBytes-100)%2 == 1
		if in.Published != odd || (in.HaveChunks == in.Chunks) != odd || in.StoredBytes != in.PlainBytes {
			t.Fatalf("listed as %+v", in)
		}
	}
}

// concurrently has four peers deliver everything, readers look at what is there, and all publish.
func concurrently(t *testing.T, s content.Store) {
	plain := Mixed(11, 24*content.MinChunkBytes)
	m, stored := Packed(t, plain)
	_, err := s.Begin(m)
	want(t, "begin", err, nil)
	fresh := make([]int, 4)
	var work sync.WaitGroup
	for w := range fresh {
		work.Go(func() {
			for i := range m.Len() {
				i = (i + w*m.Len()/8) % m.Len()
				isNew, err := s.Put(m.ID(), i, ChunkOf(m, stored, i))
				if err != nil {
					t.Errorf("put %d: %v", i, err)
				}
				if isNew {
					fresh[w]++
				}
			}
			if err := s.Publish(m.ID()); err != nil {
				t.Errorf("publish: %v", err)
			}
		})
		work.Go(func() { readWhatIsThere(t, s, m, stored) })
	}
	work.Wait()
	if sum := fresh[0] + fresh[1] + fresh[2] + fresh[3]; sum != m.Len() {
		t.Errorf("%d chunks were new, the payload has %d", sum, m.Len())
	}
	checkPublished(t, s, m, plain)
}

func readWhatIsThere(t *testing.T, s content.Store, m *content.PayloadMap, stored []byte) {
	buf := make([]byte, content.MaxChunkBytes)
	for !s.Published(m.ID()) {
		have, err := s.Have(m.ID())
		if err != nil {
			t.Errorf("have: %v", err)
			return
		}
		for i := range m.Len() {
			if !have.Has(i) {
				continue
			}
			n, err := s.ReadChunk(m.ID(), i, buf)
			if err != nil || !bytes.Equal(buf[:n], ChunkOf(m, stored, i)) {
				t.Errorf("read %d of what is there: %v", i, err)
				return
			}
		}
	}
}

func storesOnce(t *testing.T, s content.Store) {
	m, stored := Packed(t, Text(content.MinChunkBytes))
	_, err := s.Begin(m)
	want(t, "begin", err, nil)
	var work sync.WaitGroup
	results := make([]bool, 8)
	for w := range results {
		work.Go(func() {
			var err error
			if results[w], err = s.Put(m.ID(), 0, stored); err != nil {
				t.Errorf("put: %v", err)
			}
		})
	}
	work.Wait()
	fresh := 0
	for _, isNew := range results {
		if isNew {
			fresh++
		}
	}
	if fresh != 1 {
		t.Fatalf("%d of 8 equal chunks were new", fresh)
	}
}
