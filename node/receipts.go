package node

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/node/receipt"
	"patchmesh/node/state"
)

// receipts is this machine's part in who signed for which bytes (package receipt): it makes receipts of what
// came, signs those of others by the own book, and keeps both kinds and what others hand over. It works on the
// database, so that the data folder of a stopped node will do.
type receipts struct {
	db        *state.DB
	key       ed25519.PrivateKey
	id        string
	docs      *library
	now       func() time.Time
	startedAt time.Time
	book      *receipt.Book
	total     int // records that are kept of all machines
	// judge says whether what a machine signed counts here, and what is known of it.
	judge func(id string) (receipt.Machine, error)

	// doubt is for how long a sender waits for its own books before it denies a chunk: the chunk may have arrived
	// before the sender has noted that it went out.
	doubt time.Duration

	mu     sync.Mutex // one change of what is kept at a time
	doubts map[receipt.Key]time.Time
	faces  map[string]receipt.Machine // names and sites of machines, of when their records came
	given  []byte                     // lines of the last statement, as they were signed

	broughtUp time.Time // for somebody who asked for all

	nudged sync.Map // peers, by ID, that wait for a signature
}

// Limits and times of receipts.
const (
	keptReceiptsHere = 1 << 14
	keptReceiptsSeed = 1 << 18
	maxFaces         = 1 << 15
	facesKey         = "receipt-machines"
	// maxAnsweredAtOnce bounds what one question for a signature may cost: each answer is written to disk.
	maxAnsweredAtOnce = 64
	receiptDoubt      = 2 * time.Second
	receiptFresh      = time.Second // how old what is given to somebody who asks for all may be
)

// newReceipts opens the books. judge may be nil: then nothing is taken from others.
func newReceipts(db *state.DB, key ed25519.PrivateKey, id string, docs *library, now func() time.Time, seed bool) *receipts {
	values, err := db.Values(receipt.ValuesOfBook)
	if err != nil {
		values = nil // a book that cannot be read begins anew: it claims nothing
	}
	r := &receipts{db: db, key: key, id: id, docs: docs, now: now, startedAt: now().UTC(), book: receipt.NewBook(values), total: keptReceiptsHere, doubt: receiptDoubt,
		doubts: map[receipt.Key]time.Time{}, faces: map[string]receipt.Machine{}}
	if seed {
		r.total = keptReceiptsSeed
	}
	if b, err := db.Value(facesKey); err == nil {
		_ = json.Unmarshal(b, &r.faces) // names, nothing more
	}
	return r
}

// sizes gives the bytes of a chunk where the payload's map is at hand.
func (r *receipts) sizes(payload content.ID, index int) (int64, bool) {
	m, err := r.docs.payloadMap(payload)
	if err != nil || index < 0 || index >= m.Len() {
		return 0, false
	}
	return int64(m.Chunks[index].StoredBytes), true
}

// close makes receipts of what came and is due: nothing came from that sender for a while, or the first of it
// is old. Zero times: of everything. All of them are one transaction: a payload has many givers, and each
// transaction waits for the disk.
func (r *receipts) close(idle, age time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := r.book.Due(r.now(), idle, age)
	if len(due) == 0 {
		return nil
	}
	closed := map[string][]*receipt.Receipt{}
	err := r.book.Write(func() {
		for _, sender := range due {
			closed[sender] = r.book.Close(r.id, sender)
		}
	}, func(values map[string][]byte) error {
		var rows []state.ReceiptRow
		for _, sender := range due {
			own, err := r.number(sender, closed[sender])
			if err != nil {
				return err
			}
			rows = append(rows, own...)
		}
		r.meet(values, due...)
		return r.db.PutReceipts(rows, values, r.total)
	})
	if err == nil {
		return nil
	}
	for sender, list := range closed {
		r.book.Reopen(sender, list)
	}
	return fmt.Errorf("make receipts: %w", err)
}

// number gives receipts for one sender the next numbers and signs them.
func (r *receipts) number(sender string, list []*receipt.Receipt) ([]state.ReceiptRow, error) {
	last, err := r.db.LastReceipt(r.id, sender)
	if err != nil {
		return nil, err
	}
	var rows []state.ReceiptRow
	for _, c := range list {
		// The number is the time in milliseconds: it grows even if the database is one of an older backup.
		last = max(last+1, uint64(max(r.now().UnixMilli(), 1)))
		c.Seq = last
		signed, err := c.Sign(r.key)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r.row(signed))
	}
	return rows, nil
}

