package receipt

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"patchmesh/content"
)

// Book is what has moved and is not signed for: what came, by sender, and what was given, by receiver. All
// methods are safe for concurrent use, and a nil Book takes nothing down.
type Book struct {
	writing sync.Mutex // around a change of what is kept and the transaction that makes it durable

	mu    sync.Mutex
	in    map[string][]*batch              // by sender, the oldest first
	out   map[string]map[content.ID]*given // by receiver
	dirty map[string]bool                  // names of values that have changed
}

// batch becomes one receipt.
type batch struct {
	FirstAt time.Time  `json:"first_at"`
	LastAt  time.Time  `json:"last_at"`
	Lines   []lineBook `json:"lines"`

	sets int // bytes of all sets
}

// lineBook is a line that still grows.
type lineBook struct {
	Line
	bits *content.Bits
}

// given is what a receiver was given of one payload: a chunk is in as many layers as it was given times.
type given struct {
	Chunks int       `json:"chunks"`
	Layers []layer   `json:"layers"`
	LastAt time.Time `json:"last_at"`
}

type layer struct {
	Set   []byte `json:"set"`
	Bytes int64  `json:"bytes"`

	bits *content.Bits
}

// Limits of a book. What is beyond them is not booked: the other side's receipt is then denied, and listed.
const (
	maxReceivers   = 4096
	maxGivenOf     = 256 // payloads of one receiver
	maxLayers      = 8
	maxValueBytes  = 3 << 20
	inPrefix       = "receipts.in."
	outPrefix      = "receipts.out."
	ValuesOfBook   = "receipts." // names of the values of a book begin so
	maxBatches     = 64          // of one sender; the newest is not booked any more beyond
	maxBatchesMade = 16          // receipts that are made in one transaction
)

// NewBook reads what an earlier run has kept, by the names that Write gave. What cannot be read is left out: it
// claims nothing.
func NewBook(values map[string][]byte) *Book {
	b := &Book{in: map[string][]*batch{}, out: map[string]map[content.ID]*given{}, dirty: map[string]bool{}}
	for name, body := range values {
		if sender, ok := strings.CutPrefix(name, inPrefix); ok {
			b.loadIn(sender, body)
		} else if receiver, ok := strings.CutPrefix(name, outPrefix); ok {
			b.loadOut(receiver, body)
		}
	}
	return b
}

func (b *Book) loadIn(sender string, body []byte) {
	var all []*batch
	if json.Unmarshal(body, &all) != nil {
		return
	}
	for _, k := range all {
		good := k != nil && len(k.Lines) > 0 && len(k.Lines) <= MaxLines
		for i := 0; good && i < len(k.Lines); i++ {
			l := &k.Lines[i]
			bits, err := readSet(l.Chunks, l.Set, l.Bytes)
			k.sets, l.bits, good = k.sets+len(l.Set), bits, err == nil
		}
		if good {
			b.in[sender] = append(b.in[sender], k)
		}
	}
}

func (b *Book) loadOut(receiver string, body []byte) {
	all := map[content.ID]*given{}
	if json.Unmarshal(body, &all) != nil {
		return
	}
	for id, g := range all {
		good := g != nil && len(g.Layers) <= maxLayers
		for i := 0; good && i < len(g.Layers); i++ {
			bits, err := content.BitsFromBytes(g.Chunks, g.Layers[i].Set)
			g.Layers[i].bits, good = bits, err == nil
		}
		if !good {
			delete(all, id)
		}
	}
	if len(all) > 0 {
		b.out[receiver] = all
	}
}

