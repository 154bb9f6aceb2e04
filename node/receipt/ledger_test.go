package receipt

import (
	"slices"
	"testing"
	"time"

	"patchmesh/node/api"
)

// later is a document that makes everything at noon old enough to be missed.
func later(t *testing.T) *Record {
	r := someReceipt(999)
	r.Receiver, r.Sender, r.FirstAt, r.LastAt = "other", "", noon.Add(3*time.Hour), noon.Add(3*time.Hour)
	r.Lines = []Line{set(p2, api.TierMedia, 3, 1)}
	return signedBy(t, r)
}

func stated(t *testing.T, at time.Time, which ...int) *Record {
	l := set(p1, "", 10, which...)
	return givenBy(t, &Given{Machine: "s", At: at, Lines: []GivenSet{{Receiver: "r", Payload: p1, Chunks: 10, Set: l.Set, Bytes: l.Bytes, LastAt: noon}}})
}

// Every way in which two machines can disagree is listed with both figures, the chunks and a reason.
func TestRX6LedgerNamesEveryMismatch(t *testing.T) {
	r := func(which ...int) *Record {
		k := someReceipt(7)
		k.Lines = []Line{set(p1, api.TierSite, 10, which...)}
		return signedBy(t, k)
	}
	denied := Answer{StartedAt: noon.Add(-time.Hour), Denied: []Denied{{Line: 0, Set: set(p1, "", 10, 9).Set, Bytes: 100}}}
	restarted := denied
	restarted.StartedAt = noon.Add(time.Second)
	stranger := someReceipt(7)
	stranger.Sender = "stranger"
	tier := someReceipt(7)
	tier.Lines = []Line{set(p1, api.TierSeed, 10, 1)}
	for _, c := range []struct {
		name       string
		records    []*Record
		reason     string // empty: balanced
		given, got int64
		chunks     []int
		unsettled  int64
	}{
		{"both agree", []*Record{answeredBy(t, r(1, 2), "s", Answer{})}, "", 200, 200, nil, 0},
		{"the receiver claims more", []*Record{answeredBy(t, r(1, 9), "s", denied)}, api.MismatchDenied, 100, 200, []int{9}, 0},
		{"the sender was restarted", []*Record{answeredBy(t, r(1, 9), "s", restarted)}, api.MismatchRestarted, 100, 200, []int{9}, 0},
		{"the sender claims more", []*Record{answeredBy(t, r(1), "s", Answer{}), stated(t, noon.Add(2*time.Hour), 2, 3)}, api.MismatchNoReceipt, 300, 100, []int{2, 3}, 0},
		{"the sender never signs", []*Record{r(1, 2)}, api.MismatchUnanswered, 0, 200, []int{1, 2}, 0},
		{"two documents, one transfer", []*Record{r(1, 2), stated(t, noon.Add(2*time.Hour), 1, 2)}, "", 200, 200, nil, 0},
		{"part of it in a statement", []*Record{r(1, 2), stated(t, noon.Add(2*time.Hour), 2)}, api.MismatchUnanswered, 100, 200, []int{1}, 0},
		{"an older statement", []*Record{answeredBy(t, r(1, 2), "s", Answer{}), stated(t, noon.Add(time.Second), 1, 2)}, "", 200, 200, nil, 0},
		{"a stranger signed", []*Record{answeredBy(t, signedBy(t, stranger), "stranger", Answer{})}, api.MismatchForgotten, 400, 400, nil, 0},
		{"the WAN within a site", []*Record{answeredBy(t, signedBy(t, tier), "s", Answer{})}, api.MismatchTier, 100, 100, []int{1}, 0},
	} {
		l := sum(t, byKey(append(c.records, later(t))...), Facts{})
		if l.Total.GivenBytes != c.given || l.Total.GotBytes != c.got || l.Total.UnsettledBytes != c.unsettled || l.Balanced != (c.reason == "") {
			t.Errorf("%s: %+v", c.name, l.Total)
		}
		if c.reason == "" && len(l.Mismatches) == 0 {
			continue
		}
		if len(l.Mismatches) == 0 || c.reason == "" {
			t.Errorf("%s: %+v", c.name, l.Mismatches)
			continue
		}
		m := l.Mismatches[0]
		if m.Reason != c.reason || !slices.Equal(m.Chunks, c.chunks) && c.chunks != nil || m.Text == "" || m.NextStep == "" || m.Receiver != "r" || m.ReceiverName != "n-r" || m.Sender == "" || m.Update != "u" {
			t.Errorf("%s: %+v", c.name, m)
		}
	}
	// Young ones wait for the second signature.
	l := sum(t, byKey(r(1, 2), stated(t, noon, 3)), Facts{})
	if !l.Balanced || l.Total.UnsettledBytes != 300 || l.Total.GotBytes+l.Total.GivenBytes != 0 {
		t.Errorf("%+v", l.Total)
	}
}

