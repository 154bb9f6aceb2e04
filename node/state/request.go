package state

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// States of a request that needs an admin's word.
const (
	requestWaiting  = "waiting"
	requestAccepted = "accepted" // a use of the token is booked; the machine has not come back yet
	requestRejected = "rejected"
	requestEnrolled = "enrolled"
)

// Request is a machine that waits for an admin's word, or did.
type Request struct {
	ID        string
	Machine   string // peer id
	Name      string
	Site      string
	Groups    []string
	State     string // waiting, accepted, rejected, enrolled
	At        time.Time
	DecidedAt time.Time
	ExpiresAt time.Time // of the token
	Hardware  []string

	hardware string
}

// Requests lists the requests that wait, or all that are remembered, oldest first.
func (db *DB) Requests(all bool) ([]Request, error) {
	where := ` WHERE r.state = 'waiting'`
	if all {
		where = ``
	}
	return rows(db, "read requests", requestColumns+where+` ORDER BY r.at, r.id`, nil, scanRequest)
}

const requestColumns = `SELECT r.id, r.machine, r.name, t.site, t.groups, r.state, r.at, r.decided_at, t.expires_at, r.hardware
	FROM requests r JOIN tokens t ON t.hash = r.token`

func scanRequest(r *Request, scan func(...any) error) error {
	var groups string
	var at, decided, expires int64
	if err := scan(&r.ID, &r.Machine, &r.Name, &r.Site, &groups, &r.State, &at, &decided, &expires, &r.hardware); err != nil {
		return err
	}
	r.At, r.DecidedAt, r.ExpiresAt = fromDB(at), fromDB(decided), fromDB(expires)
	if err := json.Unmarshal([]byte(r.hardware), &r.Hardware); err != nil {
		return fmt.Errorf("request %s: %w: %w", r.ID, ErrDamaged, err)
	}
	var err error
	r.Groups, err = decodeGroups(groups)
	return err
}

// Decide keeps an admin's word on a request. Accepting books a use of the token at once, so that no
// more machines are accepted than it has uses; rejecting one that has not come back frees the use.
// Saying the same twice changes nothing. ErrNotFound, ErrTokenSpent, ErrDecided.
func (db *DB) Decide(id string, accept bool, now time.Time) (Request, error) {
	err := db.change("decide on request", func(tx *sql.Tx) error {
		var hash []byte
		var machine, was string
		err := tx.QueryRow(`SELECT token, machine, state FROM requests WHERE id = ?`, id).Scan(&hash, &machine, &was)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		will := requestRejected
		if accept {
			will = requestAccepted
		}
		switch {
		case was == will, was == requestEnrolled && accept:
			return nil
		case was == requestEnrolled:
			return ErrDecided
		case accept:
			err = takeUse(tx, [32]byte(hash), machine, now)
		case was == requestAccepted:
			err = freeUse(tx, hash, machine)
		}
		if err == nil {
			_, err = tx.Exec(`UPDATE requests SET state = ?, decided_at = ? WHERE id = ?`, will, toDB(now), id)
		}
		return err
	})
	if err != nil {
		return Request{}, err
	}
	all, err := rows(db, "read request", requestColumns+` WHERE r.id = ?`, []any{id}, scanRequest)
	if err != nil || len(all) == 0 {
		return Request{}, errors.Join(ErrNotFound, err)
	}
	return all[0], nil
}

func freeUse(tx *sql.Tx, hash []byte, machine string) error {
	_, err := tx.Exec(`DELETE FROM token_uses WHERE hash = ? AND machine = ?`, hash, machine)
	if err == nil {
		_, err = tx.Exec(`UPDATE tokens SET uses_left = uses_left + 1 WHERE hash = ?`, hash)
	}
	return err
}

// SameHardware names the members, not replaced yet, that said the same hardware. The most telling kind
// that both sides know decides: a network card that moved does not make two machines one.
func (db *DB) SameHardware(ids []string) (machines []string, err error) {
	if machines, err = sameHardware(db.read, ids); err != nil {
		return nil, fmt.Errorf("look for hardware: %w", classify(err))
	}
	return machines, nil
}

// querier is a transaction, or the readers.
type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
	QueryRow(query string, args ...any) *sql.Row
}

func sameHardware(tx querier, ids []string) ([]string, error) {
	var found []string
	for _, h := range ids {
		_, id, _ := strings.Cut(h, ":")
		rs, err := tx.Query(`SELECT h.machine FROM hardware h JOIN members m ON m.id = h.machine WHERE h.id = ? AND m.replaced_by = '' ORDER BY h.machine`, id)
		if err != nil {
			return nil, err
		}
		found, err = appendTexts(found, rs)
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(found)
	var out []string
	for _, machine := range slices.Compact(found) {
		same, err := sameMachine(tx, machine, ids)
		if err != nil {
			return nil, err
		}
		if same {
			out = append(out, machine)
		}
	}
	return out, nil
}

func appendTexts(out []string, rs *sql.Rows) ([]string, error) {
	defer rs.Close()
	for rs.Next() {
		var s string
		if err := rs.Scan(&s); err != nil {
			return out, err
		}
		out = append(out, s)
	}
	return out, rs.Err()
}

func sameMachine(tx querier, machine string, ids []string) (bool, error) {
	for _, h := range ids {
		kind, id, _ := strings.Cut(h, ":")
		var theirs string
		err := tx.QueryRow(`SELECT id FROM hardware WHERE machine = ? AND kind = ?`, machine, kind).Scan(&theirs)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		return theirs == id, err
	}
	return false, nil
}

// replace keeps the hardware of a machine that joins and marks those that had it before. One that is
// alive was not replaced: clones and a second node on one computer say the same hardware.
func replace(tx *sql.Tx, a Applicant, now time.Time) (replaces string, err error) {
	before, err := sameHardware(tx, a.Hardware)
	if err != nil {
		return "", err
	}
	for _, machine := range before {
		if machine == a.Machine || a.Alive != nil && a.Alive(machine) {
			continue
		}
		if _, err := tx.Exec(`UPDATE members SET replaced_by = ?, replaced_at = ? WHERE id = ?`, a.Machine, toDB(now), machine); err != nil {
			return "", err
		}
		replaces = machine
	}
	if _, err := tx.Exec(`DELETE FROM hardware WHERE machine = ?`, a.Machine); err != nil {
		return "", err
	}
	for _, h := range a.Hardware {
		kind, id, _ := strings.Cut(h, ":")
		if _, err := tx.Exec(`INSERT OR REPLACE INTO hardware VALUES (?, ?, ?)`, a.Machine, kind, id); err != nil {
			return "", err
		}
	}
	return replaces, nil
}
