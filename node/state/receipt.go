package state

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limits of what is kept of receipts. The oldest go first, by what they say of themselves: one that comes again
// does not push a newer one out.
const (
	maxReceiptBytes = 1 << 20
	keptReceipts    = 1024    // of one machine
	keptReceiptSum  = 8 << 20 // bytes of one machine
)

// ReceiptBytes is about how much of receipts is read at once: what one message to another machine holds.
const ReceiptBytes = 2 << 20

// ReceiptRow is one signed record: what Owner says about Peer under a number. N grows with every change.
type ReceiptRow struct {
	N           int64
	Owner, Peer string
	Seq         uint64
	At          time.Time
	Settled     bool // nobody has anything to add to it
	Body        []byte
}

// PutReceipts keeps records, each in the place of the one with the same owner, peer and number, and values in the
// same transaction; a nil value is dropped. total bounds the records of all machines together.
func (db *DB) PutReceipts(list []ReceiptRow, values map[string][]byte, total int) error {
	if err := checkReceipts(list, values); err != nil {
		return err
	}
	return db.change("keep receipts", func(tx *sql.Tx) error {
		owners := map[string]bool{}
		for _, r := range list {
			owners[r.Owner] = true
			if _, err := tx.Exec(`DELETE FROM receipts WHERE owner = ? AND peer = ? AND seq = ?`, r.Owner, r.Peer, int64(r.Seq)); err != nil {
				return err
			}
			_, err := tx.Exec(`INSERT INTO receipts(owner, peer, seq, at, settled, body) VALUES (?, ?, ?, ?, ?, ?)`,
				r.Owner, r.Peer, int64(r.Seq), toDB(r.At), r.Settled, notNil(r.Body))
			if err != nil {
				return err
			}
		}
		for owner := range owners {
			_, err := tx.Exec(`DELETE FROM receipts WHERE n IN (SELECT n FROM
				(SELECT n, row_number() OVER newest AS k, sum(length(body)) OVER newest AS bytes FROM receipts WHERE owner = ?
				 WINDOW newest AS (ORDER BY at DESC, n DESC)) WHERE k > ? OR bytes > ?)`, owner, keptReceipts, keptReceiptSum)
			if err != nil {
				return err
			}
		}
		if len(list) > 0 {
			if _, err := tx.Exec(`DELETE FROM receipts WHERE n IN (SELECT n FROM receipts ORDER BY at DESC, n DESC LIMIT -1 OFFSET ?)`, total); err != nil {
				return err
			}
		}
		return putValues(tx, values)
	})
}

func checkReceipts(list []ReceiptRow, values map[string][]byte) error {
	for _, r := range list {
		err := errors.Join(checkMachine(r.Owner, nil), limit("machine", []byte(r.Peer), maxMachineText), limit("receipt of "+r.Owner, r.Body, maxReceiptBytes))
		if err == nil && int64(r.Seq) < 0 {
			err = fmt.Errorf("receipt %d of %s: numbers are below 2^63", r.Seq, r.Owner)
		}
		if err != nil {
			return err
		}
	}
	for name, body := range values {
		if err := errors.Join(limit("value", body, maxValueBytes), limit("name", []byte(name), maxValueName)); err != nil {
			return err
		}
	}
	return nil
}

