package state

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// keptSyncs bounds the sync log; a machine that hears of ten approvals a day fills it in a year and more.
const keptSyncs = 5000

// SyncRow is one time that the approvals were brought up to date here, or could not be.
type SyncRow struct {
	At                      time.Time // of its end; of the last one, when several alike are one row
	Took                    time.Duration
	How, From               string
	HeadWas, Head           int64
	EpochWas, Epoch         uint64
	Added, Changed, Removed int // decisions: approvals, holds, groups, windows and the rest
	Reason, Detail          string
	Times                   int // how often in a row the same was not to be had; 1 for what succeeded
}

// AddSync appends a run. One that failed like the last one of the log is counted there instead: a mirror that is
// away for a week must not push out everything else.
func (db *DB) AddSync(r SyncRow) error {
	r.How, r.From, r.Reason, r.Detail = cutText(r.How, maxEventText), cutText(r.From, maxEventText), cutText(r.Reason, maxEventText), cutText(r.Detail, MaxDetail)
	return db.hint("sync log", func(tx *sql.Tx) error {
		if r.Reason != "" {
			res, err := tx.Exec(`UPDATE syncs SET at = ?, took_ms = ?, times = times + 1
				WHERE id = (SELECT max(id) FROM syncs) AND how = ? AND "from" = ? AND reason = ? AND detail = ?`,
				toDB(r.At), r.Took.Milliseconds(), r.How, r.From, r.Reason, r.Detail)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n > 0 {
				return err
			}
		}
		_, err := tx.Exec(`INSERT INTO syncs(at, took_ms, how, "from", head_was, head, epoch_was, epoch, added, changed, removed, reason, detail, times)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`,
			toDB(r.At), r.Took.Milliseconds(), r.How, r.From, r.HeadWas, r.Head, int64(r.EpochWas), int64(r.Epoch), r.Added, r.Changed, r.Removed, r.Reason, r.Detail)
		if err != nil {
			return err
		}
		_, forget := tx.Exec(`DELETE FROM syncs WHERE id <= (SELECT id FROM syncs ORDER BY id DESC LIMIT 1 OFFSET ?)`, keptSyncs)
		return errors.Join(err, forget)
	})
}

// Syncs lists the newest runs since a time, newest first, at most limit, which must be above 0.
func (db *DB) Syncs(since time.Time, limit int) ([]SyncRow, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("sync log: a limit of %d", limit)
	}
	return rows(db, "sync log", `SELECT at, took_ms, how, "from", head_was, head, epoch_was, epoch, added, changed, removed, reason, detail, times
		FROM syncs WHERE at >= ? ORDER BY id DESC LIMIT ?`, []any{toDB(since), limit},
		func(r *SyncRow, scan func(...any) error) error {
			var at, took, epochWas, epoch int64
			err := scan(&at, &took, &r.How, &r.From, &r.HeadWas, &r.Head, &epochWas, &epoch, &r.Added, &r.Changed, &r.Removed, &r.Reason, &r.Detail, &r.Times)
			r.At, r.Took, r.EpochWas, r.Epoch = fromDB(at), time.Duration(took)*time.Millisecond, uint64(epochWas), uint64(epoch)
			return err
		})
}
