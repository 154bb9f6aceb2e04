package state

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	maxReportBytes = 12 << 20 // more than a machine sends: a seed carries some over from before
	maxMachineText = 128      // a machine's id
	maxOutboxRows  = 4096
	maxOutboxBytes = 256 << 20
)

// ReportRow is what the seed knows of a machine from its reports. Body is nil, Seq 0 and At zero for
// a machine that was in contact but has not reported.
type ReportRow struct {
	Machine   string
	Seq       uint64
	At        time.Time // when the newest report came
	ContactAt time.Time // when the machine was last in contact, report or not
	Body      []byte
}

// PutReport keeps the newest report of a machine. newer is false if seq is not beyond the one that
// is kept: then only the contact counts.
func (db *DB) PutReport(machine string, seq uint64, at time.Time, body []byte) (newer bool, err error) {
	if err := checkMachine(machine, body); err != nil {
		return false, err
	}
	if int64(seq) < 0 || seq == 0 {
		return false, fmt.Errorf("report %d of %s: numbers are 1 to 2^63-1", seq, machine)
	}
	err = db.change("keep report of "+machine, func(tx *sql.Tx) error {
		var have int64
		err := tx.QueryRow(`SELECT seq FROM reports WHERE machine = ?`, machine).Scan(&have)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if newer = int64(seq) > have; !newer {
			return touch(tx, machine, at)
		}
		_, err = tx.Exec(`INSERT INTO reports VALUES (?1, ?2, ?3, ?3, ?4) ON CONFLICT DO UPDATE SET
			seq = excluded.seq, at = excluded.at, contact_at = max(contact_at, excluded.contact_at), body = excluded.body`,
			machine, int64(seq), toDB(at), notNil(body))
		return err
	})
	return newer && err == nil, err
}

// Touch notes a contact. It is a hint: a power cut may lose it.
func (db *DB) Touch(machine string, at time.Time) error {
	if err := checkMachine(machine, nil); err != nil {
		return err
	}
	return db.hint("note contact of "+machine, func(tx *sql.Tx) error { return touch(tx, machine, at) })
}

func touch(tx *sql.Tx, machine string, at time.Time) error {
	_, err := tx.Exec(`INSERT INTO reports VALUES (?, 0, 0, ?, NULL)
		ON CONFLICT DO UPDATE SET contact_at = max(contact_at, excluded.contact_at)`, machine, toDB(at))
	return err
}

// Reports lists the newest report of every machine, by machine.
func (db *DB) Reports() ([]ReportRow, error) {
	return rows(db, "read reports", `SELECT machine, seq, at, contact_at, body FROM reports ORDER BY machine`, nil,
		func(r *ReportRow, scan func(...any) error) error {
			var seq, at, contact int64
			err := scan(&r.Machine, &seq, &at, &contact, &r.Body)
			r.Seq, r.At, r.ContactAt = uint64(seq), fromDB(at), fromDB(contact)
			return err
		})
}

// DropReport forgets a machine that left.
func (db *DB) DropReport(machine string) error {
	return db.exec("drop report", `DELETE FROM reports WHERE machine = ?`, machine)
}

// PutOutbox keeps a report until AckOutbox. A newer report of the same machine replaces an older one;
// an older one changes nothing. Of too many machines, those whose reports came first lose theirs.
func (db *DB) PutOutbox(machine string, seq uint64, body []byte) error {
	if err := checkMachine(machine, body); err != nil {
		return err
	}
	if int64(seq) < 0 {
		return fmt.Errorf("report %d of %s: numbers are below 2^63", seq, machine)
	}
	return db.change("queue report of "+machine, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO outbox VALUES (?, ?, (SELECT coalesce(max(turn), 0) + 1 FROM outbox), ?)
			ON CONFLICT DO UPDATE SET seq = excluded.seq, turn = excluded.turn, body = excluded.body WHERE excluded.seq > seq`,
			machine, int64(seq), notNil(body))
		if err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM outbox WHERE turn IN (SELECT turn FROM
			(SELECT turn, row_number() OVER newest AS n, sum(length(body)) OVER newest AS bytes FROM outbox WINDOW newest AS (ORDER BY turn DESC))
			WHERE n > ? OR bytes > ?)`, maxOutboxRows, maxOutboxBytes)
		return err
	})
}

// Outbox reads the waiting report of a machine. ErrNotFound.
func (db *DB) Outbox(machine string) (seq uint64, body []byte, err error) {
	var n int64
	err = db.row("read outbox", `SELECT seq, body FROM outbox WHERE machine = ?`, []any{machine}, &n, &body)
	return uint64(n), body, err
}

// OutboxRow says that a report waits.
type OutboxRow struct {
	Machine string
	Seq     uint64
}

// Waiting lists what is in the outbox, longest waiting first.
func (db *DB) Waiting() ([]OutboxRow, error) {
	return rows(db, "read outbox", `SELECT machine, seq FROM outbox ORDER BY turn`, nil,
		func(r *OutboxRow, scan func(...any) error) error {
			var seq int64
			err := scan(&r.Machine, &seq)
			r.Seq = uint64(seq)
			return err
		})
}

// AckOutbox removes the report of a machine up to seq: somebody nearer to the seed has it. A newer
// one stays. It is a hint: a report that a power cut brings back is sent once more, and known there.
func (db *DB) AckOutbox(machine string, seq uint64) error {
	if int64(seq) < 0 {
		return nil // nothing of ours has such a number
	}
	return db.hint("clear outbox", func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM outbox WHERE machine = ? AND seq <= ?`, machine, int64(seq))
		return err
	})
}

func checkMachine(machine string, body []byte) error {
	if machine == "" || len(machine) > maxMachineText {
		return fmt.Errorf("machine id of %d characters: %w", len(machine), ErrTooLarge)
	}
	return limit("report of "+machine, body, maxReportBytes)
}

// ContactAt is when a machine was last in contact; ErrNotFound if never.
func (db *DB) ContactAt(machine string) (time.Time, error) {
	var at int64
	err := db.row("read contact", `SELECT contact_at FROM reports WHERE machine = ?`, []any{machine}, &at)
	return fromDB(at), err
}

// ReportOf is the newest report of a machine; nil if there is none.
func (db *DB) ReportOf(machine string) ([]byte, error) {
	var b []byte
	err := db.row("read report", `SELECT body FROM reports WHERE machine = ?`, []any{machine}, &b)
	return b, unlessMissing(err)
}
