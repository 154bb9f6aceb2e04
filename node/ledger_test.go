package node

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/content/mem"
	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/node/transport"
)

// books is a ledger with a store, which die and come back.
type books struct {
	*ledger
	t     *testing.T
	db    *state.DB
	store content.Store
	m     *content.PayloadMap
	body  []byte
}

func newBooks(t *testing.T) *books {
	t.Helper()
	db, err := state.Open(filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	plain := append(noise(7, 5*content.MinChunkBytes), make([]byte, 3*content.MinChunkBytes+5)...)
	var packed bytes.Buffer
	m, err := content.Pack(bytes.NewReader(plain), int64(len(plain)), &packed)
	if err != nil {
		t.Fatal(err)
	}
	b := &books{t: t, db: db, store: mem.New(0), m: m, body: packed.Bytes()}
	b.restart()
	if _, err := b.store.Begin(m); err != nil {
		t.Fatal(err)
	}
	return b
}

// restart forgets what was not written.
func (b *books) restart() {
	b.ledger = &ledger{
		db: b.db, self: "me", site: "s", now: func() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) },
		name: func(content.ID) string { return "u1" }, books: map[content.ID]*book{}, days: map[state.TrafficRow]int64{},
	}
}

func (b *books) arrive(i int, peer, tier string) {
	b.t.Helper()
	stored := b.body[b.m.Offset(i):b.m.Offset(i+1)]
	fresh, err := b.store.Put(b.m.ID(), i, stored)
	if err != nil {
		b.t.Fatal(err)
	}
	b.arrived(b.m.ID(), b.m.Len(), i, contact{Peer: transport.Peer{ID: peer, Name: "n-" + peer}, tier: tier}, len(stored), fresh)
}

// check wants shares that sum up to what the store holds, to the byte.
func (b *books) check(what string) shares {
	b.t.Helper()
	s, err := b.shares(b.m.ID(), b.store)
	if err != nil {
		b.t.Fatal(err)
	}
	held := int64(0)
	if have, err := b.store.Have(b.m.ID()); err == nil {
		for i := range b.m.Len() {
			if have.Has(i) {
				held += int64(b.m.Chunks[i].StoredBytes)
			}
		}
	} else if !errors.Is(err, content.ErrNotFound) {
		b.t.Fatal(err)
	}
	var sum int64
	seen := map[string]bool{}
	for _, x := range s.sources {
		sum += x.Bytes
		if key := x.Peer + x.Tier; seen[key] {
			b.t.Errorf("%s: %s has two shares", what, key)
		} else {
			seen[key] = true
		}
	}
	if !s.evicted && (sum != held || s.heldBytes != held) {
		b.t.Fatalf("%s: shares of %d bytes, held are %d: %+v", what, sum, held, s.sources)
	}
	return s
}

// Whatever happens, in whatever order: kills that lose the last seconds, damage, evictions.
func TestSharesSumUpWhateverHappens(t *testing.T) {
	peers := []struct{ id, tier string }{{"a", api.TierSubnet}, {"b", api.TierSite}, {"s", api.TierSeed}, {"a", api.TierSite}, {"o", api.TierOrigin}}
	for seed := range soak(40, 1000) {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		b := newBooks(t)
		for range 80 {
			i := rng.IntN(b.m.Len())
			switch p := peers[rng.IntN(len(peers))]; rng.IntN(12) {
			case 0:
				b.restart()
				b.check("after a kill")
			case 1:
				if err := b.flush(); err != nil {
					t.Fatal(err)
				}
			case 2:
				b.wasted(b.m.ID(), b.m.Len(), 100)
			case 3: // damage: a store that has lost a chunk is one without it
				lost := mem.New(0)
				if _, err := lost.Begin(b.m); err != nil {
					t.Fatal(err)
				}
				have, err := b.store.Have(b.m.ID())
				if err != nil {
					t.Fatal(err)
				}
				for k := range b.m.Len() {
					if have.Has(k) && k != i {
						if _, err := lost.Put(b.m.ID(), k, b.body[b.m.Offset(k):b.m.Offset(k+1)]); err != nil {
							t.Fatal(err)
						}
					}
				}
				b.store = lost
				b.damaged(b.m.ID(), b.m.Len(), []int{i, -1, 99})
			case 4:
				have, _ := b.store.Have(b.m.ID())
				before := b.check("before it is dropped")
				if err := b.store.Drop(b.m.ID()); err != nil {
					t.Fatal(err)
				}
				b.dropped(b.m, have)
				after := b.check("dropped")
				if len(after.sources) != len(before.sources) || after.heldBytes != before.heldBytes || !after.evicted {
					t.Fatalf("seed %d: dropping it changed where it came from: %+v, was %+v", seed, after, before)
				}
				if _, err := b.store.Begin(b.m); err != nil {
					t.Fatal(err)
				}
			default:
				b.arrive(i, p.id, p.tier)
			}
			b.check("then")
		}
	}
}

