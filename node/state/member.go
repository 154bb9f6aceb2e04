package state

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	maxLabelText  = 256
	maxGroups     = 64
	keepTokensFor = 30 * 24 * time.Hour // after expiry, so that people get "expired" rather than "unknown"
	maxTokenUses  = 1 << 30
)

// TokenRow is a join token as the seed knows it: by its hash.
type TokenRow struct {
	Hash      [32]byte
	Site      string
	Groups    []string
	UsesLeft  int
	ExpiresAt time.Time
}

// PutToken keeps a new token; a hash that is known already is refused. SpendToken forgets tokens a
// month after they expired.
func (db *DB) PutToken(hash [32]byte, site string, groups []string, usesLeft int, expiresAt time.Time) error {
	text, err := encodeGroups(groups)
	if err == nil {
		err = limit("site", []byte(site), maxLabelText)
	}
	if err == nil && (usesLeft < 1 || usesLeft > maxTokenUses || expiresAt.IsZero()) {
		err = fmt.Errorf("%d uses until %s", usesLeft, expiresAt)
	}
	if err != nil {
		return fmt.Errorf("put token: %w", err)
	}
	return db.exec("put token", `INSERT INTO tokens VALUES (?, ?, ?, ?, ?)`, hash[:], site, text, usesLeft, toDB(expiresAt))
}

// SpendToken takes one use of a token for a machine. The use is durable before SpendToken returns,
// so a crash at any point spends no token twice. The same machine may ask again until the token
// expires without a second use: its first answer may have been lost. ErrTokenUnknown,
// ErrTokenExpired, ErrTokenSpent.
func (db *DB) SpendToken(hash [32]byte, machine string, now time.Time) (TokenRow, error) {
	if err := checkMachine(machine, nil); err != nil {
		return TokenRow{}, err
	}
	t := TokenRow{Hash: hash}
	err := db.change("spend token", func(tx *sql.Tx) error {
		if err := readToken(tx, &t); err != nil {
			return err
		}
		if !now.Before(t.ExpiresAt) {
			return ErrTokenExpired
		}
		res, err := tx.Exec(`INSERT OR IGNORE INTO token_uses VALUES (?, ?, ?)`, hash[:], machine, toDB(now))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // this machine has its use already
		}
		if t.UsesLeft < 1 {
			return ErrTokenSpent // and the insert above is rolled back
		}
		t.UsesLeft--
		if _, err := tx.Exec(`UPDATE tokens SET uses_left = ? WHERE hash = ?`, t.UsesLeft, hash[:]); err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM tokens WHERE expires_at < ?`, toDB(now.Add(-keepTokensFor)))
		return err
	})
	if err != nil {
		return TokenRow{}, err
	}
	return t, nil
}

func readToken(tx *sql.Tx, t *TokenRow) error {
	var groups string
	var expires int64
	err := tx.QueryRow(`SELECT site, groups, uses_left, expires_at FROM tokens WHERE hash = ?`, t.Hash[:]).
		Scan(&t.Site, &groups, &t.UsesLeft, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrTokenUnknown
	}
	if err != nil {
		return err
	}
	t.ExpiresAt = fromDB(expires)
	t.Groups, err = decodeGroups(groups)
	return err
}

// MemberRow is an enrolled machine as the seed knows it.
type MemberRow struct {
	ID       string // peer id
	Name     string
	Site     string
	Groups   []string
	Serial   uint64    // of its newest certificate
	NotAfter time.Time // of its newest certificate
	JoinedAt time.Time
}

// PutMember keeps a machine or what is new about it. JoinedAt stays that of the first time.
func (db *DB) PutMember(m MemberRow) error {
	text, err := encodeGroups(m.Groups)
	if err == nil {
		err = errors.Join(checkMachine(m.ID, nil), limit("name", []byte(m.Name), maxLabelText), limit("site", []byte(m.Site), maxLabelText))
	}
	if err != nil {
		return fmt.Errorf("put member: %w", err)
	}
	return db.exec("put member "+m.ID, `INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
		name = excluded.name, site = excluded.site, groups = excluded.groups, serial = excluded.serial, not_after = excluded.not_after`,
		m.ID, m.Name, m.Site, text, int64(m.Serial), toDB(m.NotAfter), toDB(m.JoinedAt))
}

const memberColumns = `SELECT id, name, site, groups, serial, not_after, joined_at FROM members `

// Member is one machine by its id. ErrNotFound.
func (db *DB) Member(id string) (MemberRow, error) {
	all, err := rows(db, "read member", memberColumns+`WHERE id = ?`, []any{id}, scanMember)
	if err != nil {
		return MemberRow{}, err
	}
	if len(all) == 0 {
		return MemberRow{}, fmt.Errorf("member %q: %w", id[:min(len(id), maxMachineText)], ErrNotFound)
	}
	return all[0], nil
}

// Members lists all machines by id.
func (db *DB) Members() ([]MemberRow, error) {
	return rows(db, "read members", memberColumns+`ORDER BY id`, nil, scanMember)
}

func scanMember(m *MemberRow, scan func(...any) error) error {
	var groups string
	var serial, notAfter, joined int64
	if err := scan(&m.ID, &m.Name, &m.Site, &groups, &serial, &notAfter, &joined); err != nil {
		return err
	}
	m.Serial, m.NotAfter, m.JoinedAt = uint64(serial), fromDB(notAfter), fromDB(joined)
	var err error
	m.Groups, err = decodeGroups(groups)
	return err
}

// DropMember forgets a machine; unknown is no error.
func (db *DB) DropMember(id string) error {
	return db.exec("drop member", `DELETE FROM members WHERE id = ?`, id)
}

// NextSerial is a certificate serial that was never given out before, not even by a run that crashed.
func (db *DB) NextSerial() (uint64, error) {
	var n int64
	err := db.change("take a serial", func(tx *sql.Tx) error {
		return tx.QueryRow(`UPDATE serials SET last = last + 1 RETURNING last`).Scan(&n)
	})
	return uint64(n), err
}

func encodeGroups(groups []string) (string, error) {
	if len(groups) > maxGroups {
		return "", fmt.Errorf("%d groups: %w", len(groups), ErrTooLarge)
	}
	for _, g := range groups {
		if len(g) > maxGroupText {
			return "", fmt.Errorf("group name of %d characters: %w", len(g), ErrTooLarge)
		}
	}
	if groups == nil {
		groups = []string{}
	}
	b, err := json.Marshal(groups)
	return string(b), err
}

func decodeGroups(text string) ([]string, error) {
	var groups []string
	if err := json.Unmarshal([]byte(text), &groups); err != nil {
		return nil, fmt.Errorf("list of groups: %w: %w", ErrDamaged, err)
	}
	return groups, nil
}