// Arrived books a chunk that was verified and stored, or was here already (not fresh). sender is empty where
// nobody can sign.
func (b *Book) Arrived(sender, tier string, payload content.ID, chunks, index, bytes int, fresh bool, at time.Time) {
	if b == nil {
		return
	}
	at = at.UTC().Round(0)
	b.mu.Lock()
	defer b.mu.Unlock()
	k, l := b.lineFor(sender, tier, payload, chunks, index, at)
	if l == nil {
		return
	}
	l.bits.Set(index)
	l.Bytes += int64(bytes)
	if !fresh {
		l.Twice += int64(bytes)
	}
	if at.After(k.LastAt) {
		k.LastAt = at
	}
	b.dirty[inPrefix+sender] = true
}

// lineFor finds the line that a chunk goes to, or begins one; nil if there are too many.
func (b *Book) lineFor(sender, tier string, payload content.ID, chunks, index int, at time.Time) (*batch, *lineBook) {
	if index < 0 || index >= chunks || chunks > content.MaxChunks {
		return nil, nil
	}
	all := b.in[sender]
	if n := len(all); n > 0 {
		k := all[n-1]
		for i := range k.Lines {
			if l := &k.Lines[i]; l.Payload == payload && l.Tier == tier && l.Chunks == chunks && !l.bits.Has(index) {
				return k, l
			}
		}
	}
	size := (chunks + 7) / 8
	if n := len(all); n == 0 || len(all[n-1].Lines) >= MaxLines || all[n-1].sets+size > MaxSetBytes {
		if n >= maxBatches {
			return nil, nil
		}
		all = append(all, &batch{FirstAt: at, LastAt: at})
		b.in[sender] = all
	}
	k := all[len(all)-1]
	k.Lines = append(k.Lines, lineBook{Line: Line{Payload: payload, Chunks: chunks, Tier: tier}, bits: content.NewBits(chunks)})
	k.sets += size
	return k, &k.Lines[len(k.Lines)-1]
}

// Gave books a chunk that was sent to a machine.
func (b *Book) Gave(receiver string, payload content.ID, chunks, index, bytes int, at time.Time) {
	if b == nil || receiver == "" || index < 0 || index >= chunks || chunks > content.MaxChunks {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.out[receiver]
	if all == nil {
		if len(b.out) >= maxReceivers {
			return
		}
		all = map[content.ID]*given{}
		b.out[receiver] = all
	}
	g := all[payload]
	if g == nil || g.Chunks != chunks {
		if g == nil && len(all) >= maxGivenOf {
			return
		}
		g = &given{Chunks: chunks}
		all[payload] = g
	}
	g.add(index, int64(bytes))
	g.LastAt = at.UTC().Round(0)
	b.dirty[outPrefix+receiver] = true
}

func (g *given) add(index int, bytes int64) {
	for i := range g.Layers {
		if l := &g.Layers[i]; l.bits.Set(index) {
			l.Bytes += bytes
			return
		}
	}
	if len(g.Layers) < maxLayers {
		l := layer{bits: content.NewBits(g.Chunks), Bytes: bytes}
		l.bits.Set(index)
		g.Layers = append(g.Layers, l)
	}
}

// take removes one giving of a chunk; false if there is none.
func (g *given) take(index int, bytes int64) bool {
	for i := len(g.Layers) - 1; i >= 0; i-- {
		l := &g.Layers[i]
		if !l.bits.Has(index) {
			continue
		}
		l.bits.Clear(index)
		if l.Bytes -= bytes; l.bits.Count() == 0 {
			g.Layers = slices.Delete(g.Layers, i, i+1)
		}
		return true
	}
	return false
}

// Sizes gives the bytes of a chunk of a payload; false if that is not known.
type Sizes func(payload content.ID, index int) (int64, bool)

// share is the bytes of a part of a set, exactly where the sizes are known, and in proportion else.
func share(part *content.Bits, payload content.ID, whole int, wholeBytes int64, sizes Sizes) int64 {
	if part.Count() == whole {
		return wholeBytes
	}
	var sum int64
	known := sizes != nil
	each(part, func(i int) {
		if known {
			var n int64
			if n, known = sizes(payload, i); known {
				sum += n
			}
		}
	})
	if !known {
		sum = max(int64(part.Count()), wholeBytes*int64(part.Count())/int64(max(whole, 1)))
	}
	return min(sum, wholeBytes)
}

// chunkBytes is share for one chunk of a line.
func chunkBytes(l Line, whole, index int, sizes Sizes) int64 {
	if sizes != nil {
		if n, known := sizes(l.Payload, index); known {
			return n
		}
	}
	return max(1, l.Bytes/int64(max(whole, 1)))
}

// Settle takes out of the book what a receipt claims, and names what is not in it.
func (b *Book) Settle(r *Receipt, sizes Sizes) []Denied {
	b.mu.Lock()
	defer b.mu.Unlock()
	var denied []Denied
	for i, l := range r.Lines {
		g := b.out[r.Receiver][l.Payload]
		if g != nil && g.Chunks != l.Chunks {
			g = nil
		}
		bits, missing := l.bits(), content.NewBits(l.Chunks)
		each(bits, func(k int) {
			if g == nil || !g.take(k, chunkBytes(l, bits.Count(), k, sizes)) {
				missing.Set(k)
			}
		})
		if missing.Count() > 0 {
			denied = append(denied, Denied{Line: i, Set: missing.Bytes(), Bytes: share(missing, l.Payload, bits.Count(), l.Bytes, sizes)})
		}
		if g != nil && len(g.Layers) == 0 {
			delete(b.out[r.Receiver], l.Payload)
		}
	}
	if len(b.out[r.Receiver]) == 0 {
		delete(b.out, r.Receiver)
	}
	b.dirty[outPrefix+r.Receiver] = true
	return denied
}

// Denies says what Settle would, and changes nothing.
func (b *Book) Denies(r *Receipt) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := map[content.ID]map[int]int{}
	for _, l := range r.Lines {
		g := b.out[r.Receiver][l.Payload]
		if taken[l.Payload] == nil {
			taken[l.Payload] = map[int]int{}
		}
		denied := g == nil || g.Chunks != l.Chunks
		each(l.bits(), func(k int) {
			if denied {
				return
			}
			taken[l.Payload][k]++
			have := 0
			for _, y := range g.Layers {
				if y.bits.Has(k) {
					have++
				}
			}
			denied = have < taken[l.Payload][k]
		})
		if denied {
			return true
		}
	}
	return false
}

