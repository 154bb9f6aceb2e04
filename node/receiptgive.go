package node

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/receipt"
	"patchmesh/node/state"
)

// This file is what this machine hands over of receipts.

// giveOwed lists receipts for the machine that asks, which it has not signed.
func (r *receipts) giveOwed(to string, after uint64) ([]byte, error) {
	rows, err := r.db.ReceiptsOf(r.id, to, after, false, maxAnsweredAtOnce)
	if err != nil {
		return nil, err
	}
	return packRows(rows, 0)
}

// giveSigned lists the receipts of the machine that asks, which this one has signed.
func (r *receipts) giveSigned(to string, after uint64) ([]byte, error) {
	rows, err := r.db.ReceiptsOf(to, r.id, after, true, maxAnsweredAtOnce)
	if err != nil {
		return nil, err
	}
	return packRows(rows, 0)
}

// giveHeld lists what is kept after a place in the list. A place beyond its end is one of an older database: then
// the end is said. lean holds back what will soon be replaced by its signed form: every byte of it crosses the WAN.
func (r *receipts) giveHeld(after int64, lean bool) ([]byte, error) {
	if r.bringUp() {
		if err := errors.Join(r.close(time.Second, receiptAge), r.state()); err != nil {
			return nil, err
		}
	}
	rows, err := r.db.ReceiptsAfter(after, 512)
	if err != nil {
		return nil, err
	}
	if lean {
		young := r.now().Add(-api.LedgerSettleMinutes * time.Minute)
		if i := slices.IndexFunc(rows, func(w state.ReceiptRow) bool { return !w.Settled && w.At.After(young) }); i >= 0 {
			rows = rows[:i]
		}
	}
	if len(rows) == 0 {
		last, err := r.db.LastReceiptRow()
		if err != nil {
			return nil, err
		}
		after = min(after, last)
	}
	return packRows(rows, after)
}

// bringUp says whether what is given is brought up to date before: each time waits for the disk, as everybody else
// who writes then does, and one that asks without end must not keep this machine busy.
func (r *receipts) bringUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if now.Sub(r.broughtUp).Abs() < receiptFresh {
		return false
	}
	r.broughtUp = now
	return true
}

// packRows packs as many rows as there is room for.
func packRows(rows []state.ReceiptRow, next int64) ([]byte, error) {
	p, size := receipt.Pack{Next: next}, 256
	for _, row := range rows {
		if size += receipt.Room(row.Body); size > receipt.MaxPackBytes {
			break
		}
		p.Records, p.Next = append(p.Records, row.Body), row.N
	}
	return p.Encode()
}

// state signs what was given and has no receipt, where that has changed.
func (r *receipts) state() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	g := r.book.Given(r.id, now)
	lines, err := json.Marshal(g.Lines)
	if err != nil || string(lines) == string(r.given) {
		return err
	}
	old, err := r.find(receipt.Key{Owner: r.id})
	if err != nil {
		return err
	}
	if old == nil && len(g.Lines) == 0 {
		return nil
	}
	if old != nil && !g.At.After(old.Given.At) {
		g.At = old.Given.At.Add(time.Millisecond)
	}
	k, err := g.Sign(r.key)
	if err != nil {
		return err
	}
	if err := r.keep([]*receipt.Record{k}, nil); err != nil {
		return err
	}
	r.given = lines
	return nil
}

// all reads the records that are kept: statements, or receipts in the order of their keys.
func (r *receipts) all(given bool, each func(*receipt.Record) error) error {
	var last state.ReceiptRow
	for {
		rows, err := r.db.ReceiptsByKey(last, given, 512)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, last = range rows {
			k, err := receipt.Read(last.Body)
			if err != nil || (k.Given != nil) != given {
				continue
			}
			if err := each(k); err != nil {
				return err
			}
		}
	}
}

// packs gives everything that is kept, for a medium.
func (r *receipts) packs() ([][]byte, error) {
	if err := errors.Join(r.close(0, 0), r.state()); err != nil {
		return nil, err
	}
	var out [][]byte
	for n := int64(0); len(out) < maxReceiptPacks; {
		rows, err := r.db.ReceiptsAfter(n, 512)
		if err != nil || len(rows) == 0 {
			return out, err
		}
		b, err := packRows(rows, n)
		if err != nil {
			return nil, err
		}
		p, err := receipt.DecodePack(b)
		if err != nil {
			return nil, err
		}
		if p.Next == n {
			return out, nil
		}
		n, out = p.Next, append(out, b)
	}
	return out, nil
}

// maxReceiptPacks bounds the packs on one medium: those of the records that a machine keeps.
const maxReceiptPacks = 256
