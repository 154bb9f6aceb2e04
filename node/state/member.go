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
	Hash        [32]byte
	Site        string
	Groups      []string
	UsesLeft    int
	ExpiresAt   time.Time
	Approve     bool   // each machine needs an admin's word
	NamePattern string // shell pattern of machine names; empty: any
}

// PutToken keeps a new token; a hash that is known already is refused. Tokens are forgotten a month
// after they expired.
func (db *DB) PutToken(t TokenRow) error {
	text, err := encodeGroups(t.Groups)
	if err == nil {
		err = errors.Join(limit("site", []byte(t.Site), maxLabelText), limit("name pattern", []byte(t.NamePattern), maxLabelText))
	}
	if err == nil && (t.UsesLeft < 1 || t.UsesLeft > maxTokenUses || t.ExpiresAt.IsZero()) {
		err = fmt.Errorf("%d uses until %s", t.UsesLeft, t.ExpiresAt)
	}
	if err != nil {
		return fmt.Errorf("put token: %w", err)
	}
	return db.exec("put token", `INSERT INTO tokens (hash, site, groups, uses_left, expires_at, approve, name_pattern) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		t.Hash[:], t.Site, text, t.UsesLeft, toDB(t.ExpiresAt), t.Approve, t.NamePattern)
}

// Token is one token by its hash. ErrTokenUnknown.
func (db *DB) Token(hash [32]byte) (TokenRow, error) {
	t := TokenRow{Hash: hash}
	if err := readToken(db.read, &t); err != nil {
		return TokenRow{}, fmt.Errorf("read token: %w", classify(err))
	}
	return t, nil
}

func readToken(tx querier, t *TokenRow) error {
	var groups string
	var expires int64
	err := tx.QueryRow(`SELECT site, groups, uses_left, expires_at, approve, name_pattern FROM tokens WHERE hash = ?`, t.Hash[:]).
		Scan(&t.Site, &groups, &t.UsesLeft, &expires, &t.Approve, &t.NamePattern)
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

// MemberRow is an enrolled machine as the seed knows it. Its newest certificate can be made again from
// it: Ed25519 signs the same text the same way.
type MemberRow struct {
	ID        string // peer id
	Name      string
	Site      string
	Groups    []string
	Serial    uint64    // of its newest certificate
	NotBefore time.Time // of its newest certificate
	NotAfter  time.Time // of its newest certificate
	JoinedAt  time.Time
	Replaces  string // peer id that the same hardware had before; empty: none is known

	ReplacedBy string // peer id that the same hardware has now; empty: this one
	ReplacedAt time.Time
}

// PutMember keeps a machine or what is new about it. JoinedAt stays that of the first time.
func (db *DB) PutMember(m MemberRow) error {
	text, err := checkMember(m)
	if err != nil {
		return fmt.Errorf("put member: %w", err)
	}
	return db.change("put member "+m.ID, func(tx *sql.Tx) error { return putMember(tx, m, text) })
}

func checkMember(m MemberRow) (groups string, err error) {
	groups, err = encodeGroups(m.Groups)
	if err == nil {
		err = errors.Join(checkMachine(m.ID, nil), limit("name", []byte(m.Name), maxLabelText), limit("site", []byte(m.Site), maxLabelText))
	}
	return groups, err
}

func putMember(tx *sql.Tx, m MemberRow, groups string) error {
	_, err := tx.Exec(`INSERT INTO members (id, name, site, groups, serial, not_before, not_after, joined_at, replaces, replaced_by, replaced_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
		name = excluded.name, site = excluded.site, groups = excluded.groups, serial = excluded.serial, not_before = excluded.not_before,
		not_after = excluded.not_after, replaces = excluded.replaces, replaced_by = excluded.replaced_by, replaced_at = excluded.replaced_at`,
		m.ID, m.Name, m.Site, groups, int64(m.Serial), toDB(m.NotBefore), toDB(m.NotAfter), toDB(m.JoinedAt), m.Replaces, m.ReplacedBy, toDB(m.ReplacedAt))
	return err
}

const memberColumns = `SELECT id, name, site, groups, serial, not_before, not_after, joined_at, replaces, replaced_by, replaced_at FROM members `

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

// Members lists all machines by id, those that were replaced too.
func (db *DB) Members() ([]MemberRow, error) {
	return rows(db, "read members", memberColumns+`ORDER BY id`, nil, scanMember)
}

func scanMember(m *MemberRow, scan func(...any) error) error {
	var groups string
	var serial, notBefore, notAfter, joined, replaced int64
	if err := scan(&m.ID, &m.Name, &m.Site, &groups, &serial, &notBefore, &notAfter, &joined, &m.Replaces, &m.ReplacedBy, &replaced); err != nil {
		return err
	}
	m.Serial, m.NotBefore, m.NotAfter, m.JoinedAt, m.ReplacedAt = uint64(serial), fromDB(notBefore), fromDB(notAfter), fromDB(joined), fromDB(replaced)
	var err error
	m.Groups, err = decodeGroups(groups)
	return err
}

// DropMember forgets a machine; unknown is no error.
func (db *DB) DropMember(id string) error {
	return db.change("drop member", func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM hardware WHERE machine = ?`, id)
		if err == nil {
			_, err = tx.Exec(`DELETE FROM members WHERE id = ?`, id)
		}
		return err
	})
}

// NextSerial is a certificate serial that was never given out before, not even by a run that crashed.
func (db *DB) NextSerial() (uint64, error) {
	var n int64
	err := db.change("take a serial", func(tx *sql.Tx) (err error) {
		n, err = nextSerial(tx)
		return err
	})
	return uint64(n), err
}

func nextSerial(tx *sql.Tx) (n int64, err error) {
	err = tx.QueryRow(`UPDATE serials SET last = last + 1 RETURNING last`).Scan(&n)
	return n, err
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