// Restore gives back what Settle has taken, where the answer could not be kept.
func (b *Book) Restore(r *Receipt, denied []Denied, sizes Sizes, at time.Time) {
	for i, l := range r.Lines {
		bits := l.bits()
		for _, d := range denied {
			if d.Line == i {
				each(mustBits(l.Chunks, d.Set), bits.Clear)
			}
		}
		whole := l.bits().Count()
		each(bits, func(k int) { b.Gave(r.Receiver, l.Payload, l.Chunks, k, int(chunkBytes(l, whole, k, sizes)), at) })
	}
}

// Due are the senders of which something came and then nothing for a while, or that have a batch of that age.
// Zero times: all of them.
func (b *Book) Due(now time.Time, idle, age time.Duration) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for sender, all := range b.in {
		if len(all) > 1 || len(all) == 1 && (now.Sub(all[0].LastAt).Abs() >= idle || now.Sub(all[0].FirstAt).Abs() >= age) {
			out = append(out, sender)
		}
	}
	slices.Sort(out)
	return out
}

// Close takes what came from a sender out of the book, as receipts without a number.
func (b *Book) Close(receiver, sender string) []*Receipt {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*Receipt
	for _, k := range b.in[sender][:min(len(b.in[sender]), maxBatchesMade)] {
		r := &Receipt{Receiver: receiver, Sender: sender, FirstAt: k.FirstAt, LastAt: k.LastAt}
		for _, l := range k.Lines {
			l.Set = l.bits.Bytes()
			r.Lines = append(r.Lines, l.Line)
		}
		out = append(out, r)
	}
	b.in[sender] = b.in[sender][len(out):]
	if len(b.in[sender]) == 0 {
		delete(b.in, sender)
	}
	b.dirty[inPrefix+sender] = true
	return out
}

