package state

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxStepBytes  = 8 << 10
	keptJournal   = 500 // ended entries that stay for people to read
	maxUpdateText = 256
)

// JournalRow is one install or removal.
type JournalRow struct {
	Update   string
	Revision int
	Step     string // what was begun, or how it ended
	BegunAt  time.Time
	At       time.Time // of the step
	Open     bool      // not ended: under way, or cut off by a crash
}

// JournalBegin notes durably that work on an update starts. If it is open already, after a crash,
// it starts over.
func (db *DB) JournalBegin(update string, revision int, step string, at time.Time) error {
	if err := checkUpdate(update); err != nil {
		return err
	}
	return db.exec("journal "+update, `INSERT INTO journal("update", revision, step, begun_at, at, open) VALUES (?1, ?2, ?3, ?4, ?4, 1)
		ON CONFLICT ("update", revision) WHERE open = 1 DO UPDATE SET step = excluded.step, begun_at = excluded.begun_at, at = excluded.at`,
		update, revision, cutStep(step), toDB(at))
}

// JournalStep notes how far the work is. ErrNotFound if it is not open.
func (db *DB) JournalStep(update string, revision int, step string, at time.Time) error {
	return db.journal(update, revision, step, at, 1)
}

// JournalEnd notes that the work is over, and how. ErrNotFound if it is not open.
func (db *DB) JournalEnd(update string, revision int, step string, at time.Time) error {
	return db.journal(update, revision, step, at, 0)
}

func (db *DB) journal(update string, revision int, step string, at time.Time, open int) error {
	return db.change("journal "+update[:min(len(update), maxUpdateText)], func(tx *sql.Tx) error {
		res, err := tx.Exec(`UPDATE journal SET step = ?, at = ?, open = ? WHERE "update" = ? AND revision = ? AND open = 1`,
			cutStep(step), toDB(at), open, update, revision)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNotFound)
		}
		_, err = tx.Exec(`DELETE FROM journal WHERE open = 0 AND id <= (SELECT max(id) FROM journal) - ?`, keptJournal)
		return err
	})
}

// JournalOpen lists what began and did not end, oldest first.
func (db *DB) JournalOpen() ([]JournalRow, error) {
	return db.journalRows(`WHERE open = 1 ORDER BY begun_at, id`)
}

// JournalFailed says whether the last work on a revision has ended with a failure, and when.
func (db *DB) JournalFailed(update string, revision int) (at time.Time, failed bool, err error) {
	all, err := rows(db, "read journal", `SELECT step, at, open FROM journal WHERE "update" = ? AND revision = ? ORDER BY id DESC LIMIT 1`, []any{update, revision},
		func(r *JournalRow, scan func(...any) error) error {
			var at int64
			err := scan(&r.Step, &at, &r.Open)
			r.At = fromDB(at)
			return err
		})
	if err != nil || len(all) == 0 {
		return time.Time{}, false, err
	}
	return all[0].At, !all[0].Open && strings.HasPrefix(all[0].Step, failedStep), nil
}

// failedStep begins the last step of work that failed, as whoever keeps the journal writes it.
const failedStep = "failed: "

// Journal lists everything that is kept, newest first.
func (db *DB) Journal() ([]JournalRow, error) { return db.journalRows(`ORDER BY id DESC`) }

func (db *DB) journalRows(which string) ([]JournalRow, error) {
	return rows(db, "read journal", `SELECT "update", revision, step, begun_at, at, open FROM journal `+which, nil,
		func(r *JournalRow, scan func(...any) error) error {
			var begun, at int64
			err := scan(&r.Update, &r.Revision, &r.Step, &begun, &at, &r.Open)
			r.BegunAt, r.At = fromDB(begun), fromDB(at)
			return err
		})
}

func checkUpdate(update string) error {
	if update == "" || len(update) > maxUpdateText {
		return fmt.Errorf("update id of %d characters: %w", len(update), ErrTooLarge)
	}
	return nil
}

// cutStep shortens a text for people, at the end of a character.
func cutStep(s string) string { return cutText(s, maxStepBytes) }

// cutText shortens a text to at most so many bytes, between characters.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
