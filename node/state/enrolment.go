package state

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// Limits of what waits for an admin. Whoever holds a token may fill its own share, not the others'.
const (
	maxWaitingOfToken = 64
	maxWaiting        = 1024
	maxHardwareIDs    = 4
	maxHardwareText   = 96
	maxName           = 63
	certHeadStart     = time.Hour // a certificate begins so long ago: clocks differ
)

// Applicant is a machine that asks to join. Who it is has been proved; the rest is its word.
type Applicant struct {
	Token    [32]byte
	Machine  string   // peer id
	ID       string   // of the request, for people; unique for token and machine
	Name     string   // a valid name
	Hardware []string // "kind:digest", the most telling first; may be empty
	Life     time.Duration
	Grace    time.Duration // how long after the end of its certificate a machine may ask again
	// Alive: the machine is in contact this moment, so that nobody else can have taken its place.
	Alive func(machine string) bool
}

// Enrol makes a machine a member, all or nothing: the use of the token, the serial and the membership
// are durable before it returns, so no crash spends a use twice. The same machine may ask again and
// gets the same row without a second use, for as long as the token is remembered: its answer may have
// been lost. ErrWaiting says that the request is recorded (also durably) for an admin to decide.
// ErrTokenUnknown, ErrTokenExpired, ErrTokenSpent, ErrTokenName, ErrTooMany, ErrRejected, ErrReplaced.
func (db *DB) Enrol(a Applicant, now time.Time) (MemberRow, error) {
	hardware, err := checkApplicant(a)
	if err != nil {
		return MemberRow{}, fmt.Errorf("enrol: %w", err)
	}
	var m MemberRow
	waits := false
	err = db.change("enrol "+a.Machine, func(tx *sql.Tx) error {
		t := TokenRow{Hash: a.Token}
		if err := readToken(tx, &t); err != nil {
			return err
		}
		used, err := exists(tx, `SELECT 1 FROM token_uses WHERE hash = ? AND machine = ?`, a.Token[:], a.Machine)
		if err != nil {
			return err
		}
		if !used {
			if waits, err = mayUse(tx, t, a, hardware, now); waits || err != nil {
				return err
			}
			if err := takeUse(tx, t.Hash, a.Machine, now); err != nil {
				return err
			}
		}
		m, err = admit(tx, t, a, used, now)
		return err
	})
	if err == nil && waits {
		return MemberRow{}, ErrWaiting
	}
	return m, err
}

func checkApplicant(a Applicant) (hardware string, err error) {
	if a.Life <= 0 || len(a.Name) > maxName || a.Name == "" || a.ID == "" || len(a.Hardware) > maxHardwareIDs {
		return "", fmt.Errorf("applicant %q with %d hardware ids", a.Name[:min(len(a.Name), maxName)], len(a.Hardware))
	}
	for _, h := range a.Hardware {
		if kind, id, ok := strings.Cut(h, ":"); !ok || kind == "" || id == "" || len(h) > maxHardwareText {
			return "", errors.New("malformed hardware id")
		}
	}
	b, err := json.Marshal(append([]string{}, a.Hardware...))
	return string(b), errors.Join(err, checkMachine(a.Machine, nil), limit("request id", []byte(a.ID), maxLabelText))
}

// mayUse judges a machine that has no use of the token yet.
func mayUse(tx *sql.Tx, t TokenRow, a Applicant, hardware string, now time.Time) (waits bool, err error) {
	var verdict string
	err = tx.QueryRow(`SELECT state FROM requests WHERE token = ? AND machine = ?`, t.Hash[:], a.Machine).Scan(&verdict)
	switch {
	case err == nil && verdict == requestWaiting:
		return true, nil // also when the token has expired meanwhile: it asked in time
	case err == nil && verdict == requestRejected:
		return false, ErrRejected
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return false, err
	}
	if !now.Before(t.ExpiresAt) {
		return false, ErrTokenExpired
	}
	if t.NamePattern != "" {
		if ok, err := path.Match(t.NamePattern, a.Name); err != nil || !ok {
			return false, errors.Join(ErrTokenName, err)
		}
	}
	if t.UsesLeft < 1 {
		return false, ErrTokenSpent
	}
	if !t.Approve {
		return false, nil
	}
	return true, keepRequest(tx, a, hardware, now)
}

func keepRequest(tx *sql.Tx, a Applicant, hardware string, now time.Time) error {
	var ofToken, all int
	err := tx.QueryRow(`SELECT count(*) FILTER (WHERE token = ?1), count(*) FROM requests WHERE state = ?2`, a.Token[:], requestWaiting).Scan(&ofToken, &all)
	if err != nil {
		return err
	}
	if ofToken >= maxWaitingOfToken || all >= maxWaiting {
		return ErrTooMany
	}
	_, err = tx.Exec(`INSERT INTO requests (token, machine, id, name, hardware, state, at, decided_at) VALUES (?, ?, ?, ?, ?, ?, ?, 0)`,
		a.Token[:], a.Machine, a.ID, a.Name, hardware, requestWaiting, toDB(now))
	return err
}