// putValues keeps values and drops those that are nil.
func putValues(tx *sql.Tx, values map[string][]byte) error {
	for name, body := range values {
		var err error
		if body == nil {
			_, err = tx.Exec(`DELETE FROM settings WHERE name = ?`, name)
		} else {
			_, err = tx.Exec(`INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body`, name, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const receiptColumns = `SELECT n, owner, peer, seq, at, settled, body FROM receipts `

func scanReceipt(r *ReceiptRow, scan func(...any) error) error {
	var seq, at int64
	err := scan(&r.N, &r.Owner, &r.Peer, &seq, &at, &r.Settled, &r.Body)
	r.Seq, r.At = uint64(seq), fromDB(at)
	return err
}

// Receipt is one record. ErrNotFound.
func (db *DB) Receipt(owner, peer string, seq uint64) (*ReceiptRow, error) {
	list, err := rows(db, "read receipt", receiptColumns+`WHERE owner = ? AND peer = ? AND seq = ?`, []any{owner, peer, int64(seq)}, scanReceipt)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("read receipt: %w", ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return &list[0], nil
}

// LastReceipt is the largest number of an owner's records about a peer; 0 if there is none.
func (db *DB) LastReceipt(owner, peer string) (uint64, error) {
	var seq int64
	err := db.row("read receipts", `SELECT coalesce(max(seq), 0) FROM receipts WHERE owner = ? AND peer = ?`, []any{owner, peer}, &seq)
	return uint64(seq), err
}

// ReceiptsOf lists an owner's records about a peer with a number above after, settled or not, in their order, at
// most limit.
func (db *DB) ReceiptsOf(owner, peer string, after uint64, settled bool, limit int) ([]ReceiptRow, error) {
	return rows(db, "read receipts", receiptColumns+`WHERE owner = ? AND peer = ? AND seq > ? AND settled = ? ORDER BY seq LIMIT ?`,
		[]any{owner, peer, int64(min(after, 1<<63-1)), settled, limit}, scanReceipt)
}

// ReceiptsAfter lists what was kept after the record with number n, in that order, at most limit and no more than
// makes ReceiptBytes full: others ask for these lists, many at a time.
func (db *DB) ReceiptsAfter(n int64, limit int) ([]ReceiptRow, error) {
	return rows(db, "read receipts", receiptColumns+`WHERE n IN (SELECT n FROM
		(SELECT n, sum(size) OVER (ORDER BY n) - size AS before FROM (SELECT n, length(body) AS size FROM receipts WHERE n > ? ORDER BY n LIMIT ?))
		WHERE before < ?) ORDER BY n`, []any{n, limit, ReceiptBytes}, scanReceipt)
}

// LastReceiptRow is the N of what was kept last; 0 if there is nothing.
func (db *DB) LastReceiptRow() (n int64, err error) {
	err = db.row("read receipts", `SELECT coalesce(max(n), 0) FROM receipts`, nil, &n)
	return n, err
}

// ReceiptsByKey lists records after another one by owner, peer and number, in that order: those with the number 0,
// or the others. At most limit.
func (db *DB) ReceiptsByKey(after ReceiptRow, zero bool, limit int) ([]ReceiptRow, error) {
	which := "seq > 0"
	if zero {
		which = "seq = 0"
	}
	return rows(db, "read receipts", receiptColumns+`WHERE (owner, peer, seq) > (?, ?, ?) AND `+which+` ORDER BY owner, peer, seq LIMIT ?`,
		[]any{after.Owner, after.Peer, int64(after.Seq), limit}, scanReceipt)
}

// Unsettled gives for every peer the smallest number of an owner's records that wait for the peer's word.
func (db *DB) Unsettled(owner string) (map[string]uint64, error) {
	type wait struct {
		peer string
		seq  int64
	}
	list, err := rows(db, "read receipts", `SELECT peer, min(seq) FROM receipts WHERE owner = ? AND settled = 0 GROUP BY peer`, []any{owner},
		func(w *wait, scan func(...any) error) error { return scan(&w.peer, &w.seq) })
	out := map[string]uint64{}
	for _, w := range list {
		out[w.peer] = uint64(w.seq)
	}
	return out, err
}

// Values lists what PutValue kept under names that begin with prefix, which must not be empty.
func (db *DB) Values(prefix string) (map[string][]byte, error) {
	type value struct {
		name string
		body []byte
	}
	list, err := rows(db, "read values", `SELECT name, body FROM settings WHERE name >= ? AND name < ?`, []any{prefix, prefix + "\U0010FFFF"},
		func(v *value, scan func(...any) error) error { return scan(&v.name, &v.body) })
	out := map[string][]byte{}
	for _, v := range list {
		if strings.HasPrefix(v.name, prefix) {
			out[v.name] = v.body
		}
	}
	return out, err
}