// Reopen gives back what Close has taken, where the receipts could not be kept.
func (b *Book) Reopen(sender string, closed []*Receipt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var back []*batch
	for _, r := range closed {
		k := &batch{FirstAt: r.FirstAt, LastAt: r.LastAt}
		for _, l := range r.Lines {
			k.Lines = append(k.Lines, lineBook{l, l.bits()})
			k.sets += len(l.Set)
		}
		back = append(back, k)
	}
	b.in[sender] = append(back, b.in[sender]...)
}

// Receivers are those that were given something there is no receipt for, a while ago.
func (b *Book) Receivers(before time.Time) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for id, all := range b.out {
		for _, g := range all {
			if !g.LastAt.After(before) {
				out = append(out, id)
				break
			}
		}
	}
	slices.Sort(out)
	return out
}

// Given states what the book says was given, the longest ago first, as much as a statement holds.
func (b *Book) Given(machine string, at time.Time) *Given {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := &Given{Machine: machine, At: at.UTC().Round(0), Lines: []GivenSet{}}
	for receiver, all := range b.out {
		if receiver == machine {
			continue
		}
		for id, k := range all {
			for _, l := range k.Layers {
				g.Lines = append(g.Lines, GivenSet{Receiver: receiver, Payload: id, Chunks: k.Chunks, Set: l.bits.Bytes(), Bytes: max(l.Bytes, int64(l.bits.Count())), LastAt: k.LastAt})
			}
		}
	}
	slices.SortStableFunc(g.Lines, func(a, b GivenSet) int {
		return cmp.Or(a.LastAt.Compare(b.LastAt), strings.Compare(a.Receiver, b.Receiver), a.Payload.Compare(b.Payload))
	})
	size := 0
	for i, l := range g.Lines {
		if size += len(l.Set); size > MaxSetBytes || i >= MaxGivens {
			g.Lines = g.Lines[:i]
			break
		}
	}
	return g
}

// Write makes durable what has changed. change, if not nil, changes the book first; write gets the values by name
// (nil: there is none any more) and returns when they are kept. Nothing else writes meanwhile: an older state
// never replaces a newer one.
func (b *Book) Write(change func(), write func(values map[string][]byte) error) error {
	if b == nil {
		return write(nil)
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	if change != nil {
		change()
	}
	b.mu.Lock()
	names := b.dirty
	b.dirty = map[string]bool{}
	values := map[string][]byte{}
	for name := range names {
		values[name] = b.encode(name)
	}
	b.mu.Unlock()
	err := write(values)
	if err != nil {
		b.mu.Lock()
		maps.Copy(b.dirty, names)
		b.mu.Unlock()
	}
	return err
}

// encode writes one value; nil if there is nothing. The caller holds mu.
func (b *Book) encode(name string) []byte {
	var doc any
	if sender, ok := strings.CutPrefix(name, inPrefix); ok {
		all := b.in[sender]
		if len(all) == 0 {
			return nil
		}
		for _, k := range all {
			for i := range k.Lines {
				k.Lines[i].Set = k.Lines[i].bits.Bytes()
			}
		}
		doc = all
	} else {
		all := b.out[strings.TrimPrefix(name, outPrefix)]
		if len(all) == 0 {
			return nil
		}
		for _, g := range all {
			for i := range g.Layers {
				g.Layers[i].Set = g.Layers[i].bits.Bytes()
			}
		}
		doc = all
	}
	body, err := json.Marshal(doc)
	if err != nil || len(body) > maxValueBytes {
		return nil // forgotten by a kill rather than in the way of everything else that is written with it
	}
	return body
}

// String is for logs.
func (k Key) String() string { return fmt.Sprintf("%s from %s, number %d", k.Owner, k.Peer, k.Seq) }
