package state

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	// Longer texts are cut: strangers choose some of them, and an event must not be lost for its length.
	maxEventText = 256     // of a kind, update, state, reason or peer
	MaxDetail    = 4 << 10 // bytes of a detail
	keptEvents   = 4000    // of each kind, so that what strangers cause does not push out what the machine did
)

// EventRow is one thing that happened on this machine.
type EventRow struct {
	At                                time.Time
	Kind, Update, State, Reason, Peer string
	Detail                            string
}

// EventFilter chooses events; zero fields choose all. Limit bounds the answer and must be above 0.
type EventFilter struct {
	Since        time.Time
	Kind, Update string
	Limit        int
}

// AddEvents appends to the event log and forgets the oldest of a kind that has too many. It is a hint: a
// power cut may lose the last seconds.
func (db *DB) AddEvents(list []EventRow) error {
	return db.hint("event log", func(tx *sql.Tx) error {
		kinds := map[string]bool{}
		for _, e := range list {
			for _, text := range []*string{&e.Kind, &e.Update, &e.State, &e.Reason, &e.Peer} {
				*text = cutText(*text, maxEventText)
			}
			if _, err := tx.Exec(`INSERT INTO events(at, kind, "update", state, reason, peer, detail) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				toDB(e.At), e.Kind, e.Update, e.State, e.Reason, e.Peer, cutText(e.Detail, MaxDetail)); err != nil {
				return err
			}
			kinds[e.Kind] = true
		}
		var errs error
		for kind := range kinds {
			_, err := tx.Exec(`DELETE FROM events WHERE kind = ?1 AND id <= (SELECT id FROM events WHERE kind = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`, kind, keptEvents)
			errs = errors.Join(errs, err)
		}
		return errs
	})
}

// Events lists the newest events that match, newest first.
func (db *DB) Events(f EventFilter) ([]EventRow, error) {
	if f.Limit <= 0 {
		return nil, fmt.Errorf("event log: a limit of %d", f.Limit)
	}
	return rows(db, "event log", `SELECT at, kind, "update", state, reason, peer, detail FROM events
		WHERE at >= ?1 AND (?2 = '' OR kind = ?2) AND (?3 = '' OR "update" = ?3) ORDER BY id DESC LIMIT ?4`,
		[]any{toDB(f.Since), f.Kind, f.Update, f.Limit},
		func(e *EventRow, scan func(...any) error) error {
			var at int64
			err := scan(&at, &e.Kind, &e.Update, &e.State, &e.Reason, &e.Peer, &e.Detail)
			e.At = fromDB(at)
			return err
		})
}
