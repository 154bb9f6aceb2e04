package node

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/receipt"
	"patchmesh/node/state"
)

// ledger is where the bytes on this machine came from: a source for every chunk, totals for every
// payload, and a table of days. It is kept here and not in the core, since nothing is decided by it.
//
// A source is remembered by chunk, so that shares sum up to what is held whatever happens meanwhile: a
// chunk that is here without one (written just before a kill) counts as found in the store, and one that
// was lost to damage counts for whoever brings it again.
type ledger struct {
	db   *state.DB
	self string
	site string
	now  func() time.Time
	name func(content.ID) string // the update of a payload

	receipts *receipt.Book // what is to be signed for; nil: nothing

	mu    sync.Mutex
	books map[content.ID]*book
	days  map[state.TrafficRow]int64 // not written yet; Bytes is zero in the keys
}

// book is one payload. Its JSON form is kept under bookName.
type book struct {
	Update  string       `json:"update,omitempty"` // the last one known to bring it
	Sources []bookSource `json:"sources"`
	Chunks  int          `json:"chunks"`
	Packed  []byte       `json:"by"` // two bytes for each chunk: 1 + index into Sources, 0: nobody known
	Totals  api.Bytes    `json:"totals"`
	Sent    int64        `json:"sent"`
	Over    bool         `json:"over,omitempty"`  // it was evicted: the next chunk begins anew
	Final   []api.Source `json:"final,omitempty"` // the shares when it was
	WholeAt time.Time    `json:"whole_at,omitzero"`

	by    []uint16
	dirty bool
}

type bookSource struct {
	Peer    string    `json:"peer"`
	Name    string    `json:"name,omitempty"`
	Tier    string    `json:"tier"`
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
}

// maxSources bounds the sources of one payload; later ones count for the last of the same tier.
const maxSources = 4096

func bookName(id content.ID) string { return "provenance." + id.String() }

func newLedger(n *Node) *ledger {
	return &ledger{
		db: n.db, self: n.id, site: n.member.Site, now: n.cfg.Now, name: n.updateOfPayload,
		books: map[content.ID]*book{}, days: map[state.TrafficRow]int64{},
	}
}

// book finds or begins the book of a payload of so many chunks. The caller holds mu.
func (l *ledger) book(id content.ID, chunks int) *book {
	b := l.books[id]
	if b == nil {
		b = l.load(id)
		l.books[id] = b
	}
	if b.Chunks != chunks {
		b.Chunks, b.Sources, b.by = chunks, nil, make([]uint16, chunks)
	}
	return b
}

// load reads a book. One that cannot be read is begun anew: the bytes then count as found in the store.
func (l *ledger) load(id content.ID) *book {
	body, err := l.db.Value(bookName(id))
	b := &book{}
	if err != nil || json.Unmarshal(body, b) != nil || len(b.Packed) != 2*b.Chunks || b.Chunks > content.MaxChunks {
		return &book{}
	}
	b.by = make([]uint16, b.Chunks)
	for i := range b.by {
		if b.by[i] = binary.LittleEndian.Uint16(b.Packed[2*i:]); int(b.by[i]) > len(b.Sources) {
			return &book{}
		}
	}
	b.Packed = nil
	return b
}

// arrived books a chunk that was verified and stored (fresh), or was here already.
func (l *ledger) arrived(id content.ID, chunks, index int, from contact, bytes int, fresh bool) {
	l.receipts.Arrived(signerOf(from), from.tier, id, chunks, index, bytes, fresh, l.now())
	l.mu.Lock()
	defer l.mu.Unlock()
	b, tier := l.book(id, chunks), from.booked()
	b.dirty = true
	if !fresh {
		b.Totals.Duplicate += int64(bytes)
		l.day(id, api.TierDuplicate, bytes)
		return
	}
	b.again(chunks)
	now := l.now().UTC()
	i := slices.IndexFunc(b.Sources, func(s bookSource) bool { return s.Peer == from.ID && s.Tier == tier })
	if i < 0 && len(b.Sources) < maxSources {
		b.Sources = append(b.Sources, bookSource{Peer: from.ID, Name: from.Name, Tier: tier, FirstAt: now})
		i = len(b.Sources) - 1
	} else if i < 0 {
		i = max(0, slices.IndexFunc(b.Sources, func(s bookSource) bool { return s.Tier == tier }))
	}
	b.Sources[i].LastAt = now
	b.by[index] = uint16(i + 1)
	b.Totals.Add(tier, int64(bytes))
	l.day(id, tier, bytes)
}

// found says that chunks were found in this store: they have no giver.
func (l *ledger) found(id content.ID, chunks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.book(id, chunks).again(chunks)
}

// again begins the shares of a payload anew that was evicted and comes once more.
func (b *book) again(chunks int) {
	if b.Over {
		b.Over, b.Final, b.Sources, b.by, b.WholeAt = false, nil, nil, make([]uint16, chunks), time.Time{}
		b.dirty = true
	}
}

// wasted books bytes that did not match.
func (l *ledger) wasted(id content.ID, chunks, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.book(id, chunks)
	b.dirty = true
	b.Totals.Wasted += int64(bytes)
	l.day(id, api.TierWasted, bytes)
}