func TestSharesNameTheGiversAndDaysAddUp(t *testing.T) {
	b := newBooks(t)
	for i := range b.m.Len() {
		b.arrive(i, []string{"a", "b"}[i%2], api.TierSubnet)
	}
	b.arrive(0, "b", api.TierSubnet) // once more: it was here
	b.wasted(b.m.ID(), b.m.Len(), 77)
	b.sent(b.m.ID(), b.m.Len(), 0, "c", 5)
	for range 2 { // the second time there is nothing new
		if err := b.flush(); err != nil {
			t.Fatal(err)
		}
	}
	b.restart()
	s := b.check("after the restart")
	if len(s.sources) != 2 || s.sources[0].Name[:2] != "n-" || s.sources[0].FirstAt.IsZero() {
		t.Errorf("the givers are %+v", s.sources)
	}
	if want := (api.Bytes{Subnet: b.m.StoredBytes(), Wasted: 77, Duplicate: int64(b.m.Chunks[0].StoredBytes)}); s.totals != want || s.sent != 5 {
		t.Errorf("the totals are %+v, want %+v", s.totals, want)
	}
	rows, err := b.db.Traffic("2026-11-25", "2026-11-25")
	if err != nil || len(rows) != 4 {
		t.Fatalf("booked: %+v, %v", rows, err)
	}
	for _, r := range rows {
		want := map[string]int64{api.TierSubnet: b.m.StoredBytes(), api.TierWasted: 77, api.TierDuplicate: int64(b.m.Chunks[0].StoredBytes), api.TierSent: 5}[r.Tier]
		if r.Bytes != want || r.Update != "u1" || r.Machine != "me" || r.Site != "s" {
			t.Errorf("booked %+v, want %d", r, want)
		}
	}
}

// What comes back after an eviction out of other payloads of the store was given by nobody.
func TestWhatIsFoundAgainAfterAnEvictionHasNoOldGivers(t *testing.T) {
	b := newBooks(t)
	b.arrive(0, "a", api.TierSubnet)
	have, err := b.store.Have(b.m.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.Drop(b.m.ID()); err != nil {
		t.Fatal(err)
	}
	b.dropped(b.m, have)
	if _, err := b.store.Begin(b.m); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Put(b.m.ID(), 0, b.body[:b.m.Offset(1)]); err != nil {
		t.Fatal(err)
	}
	b.found(b.m.ID(), b.m.Len())
	if s := b.check("found again"); len(s.sources) != 1 || s.sources[0].Tier != api.TierStore || s.evicted {
		t.Errorf("the shares are %+v", s.sources)
	}
	b.arrive(1, "b", api.TierSite)
	if s := b.check("and one more came"); len(s.sources) != 2 {
		t.Errorf("the shares are %+v", s.sources)
	}
}

// A book that was damaged in the database costs the names of the givers, not the sums.
func TestDamagedBookBeginsAnew(t *testing.T) {
	for _, body := range []string{"", "{", `{"chunks":9,"by":"AAAA"}`, `{"chunks":1,"by":"//8="}`, `{"chunks":-1}`, `{"chunks":1048577,"by":""}`} {
		b := newBooks(t)
		b.arrive(1, "a", api.TierSubnet)
		if err := b.db.PutValue(bookName(b.m.ID()), []byte(body)); err != nil {
			t.Fatal(err)
		}
		b.restart()
		if s := b.check("with " + body); len(s.sources) != 1 || s.sources[0].Tier != api.TierStore {
			t.Errorf("%q gives %+v", body, s.sources)
		}
	}
}

// What a machine reports is its word: absurd numbers and names book nothing, and reports that come twice,
// late or out of order book once.
func TestReportedTrafficIsBookedOnceAndBounded(t *testing.T) {
	b := newBooks(t)
	s := &seed{db: b.db, now: b.now}
	row := func(bytes api.Bytes, update string) *api.Machine {
		return &api.Machine{ID: "m1", Site: "north", Updates: []api.Update{{Update: update, Bytes: bytes}}}
	}
	for _, r := range []*api.Machine{
		row(api.Bytes{Subnet: 100}, "u1"), row(api.Bytes{Subnet: 100}, "u1"), row(api.Bytes{Subnet: 250, Seed: 50}, "u1"), row(api.Bytes{Subnet: 100}, "u1"),
		{ID: "m1", Site: "north"}, row(api.Bytes{Subnet: 250, Seed: 50}, "u1"), // withdrawn and approved again
		row(api.Bytes{Subnet: -5, Site: 1 << 62, Origin: 1 << 50}, "u1"), row(api.Bytes{Subnet: 7}, "../../etc\n"), row(api.Bytes{Subnet: 7}, ""),
	} {
		s.bookReport(r)
	}
	rows, err := b.db.Traffic("", "9999")
	if err != nil || len(rows) != 2 {
		t.Fatalf("booked %+v, %v", rows, err)
	}
	for _, r := range rows {
		if want := map[string]int64{api.TierSubnet: 250, api.TierSeed: 50}[r.Tier]; r.Bytes != want || r.Site != "north" {
			t.Errorf("booked %+v, want %d", r, want)
		}
	}
}
