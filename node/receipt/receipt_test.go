package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
)

func soak(short, full int) int {
	if os.Getenv("PATCHMESH_SOAK") == "1" {
		return full
	}
	return short
}

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// keyOf makes the key of a machine from its name.
func keyOf(name string) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	return ed25519.NewKeyFromSeed(seed)
}

func publicOf(name string) (ed25519.PublicKey, error) {
	if len(name) > ed25519.SeedSize {
		return nil, errors.New("no such machine")
	}
	return keyOf(name).Public().(ed25519.PublicKey), nil
}

var p1, p2 = content.Sum([]byte("1")), content.Sum([]byte("2"))

// set makes a line of chunks of 100 bytes.
func set(payload content.ID, tier string, chunks int, which ...int) Line {
	b := content.NewBits(chunks)
	for _, i := range which {
		b.Set(i)
	}
	return Line{Payload: payload, Chunks: chunks, Set: b.Bytes(), Bytes: 100 * int64(b.Count()), Tier: tier}
}

func someReceipt(seq uint64) *Receipt {
	return &Receipt{Receiver: "r", Sender: "s", Seq: seq, FirstAt: noon, LastAt: noon.Add(time.Second), Lines: []Line{set(p1, api.TierSite, 10, 1, 2, 9), set(p2, api.TierSite, 3, 0)}}
}