// sent books a chunk that was given to another machine.
func (l *ledger) sent(id content.ID, chunks, index int, to string, bytes int) {
	l.receipts.Gave(to, id, chunks, index, bytes, l.now())
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.book(id, chunks)
	b.dirty = true
	b.Sent += int64(bytes)
	l.day(id, api.TierSent, bytes)
}

// whole notes when the payload was complete.
func (l *ledger) whole(id content.ID, chunks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.book(id, chunks)
	b.WholeAt, b.dirty = l.now().UTC(), true
}

// damaged: chunks were put aside; whoever brings them again is their source.
func (l *ledger) damaged(id content.ID, chunks int, indexes []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.book(id, chunks)
	b.dirty = true
	for _, i := range indexes {
		if i >= 0 && i < len(b.by) {
			b.by[i] = 0
		}
	}
}

// dropped: the payload is gone from the store, which had these chunks of it. What was installed from it still
// came from somewhere, so the shares stay until the payload comes again.
func (l *ledger) dropped(m *content.PayloadMap, held *content.Bits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.book(m.ID(), m.Len())
	b.Final = b.shares(m, held)
	b.Over, b.dirty = true, true
}

func (l *ledger) day(id content.ID, tier string, bytes int) {
	l.days[state.TrafficRow{Day: dayOf(l.now()), Machine: l.self, Site: l.site, Update: id.String(), Tier: tier}] += int64(bytes)
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// flush writes what has changed. What cannot be written stays and is tried again.
func (l *ledger) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	values := map[string][]byte{}
	var written []*book
	for id, b := range l.books {
		if !b.dirty {
			continue
		}
		if u := l.name(id); u != "" {
			b.Update = u
		}
		b.Packed = make([]byte, 2*len(b.by))
		for i, s := range b.by {
			binary.LittleEndian.PutUint16(b.Packed[2*i:], s)
		}
		body, err := json.Marshal(b)
		b.Packed = nil
		if err != nil {
			return err
		}
		values[bookName(id)] = body
		written = append(written, b)
	}
	var rows []state.TrafficRow
	for r, bytes := range l.days {
		if id, err := content.ParseID(r.Update); err == nil {
			if r.Update = l.name(id); r.Update == "" {
				r.Update = l.books[id].Update
			}
		}
		r.Bytes = bytes
		rows = append(rows, r)
	}
	err := l.receipts.Write(nil, func(unsigned map[string][]byte) error {
		maps.Copy(values, unsigned)
		if len(values)+len(rows) == 0 {
			return nil
		}
		return l.db.AddTraffic(rows, values)
	})
	if err != nil {
		return err
	}
	clear(l.days)
	for _, b := range written {
		b.dirty = false
	}
	return nil
}

// updateOf is the update that last brought a payload, as far as it is known here; approvals may have
// forgotten it.
func (l *ledger) updateOf(m *content.PayloadMap) string {
	if u := l.name(m.ID()); u != "" {
		return u
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book(m.ID(), m.Len()).Update
}

// shares is the account of one payload.
type shares struct {
	sources   []api.Source
	totals    api.Bytes
	sent      int64
	heldBytes int64
	evicted   bool
	wholeAt   time.Time
}

// shares compares the book of a payload with what the store has of it: every chunk that is there has a
// source, be it the store itself, and no other one counts. The shares of one that was evicted are those of then.
func (l *ledger) shares(id content.ID, store payloadStore) (shares, error) {
	m, err := store.Map(id)
	var held *content.Bits
	if err == nil {
		held, err = store.Have(id)
	}
	gone := errors.Is(err, content.ErrNotFound)
	if err != nil && !gone {
		return shares{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[id]
	if b == nil {
		b = l.load(id)
		l.books[id] = b
	}
	out := shares{evicted: gone && b.Over, sources: b.Final}
	if !gone {
		out.sources = l.book(id, m.Len()).shares(m, held)
	}
	out.totals, out.sent, out.wholeAt = b.Totals, b.Sent, b.WholeAt
	for _, s := range out.sources {
		out.heldBytes += s.Bytes
		if s.Tier == api.TierStore {
			out.totals.Store = s.Bytes
		}
	}
	return out, nil
}

// payloadStore is what shares asks of the store.
type payloadStore interface {
	Map(content.ID) (*content.PayloadMap, error)
	Have(content.ID) (*content.Bits, error)
}

// shares sums up by source the chunks that are held, the largest share first.
func (b *book) shares(m *content.PayloadMap, held *content.Bits) []api.Source {
	sums := make([]api.Source, len(b.Sources)+1)
	for i := range m.Len() {
		if held.Has(i) {
			s := &sums[b.by[i]]
			s.Bytes += int64(m.Chunks[i].StoredBytes)
			s.Chunks++
		}
	}
	var out []api.Source
	for i, s := range sums {
		switch {
		case s.Chunks == 0:
			continue
		case i == 0:
			s.Tier = api.TierStore
		default:
			k := b.Sources[i-1]
			s.Peer, s.Name, s.Tier, s.FirstAt, s.LastAt = k.Peer, k.Name, k.Tier, k.FirstAt, k.LastAt
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b api.Source) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return out
}