// takeUse books one use of a token for a machine. ErrTokenSpent.
func takeUse(tx *sql.Tx, hash [32]byte, machine string, now time.Time) error {
	res, err := tx.Exec(`UPDATE tokens SET uses_left = uses_left - 1 WHERE hash = ? AND uses_left > 0`, hash[:])
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(ErrTokenSpent, err)
	}
	if _, err := tx.Exec(`INSERT INTO token_uses VALUES (?, ?, ?)`, hash[:], machine, toDB(now)); err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM tokens WHERE expires_at < ? AND hash <> ?`, toDB(now.Add(-keepTokensFor)), hash[:])
	return err
}

// admit gives the membership of a machine that has a use of the token. again: it had it before.
func admit(tx *sql.Tx, t TokenRow, a Applicant, again bool, now time.Time) (MemberRow, error) {
	m, known, err := memberIn(tx, a.Machine)
	if err != nil {
		return m, err
	}
	var accepted Request
	err = tx.QueryRow(`SELECT name, hardware, state FROM requests WHERE token = ? AND machine = ?`, t.Hash[:], a.Machine).
		Scan(&accepted.Name, &accepted.hardware, &accepted.State)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return m, err
	}
	if again && accepted.State != requestAccepted { // its answer was lost
		switch {
		case !known: // forgotten since: its token does not bring it back
			return m, ErrTokenSpent
		case m.ReplacedBy != "":
			return m, ErrReplaced
		// A revocation is kept until the last certificate cannot be renewed any more. After that the
		// token, which may be good for a year, must not bring the machine back.
		case now.Sub(m.NotAfter) > a.Grace:
			return m, ErrLapsed
		}
		return certify(tx, m, a.Life, now)
	}
	if accepted.State == requestAccepted { // what the admin saw counts, not what is said now
		a.Name = accepted.Name
		if err := json.Unmarshal([]byte(accepted.hardware), &a.Hardware); err != nil {
			return m, fmt.Errorf("request of %s: %w: %w", a.Machine, ErrDamaged, err)
		}
		if _, err := tx.Exec(`UPDATE requests SET state = ? WHERE token = ? AND machine = ?`, requestEnrolled, t.Hash[:], a.Machine); err != nil {
			return m, err
		}
	}
	if !known {
		m = MemberRow{ID: a.Machine, JoinedAt: now}
	}
	m.Site, m.Groups, m.ReplacedBy, m.ReplacedAt, m.NotAfter = t.Site, t.Groups, "", time.Time{}, time.Time{}
	if m.Replaces, err = replace(tx, a, now); err != nil {
		return m, err
	}
	if m.Name, err = freeName(tx, a.Name, a.Machine); err != nil {
		return m, err
	}
	return certify(tx, m, a.Life, now)
}

// certify gives a member a certificate, or the one that it has while that is fresh: a request may be
// repeated by anybody who has seen it pass, and must not cost a serial each time. One from the future was
// issued while the clock was wrong: nobody believes it now.
func certify(tx *sql.Tx, m MemberRow, life time.Duration, now time.Time) (MemberRow, error) {
	if m.NotAfter.Sub(now) > life/4*3 && !now.Before(m.NotBefore) {
		return m, nil
	}
	n, err := nextSerial(tx)
	if err != nil {
		return m, err
	}
	m.Serial = uint64(n)
	m.NotBefore, m.NotAfter = now.Add(-certHeadStart).UTC().Truncate(time.Second), now.Add(life).UTC().Truncate(time.Second)
	groups, err := checkMember(m)
	if err != nil {
		return m, err
	}
	return m, putMember(tx, m, groups)
}

// Renew gives a member its next certificate, or the same again while that is fresh. grace is how long
// after its end a certificate may still be renewed. ErrNotFound, ErrReplaced, ErrLapsed.
func (db *DB) Renew(machine string, life, grace time.Duration, now time.Time) (MemberRow, error) {
	var m MemberRow
	err := db.change("renew "+machine[:min(len(machine), maxMachineText)], func(tx *sql.Tx) error {
		var known bool
		var err error
		m, known, err = memberIn(tx, machine)
		switch {
		case err != nil:
			return err
		case !known:
			return ErrNotFound
		case m.ReplacedBy != "":
			return ErrReplaced
		case now.Sub(m.NotAfter) > grace:
			return ErrLapsed
		}
		m, err = certify(tx, m, life, now)
		return err
	})
	return m, err
}

func memberIn(tx *sql.Tx, id string) (m MemberRow, known bool, err error) {
	row := tx.QueryRow(memberColumns+`WHERE id = ?`, id)
	err = scanMember(&m, row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return MemberRow{}, false, nil
	}
	return m, err == nil, err
}

// freeName is the name with a number behind it if another machine has it: a name is only a label, but
// people act on it, so a newcomer must not pass for a machine that they know.
func freeName(tx *sql.Tx, name, machine string) (string, error) {
	for i := 1; i < 10_000; i++ {
		try := name
		if i > 1 {
			tail := "-" + strconv.Itoa(i)
			try = name[:min(len(name), maxName-len(tail))] + tail
		}
		taken, err := exists(tx, `SELECT 1 FROM members WHERE name = ? COLLATE NOCASE AND id <> ? AND replaced_by = ''`, try, machine)
		if err != nil || !taken {
			return try, err
		}
	}
	return "", fmt.Errorf("thousands of machines are named %q", name)
}

func exists(tx *sql.Tx, query string, args ...any) (bool, error) {
	var one int
	err := tx.QueryRow(query, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