func signedBy(t testing.TB, r *Receipt) *Record {
	t.Helper()
	k, err := r.Sign(keyOf(r.Receiver))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func answeredBy(t testing.TB, k *Record, name string, a Answer) *Record {
	t.Helper()
	if a.At.IsZero() {
		a.At = noon.Add(time.Minute)
	}
	out, err := k.Countersign(keyOf(name), a)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func givenBy(t testing.TB, g *Given) *Record {
	t.Helper()
	k, err := g.Sign(keyOf(g.Machine))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRX6RecordsReadAsTheyWereSigned(t *testing.T) {
	r := someReceipt(7)
	d := set(p1, "", 10, 2)
	for _, k := range []*Record{
		signedBy(t, r), answeredBy(t, signedBy(t, r), "s", Answer{StartedAt: noon}),
		answeredBy(t, signedBy(t, r), "s", Answer{StartedAt: noon, Denied: []Denied{{Line: 0, Set: d.Set, Bytes: 100}}}),
		givenBy(t, &Given{Machine: "s", At: noon, Lines: []GivenSet{{Receiver: "r", Payload: p1, Chunks: 10, Set: d.Set, Bytes: 100, LastAt: noon}}}),
	} {
		got, err := Open(k.Raw, publicOf, noon)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Read(k.Raw)
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("opened as %+v, read as %+v, %v", got, again, err)
		}
		if !reflect.DeepEqual(got.Receipt, k.Receipt) || !reflect.DeepEqual(got.Answer, k.Answer) || !reflect.DeepEqual(got.Given, k.Given) || got.Key() != k.Key() {
			t.Errorf("opened as %+v, signed as %+v", got, k)
		}
	}
}

// Whoever carries a record can change none of it, and nobody signs for another.
func TestRX6ForgedSignaturesAreRefused(t *testing.T) {
	good := answeredBy(t, signedBy(t, someReceipt(7)), "s", Answer{})
	other := answeredBy(t, signedBy(t, someReceipt(8)), "s", Answer{})
	parse := func(k *Record) (r record) {
		if err := json.Unmarshal(k.Raw, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	forge := map[string]func(r *record){
		"counter-signature by a third machine": func(r *record) { *r = parse(answeredBy(t, signedBy(t, someReceipt(7)), "x", Answer{})) },
		"receipt by a third machine": func(r *record) {
			k, _ := someReceipt(7).Sign(keyOf("x"))
			*r = parse(k)
		},
		"answer to another receipt":     func(r *record) { r.Answer = parse(other).Answer },
		"receipt without its signature": func(r *record) { r.Receipt.Sig = nil },
		"changed receipt": func(r *record) {
			r.Receipt.Body = bytes.Replace(r.Receipt.Body, []byte(`"seq":7`), []byte(`"seq":9`), 1)
		},
		"changed answer": func(r *record) { r.Answer.Body = bytes.Replace(r.Answer.Body, []byte("12:01"), []byte("12:02"), 1) },
		"statement as an answer": func(r *record) {
			r.Answer = parse(givenBy(t, &Given{Machine: "s", At: noon})).Given
		},
		"answer beside a statement": func(r *record) { r.Given = parse(givenBy(t, &Given{Machine: "s", At: noon})).Given },
		"answer alone":              func(r *record) { r.Receipt = nil },
	}
	for what, f := range forge {
		r := parse(good)
		f(&r)
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(raw, publicOf, noon); !errors.Is(err, ErrSignature) && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Open(good.Raw, publicOf, noon); err != nil {
		t.Error(err)
	}
}

// Sizes and numbers that are none are refused, however well they are signed.
func TestRX6HostileRecordsAreRefused(t *testing.T) {
	bad := map[string]func(r *Receipt){
		"no lines":            func(r *Receipt) { r.Lines = nil },
		"too many lines":      func(r *Receipt) { r.Lines = slices.Repeat(r.Lines[:1], MaxLines+1) },
		"no number":           func(r *Receipt) { r.Seq = 0 },
		"negative number":     func(r *Receipt) { r.Seq = 1 << 63 },
		"from itself":         func(r *Receipt) { r.Sender = r.Receiver },
		"signed medium":       func(r *Receipt) { r.Lines[0].Tier = api.TierMedia },
		"unknown tier":        func(r *Receipt) { r.Lines[0].Tier = "moon" },
		"site without sender": func(r *Receipt) { r.Sender = "" },
		"long sender":         func(r *Receipt) { r.Sender = strings.Repeat("s", 200) },
		"clears the screen":   func(r *Receipt) { r.Sender = "s\x1b[2J" },
		"empty set":           func(r *Receipt) { r.Lines[0].Set, r.Lines[0].Bytes = make([]byte, 2), 0 },
		"short set":           func(r *Receipt) { r.Lines[0].Set = r.Lines[0].Set[:1] },
		"stray bits":          func(r *Receipt) { r.Lines[0].Set = []byte{1, 0xff} },
		"too many chunks":     func(r *Receipt) { r.Lines[0].Chunks = content.MaxChunks + 1 },
		"negative chunks":     func(r *Receipt) { r.Lines[0].Chunks = -1 },
		"negative bytes":      func(r *Receipt) { r.Lines[0].Bytes = -1 },
		"huge bytes":          func(r *Receipt) { r.Lines[0].Bytes = 1 << 62 },
		"twice more":          func(r *Receipt) { r.Lines[0].Twice = r.Lines[0].Bytes + 1 },
		"no payload":          func(r *Receipt) { r.Lines[0].Payload = content.ID{} },
		"next week":           func(r *Receipt) { r.LastAt = noon.Add(7 * 24 * time.Hour) },
		"ended before":        func(r *Receipt) { r.LastAt = r.FirstAt.Add(-1) },
		"sets together": func(r *Receipt) {
			full := Line{Payload: p1, Chunks: content.MaxChunks, Set: content.FullBits(content.MaxChunks).Bytes(), Bytes: content.MaxChunks, Tier: api.TierSite}
			r.Lines = []Line{full, full}
		},
	}
	for what, f := range bad {
		r := someReceipt(7)
		f(r)
		k, err := r.Sign(keyOf("r"))
		if err == nil {
			_, err = Open(k.Raw, publicOf, noon)
		}
		if !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, d := range map[string][]Denied{
		"of no line":  {{Line: 2, Set: set(p2, "", 3, 0).Set, Bytes: 100}},
		"twice":       {{Line: 0, Set: set(p1, "", 10, 1).Set, Bytes: 100}, {Line: 0, Set: set(p1, "", 10, 2).Set, Bytes: 100}},
		"not claimed": {{Line: 0, Set: set(p1, "", 10, 3).Set, Bytes: 100}},
		"more bytes":  {{Line: 0, Set: set(p1, "", 10, 1).Set, Bytes: 301}},
		"all of it":   {{Line: 0, Set: set(p1, "", 10, 1).Set, Bytes: 300}},
		"negative":    {{Line: -1, Set: set(p1, "", 10, 1).Set, Bytes: 100}},
	} {
		k := answeredBy(t, signedBy(t, someReceipt(7)), "s", Answer{Denied: d})
		if _, err := Open(k.Raw, publicOf, noon); !errors.Is(err, ErrFormat) {
			t.Errorf("denied %s: %v", what, err)
		}
	}
	given := func(times int, receiver string) error {
		g := &Given{Machine: "s", At: noon}
		for range times {
			g.Lines = append(g.Lines, GivenSet{Receiver: receiver, Payload: p1, Chunks: 10, Set: set(p1, "", 10, 1).Set, Bytes: 100, LastAt: noon})
		}
		_, err := Open(givenBy(t, g).Raw, publicOf, noon)
		return err
	}
	if given(maxLayers, "r") != nil || !errors.Is(given(maxLayers+1, "r"), ErrFormat) || !errors.Is(given(1, "r\n"), ErrFormat) {
		t.Errorf("given %d times: %v, once more: %v, to a name of two lines: %v", maxLayers, given(maxLayers, "r"), given(maxLayers+1, "r"), given(1, "r\n"))
	}
	for what, raw := range map[string][]byte{
		"empty": nil, "null": []byte("null"), "too long": append(bytes.Repeat([]byte(" "), MaxRecordBytes), signedBy(t, someReceipt(7)).Raw...), "more behind": append(signedBy(t, someReceipt(7)).Raw, '1'),
		"unknown field": []byte(`{"receipt":{"body":"e30=","sig":""},"more":1}`),
	} {
		if _, err := Open(raw, publicOf, noon); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, raw := range map[string][]byte{
		"too long": append(bytes.Repeat([]byte(" "), MaxPackBytes), `{"records":[]}`...), "negative": []byte(`{"next":-1,"records":[]}`), "null": []byte("nil"),
		"too many": []byte(`{"records":[` + strings.Repeat(`"",`, MaxPackRecords) + `""]}`),
	} {
		if _, err := DecodePack(raw); !errors.Is(err, ErrFormat) {
			t.Errorf("pack, %s: %v", what, err)
		}
	}
}

// Which of two records of one number counts does not depend on who comes first.
func TestRX6TheSameNumberCountsOnce(t *testing.T) {
	plain := signedBy(t, someReceipt(7))
	early, late := answeredBy(t, plain, "s", Answer{}), answeredBy(t, plain, "s", Answer{At: noon.Add(time.Hour)})
	for i, c := range []struct {
		a, b *Record
		want bool
	}{{early, plain, true}, {plain, early, false}, {early, late, true}, {late, early, false}, {plain, plain, false}, {early, early, false}} {
		if got := c.a.Replaces(c.b); got != c.want {
			t.Errorf("%d: %t", i, got)
		}
	}
	a, b := givenBy(t, &Given{Machine: "s", At: noon}), givenBy(t, &Given{Machine: "s", At: noon.Add(1)})
	if a.Replaces(b) || !b.Replaces(a) || a.Key() != b.Key() {
		t.Error("the newer statement counts")
	}
}

// world is two machines with their books, and what really moved.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	r, s    *Book
	rDisk   map[string][]byte
	sDisk   map[string][]byte
	records map[Key]*Record
	moved   [4]int // times that a chunk really moved
	seq     uint64
	now     time.Time
}

func write(disk map[string][]byte) func(map[string][]byte) error {
	return func(values map[string][]byte) error {
		for k, v := range values {
			if disk[k] = v; v == nil {
				delete(disk, k)
			}
		}
		return nil
	}
}

func (w *world) step() {
	w.now = w.now.Add(time.Second)
	switch w.rng.IntN(10) {
	case 0:
		_ = w.r.Write(nil, write(w.rDisk))
	case 1:
		_ = w.s.Write(nil, write(w.sDisk))
	case 2:
		w.close()
	case 3:
		w.sign()
	case 4:
		if w.rng.IntN(4) == 0 { // a full disk
			full := errors.New("full")
			var closed []*Receipt
			if err := w.r.Write(func() { closed = w.r.Close("r", "s") }, func(map[string][]byte) error { return full }); err == nil {
				w.t.Fatal("written")
			}
			w.r.Reopen("s", closed)
		}
	case 5:
		if w.rng.IntN(4) == 0 {
			w.r = NewBook(w.rDisk)
		} else if w.rng.IntN(4) == 0 {
			w.s = NewBook(w.sDisk)
		}
	default:
		i := w.rng.IntN(len(w.moved))
		w.moved[i]++
		w.s.Gave("r", p1, len(w.moved), i, 100, w.now)
		w.r.Arrived("s", api.TierSite, p1, len(w.moved), i, 100, w.moved[i] == 1, w.now)
	}
}

func (w *world) close() {
	var closed []*Receipt
	err := w.r.Write(func() { closed = w.r.Close("r", "s") }, write(w.rDisk))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range closed {
		w.seq++
		c.Seq = w.seq
		k := signedBy(w.t, c)
		w.records[k.Key()] = k
	}
}

func (w *world) sign() {
	for seq := uint64(1); seq <= w.seq; seq++ {
		k := w.records[Key{"r", "s", seq}]
		if k.Answer != nil {
			continue
		}
		var denied []Denied
		would := w.s.Denies(k.Receipt)
		_ = w.s.Write(func() { denied = w.s.Settle(k.Receipt, nil) }, write(w.sDisk))
		if would != (len(denied) > 0) {
			w.t.Fatalf("it was to be denied: %t, denied was %v", would, denied)
		}
		signed := answeredBy(w.t, k, "s", Answer{At: w.now, Denied: denied})
		if _, err := Open(signed.Raw, publicOf, w.now); err != nil {
			w.t.Fatal(err)
		}
		w.records[k.Key()] = signed
	}
}

// Kills of either side, full disks, repeats: no more is ever claimed than moved, nor more agreed than claimed,
// and what nobody was killed over balances.
func TestRX6NeverMoreThanMovedIsClaimedWhateverHappens(t *testing.T) {
	for seed := range soak(150, 5000) {
		w := &world{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 6)), r: NewBook(nil), s: NewBook(nil), rDisk: map[string][]byte{}, sDisk: map[string][]byte{},
			records: map[Key]*Record{}, now: noon}
		for range 120 {
			w.step()
		}
		w.close()
		w.sign()
		given := givenBy(t, w.s.Given("s", w.now.Add(2*time.Hour)))
		w.records[given.Key()] = given
		l := sum(t, w.records, Facts{})
		claimed := make([]int, len(w.moved))
		for _, k := range w.records {
			if k.Receipt != nil {
				for _, l := range k.Receipt.Lines {
					each(l.bits(), func(i int) { claimed[i]++ })
				}
			}
		}
		moved := 0
		for i, n := range w.moved {
			moved += n
			if claimed[i] > n {
				t.Fatalf("seed %d: chunk %d moved %d times and is claimed %d times", seed, i, n, claimed[i])
			}
		}
		if l.Total.GotChunks > int64(moved) || l.Total.GivenChunks > int64(moved) || l.Total.ProvenBytes > min(l.Total.GotBytes, l.Total.GivenBytes) {
			t.Fatalf("seed %d: %d chunks moved: %+v", seed, moved, l.Total)
		}
		if l.Balanced != (len(l.Mismatches) == 0) || l.Balanced && l.Total.GivenBytes != l.Total.GotBytes {
			t.Fatalf("seed %d: %+v", seed, l)
		}
	}
}

// source gives records as a database does.
func source(records map[Key]*Record) Source {
	return func(given bool, each func(*Record) error) error {
		var keys []Key
		for k := range records {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(a, b Key) int {
			return strings.Compare(fmt.Sprintf("%s %s %020d", a.Owner, a.Peer, a.Seq), fmt.Sprintf("%s %s %020d", b.Owner, b.Peer, b.Seq))
		})
		for _, k := range keys {
			if r := records[k]; (r.Given != nil) == given {
				if err := each(r); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func sum(t testing.TB, records map[Key]*Record, f Facts) *api.Ledger {
	t.Helper()
	if f.Machine == nil {
		f.Machine = func(id string) (Machine, bool) { return Machine{Name: "n-" + id, Site: "north"}, id != "stranger" }
	}
	if f.Update == nil {
		f.Update = func(content.ID) string { return "u" }
	}
	l, err := Sum(source(records), f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func byKey(list ...*Record) map[Key]*Record {
	out := map[Key]*Record{}
	for _, r := range list {
		out[r.Key()] = r
	}
	return out
}