// row is how a record is kept. A clock that is ahead does not keep it for longer.
func (r *receipts) row(k *receipt.Record) state.ReceiptRow {
	key, at := k.Key(), k.At()
	if now := r.now(); at.After(now) {
		at = now
	}
	return state.ReceiptRow{Owner: key.Owner, Peer: key.Peer, Seq: key.Seq, At: at, Settled: k.Settled(), Body: k.Raw}
}

// meet remembers what is known of machines, with the records that name them.
func (r *receipts) meet(values map[string][]byte, ids ...string) {
	if r.judge == nil || len(r.faces) >= maxFaces {
		return
	}
	changed := false
	for _, id := range ids {
		m, err := r.judge(id)
		if err == nil && m != r.faces[id] && m.Name != "" {
			r.faces[id], changed = m, true
		}
	}
	if !changed || values == nil {
		return
	}
	if b, err := json.Marshal(r.faces); err == nil && len(b) < receipt.MaxPackBytes {
		values[facesKey] = b
	}
}

// face is what is known of a machine, now or from when its records came. One that was locked out is nobody.
func (r *receipts) face(id string) (receipt.Machine, bool) {
	if r.judge != nil {
		m, err := r.judge(id)
		if err == nil && m.Name != "" {
			return m, true
		}
		if errors.Is(err, errRevoked) {
			return m, false
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.faces[id]
	return m, ok
}

// open checks a record from outside, and its lines by the payloads that are known here.
func (r *receipts) open(raw []byte) (*receipt.Record, error) {
	k, err := receipt.Open(raw, keys.PublicKey, r.now())
	if err != nil {
		return nil, err
	}
	if k.Receipt != nil {
		for _, l := range k.Receipt.Lines {
			if err := r.checkSet(l.Payload, l.Chunks, l.Set, l.Bytes); err != nil {
				return nil, err
			}
		}
		return k, nil
	}
	for _, l := range k.Given.Lines {
		if err := r.checkSet(l.Payload, l.Chunks, l.Set, l.Bytes); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func (r *receipts) checkSet(payload content.ID, chunks int, set []byte, bytes int64) error {
	m, err := r.docs.payloadMap(payload)
	if err != nil {
		return nil // approvals have forgotten it: the two machines' words have to do
	}
	b, err := content.BitsFromBytes(chunks, set)
	if err != nil || m.Len() != chunks {
		return fmt.Errorf("%w: payload %s has %d chunks", receipt.ErrFormat, payload.Short(), m.Len())
	}
	var sum int64
	for i := range m.Len() {
		if b.Has(i) {
			sum += int64(m.Chunks[i].StoredBytes)
		}
	}
	if sum != bytes {
		return fmt.Errorf("%w: %d bytes of payload %s are claimed to be %d", receipt.ErrFormat, sum, payload.Short(), bytes)
	}
	return nil
}

// takenReceipts says what became of a pack. What nobody here can judge is strange: whoever carries it has done
// nothing wrong, it may know machines that are not known here, or have signed for one of a neighbour site.
type takenReceipts struct {
	fresh, known, refused, strange int
	detail                         string
}

func (t *takenReceipts) refuse(err error) {
	if t.refused++; t.detail == "" {
		t.detail = api.Clean(err.Error())
	}
}

// take keeps records from outside. Each stands on its own: a wrong one costs itself only. The error is of this
// machine: nothing was kept.
func (r *receipts) take(pack *receipt.Pack) (out takenReceipts, err error) {
	var fresh []*receipt.Record
	for _, raw := range pack.Records { // signatures are checked without the lock
		k, err := r.open(raw)
		if err != nil {
			out.refuse(err)
			continue
		}
		if err := r.counts(k); err != nil {
			if out.strange++; out.detail == "" {
				out.detail = api.Clean(err.Error())
			}
			continue
		}
		fresh = append(fresh, k)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	best := map[receipt.Key]*receipt.Record{}
	for _, k := range fresh {
		old, err := r.find(k.Key())
		if err != nil {
			return out, err
		}
		if have := best[k.Key()]; have != nil {
			old = have
		}
		if old != nil && !k.Replaces(old) {
			out.known++
			continue
		}
		best[k.Key()] = k
		out.fresh++
	}
	return out, r.keep(slices.Collect(maps.Values(best)), nil)
}

// counts says why a record does not count here.
func (r *receipts) counts(k *receipt.Record) error {
	if r.judge == nil {
		return errors.New("nothing is known of other machines here")
	}
	owner := k.Key().Owner
	if _, err := r.judge(owner); err != nil {
		return fmt.Errorf("receipt of %s: %w", api.Clean(owner), err)
	}
	return nil
}

// find is the record that is kept under a key; nil if there is none. What is kept was checked when it came.
func (r *receipts) find(key receipt.Key) (*receipt.Record, error) {
	row, err := r.db.Receipt(key.Owner, key.Peer, key.Seq)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k, err := receipt.Read(row.Body)
	if err != nil {
		return nil, nil // damaged on disk: whoever brings it again
	}
	return k, nil
}

func (r *receipts) keep(list []*receipt.Record, values map[string][]byte) error {
	if len(list) == 0 {
		return nil
	}
	if values == nil {
		values = map[string][]byte{}
	}
	var rows []state.ReceiptRow
	for _, k := range list {
		rows = append(rows, r.row(k))
		r.meet(values, k.Key().Owner, k.Key().Peer)
	}
	return r.db.PutReceipts(rows, values, r.total)
}

// sign answers receipts that name this machine as the sender, which the receiver itself has handed over: by the
// book, each number once and in their order. What is denied is asked for once more a moment later.
func (r *receipts) sign(from string, pack *receipt.Pack) (out takenReceipts, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, err := r.lastSigned(from)
	if err != nil {
		return out, err
	}
	for _, raw := range pack.Records[:min(len(pack.Records), maxAnsweredAtOnce)] {
		k, err := r.open(raw)
		if err == nil && (k.Receipt == nil || k.Receipt.Receiver != from || k.Receipt.Sender != r.id || k.Answer != nil) {
			err = fmt.Errorf("%w: it is not about this machine", receipt.ErrFormat)
		}
		if err != nil {
			out.refuse(err)
			continue
		}
		key := k.Key()
		if key.Seq <= last {
			out.known++ // signed before, or made after a later one: it stays as it is
			continue
		}
		if r.book.Denies(k.Receipt) && !r.sure(key) {
			break // and what comes after it waits
		}
		agreed, err := r.answer(k)
		if err != nil {
			return out, err
		}
		delete(r.doubts, key)
		if last = key.Seq; agreed {
			out.fresh++
		}
	}
	return out, nil
}

// sure: there was time for the own books to be written.
func (r *receipts) sure(key receipt.Key) bool {
	now := r.now()
	if at, known := r.doubts[key]; known {
		return now.Sub(at).Abs() >= r.doubt
	}
	if len(r.doubts) >= 1024 {
		clear(r.doubts)
	}
	r.doubts[key] = now
	return false
}

// answer signs one receipt. The answer is kept in the transaction that takes the chunks out of the book: a crash
// before it changes nothing, and after it none of them is signed for again.
func (r *receipts) answer(k *receipt.Record) (agreed bool, err error) {
	var denied []receipt.Denied
	err = r.book.Write(func() { denied = r.book.Settle(k.Receipt, r.sizes) }, func(values map[string][]byte) error {
		signed, err := k.Countersign(r.key, receipt.Answer{At: r.now().UTC(), StartedAt: r.startedAt, Denied: denied})
		if err != nil {
			return err
		}
		values[signedKey(k.Receipt.Receiver)] = []byte(fmt.Sprint(k.Receipt.Seq))
		return r.keep([]*receipt.Record{signed}, values)
	})
	if err != nil {
		r.book.Restore(k.Receipt, denied, r.sizes, r.now())
	}
	return len(denied) == 0, err
}

// signedKey is where the number of the last receipt of a machine that was answered is kept: the record itself may
// have been forgotten since.
func signedKey(receiver string) string { return "receipt-signed." + receiver }

func (r *receipts) lastSigned(receiver string) (uint64, error) {
	var last uint64
	b, err := r.db.Value(signedKey(receiver))
	if err == nil {
		_, err = fmt.Sscan(string(b), &last)
	}
	if errors.Is(err, state.ErrNotFound) {
		return 0, nil
	}
	return last, err
}