func TestRX6SavingsAreWhatBothSignedAndCameFromNear(t *testing.T) {
	near := someReceipt(1)
	near.Lines = []Line{set(p1, api.TierSubnet, 10, 1, 2, 3)}
	near.Lines[0].Twice = 100
	seed := someReceipt(2)
	seed.Sender, seed.Lines = "seed", []Line{set(p1, api.TierSeed, 10, 4)}
	stick := someReceipt(3)
	stick.Sender, stick.Lines = "", []Line{set(p1, api.TierMedia, 10, 5), set(p1, api.TierOrigin, 10, 6, 7)}
	elsewhere := someReceipt(4)
	elsewhere.Receiver, elsewhere.Lines = "away", []Line{set(p1, api.TierSeed, 10, 0)}
	elsewhere.Sender = "seed"
	f := Facts{Site: "north", Machine: func(id string) (Machine, bool) {
		return Machine{Name: id, Site: map[string]string{"seed": "hq", "away": "south"}[id] + map[string]string{"r": "north", "s": "north"}[id]}, true
	}}
	l := sum(t, byKey(answeredBy(t, signedBy(t, near), "s", Answer{}), answeredBy(t, signedBy(t, seed), "seed", Answer{}), signedBy(t, stick),
		answeredBy(t, signedBy(t, elsewhere), "seed", Answer{})), f)
	want := api.LedgerRow{Site: "north", Payload: p1.String(), Update: "u", GivenBytes: 400, GotBytes: 400, GivenChunks: 4, GotChunks: 4, ProvenBytes: 400, SavedBytes: 200,
		WANBytes: 100, UnsignedBytes: 300, MediaBytes: 100, OriginBytes: 200, Balanced: true}
	if len(l.Rows) != 1 || l.Rows[0] != want || !l.Balanced || l.Receipts != 3 {
		t.Errorf("%+v\nwant %+v", l.Rows, want)
	}
	f.Site = ""
	if l = sum(t, byKey(answeredBy(t, signedBy(t, elsewhere), "seed", Answer{}), answeredBy(t, signedBy(t, seed), "seed", Answer{})), f); len(l.Rows) != 2 || l.Total.WANBytes != 200 {
		t.Errorf("%+v", l)
	}
}

// A machine that invents payloads and disputes fills no memory.
func TestRX6LedgerIsBounded(t *testing.T) {
	records := map[Key]*Record{}
	for i := range 3 * api.MaxMismatches {
		r := someReceipt(uint64(i + 1))
		k := signedBy(t, r)
		records[k.Key()] = k
	}
	last := later(t)
	records[last.Key()] = last
	l := sum(t, records, Facts{})
	if len(l.Mismatches) != api.MaxMismatches || l.More != 5*api.MaxMismatches || l.Balanced {
		t.Errorf("%d and %d", len(l.Mismatches), l.More)
	}
}

func FuzzOpen(f *testing.F) {
	k := signedBy(f, someReceipt(7))
	f.Add(k.Raw)
	f.Add(answeredBy(f, k, "s", Answer{Denied: []Denied{{Line: 0, Set: set(p1, "", 10, 9).Set, Bytes: 100}}}).Raw)
	f.Add(givenBy(f, &Given{Machine: "s", At: noon, Lines: []GivenSet{{Receiver: "r", Payload: p1, Chunks: 10, Set: set(p1, "", 10, 3).Set, Bytes: 100, LastAt: noon}}}).Raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := Open(raw, publicOf, noon)
		if err != nil {
			return
		}
		if _, err := Read(raw); err != nil {
			t.Fatalf("opened and not read: %v", err)
		}
		sum(t, byKey(r), Facts{})
		if r.Receipt != nil && r.Receipt.Sender != "" {
			NewBook(nil).Settle(r.Receipt, nil)
		}
	})
}

// What is inside is fuzzed too: signatures would keep a fuzzer out.
func FuzzReceiptBody(f *testing.F) {
	for _, doc := range []any{someReceipt(7), Answer{At: noon, Denied: []Denied{{Line: 0, Set: set(p1, "", 10, 9).Set, Bytes: 100}}}, Given{Machine: "s", At: noon}} {
		s, err := sign(keyOf("r"), receiptDomain, doc)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(s.Body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r Receipt
		if decode(body, &r) == nil && r.check(noon) == nil {
			k := signedBy(t, &r)
			b := NewBook(nil)
			b.Settle(&r, nil)
			sum(t, byKey(k), Facts{})
			var a Answer
			if decode(body, &a) == nil {
				x := &Record{Receipt: &r, Answer: &a}
				_ = x.checkAnswer(noon)
			}
		}
		var a Answer
		if decode(body, &a) == nil {
			k := signedBy(t, someReceipt(7))
			a.Receipt = k.id
			if x := (&Record{Receipt: k.Receipt, Answer: &a, id: k.id}); x.checkAnswer(noon) == nil {
				sum(t, byKey(x), Facts{})
			}
		}
		var g Given
		if decode(body, &g) == nil && g.check(noon) == nil {
			sum(t, byKey(&Record{Given: &g}), Facts{})
		}
	})
}

func FuzzPack(f *testing.F) {
	b, _ := Pack{Next: 3, Records: [][]byte{{1}}}.Encode()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := DecodePack(b); err == nil {
			if _, err := p.Encode(); err != nil && len(b) < MaxPackBytes/8 {
				t.Fatalf("%q: %v", b, err)
			}
		}
	})
}

// FuzzBook reads what a damaged disk gives back.
func FuzzBook(f *testing.F) {
	b := NewBook(nil)
	b.Arrived("s", api.TierSite, p1, 10, 3, 100, true, noon)
	b.Gave("r", p1, 10, 3, 100, noon)
	_ = b.Write(nil, func(values map[string][]byte) error {
		f.Add(values[inPrefix+"s"], values[outPrefix+"r"])
		return nil
	})
	f.Fuzz(func(_ *testing.T, in, out []byte) {
		b := NewBook(map[string][]byte{inPrefix + "s": in, outPrefix + "r": out})
		b.Gave("r", p1, 10, 3, 100, noon)
		b.Arrived("s", api.TierSite, p1, 10, 3, 100, true, noon)
		b.Given("s", noon)
		for _, c := range b.Close("r", "s") {
			b.Settle(c, nil)
		}
	})
}
