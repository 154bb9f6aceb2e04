package state

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"patchmesh/content"
)

// Sizes of what is kept once or under a name.
const (
	maxSnapshotBytes = 64 << 20
	maxDraftBytes    = 64 << 20
	maxValueBytes    = 4 << 20
	maxValueName     = 256
)

// snapshotLater is where additions to a snapshot are kept, by its hash: those to another one than is there now are void. An older
// version of the program may have saved one since, which knows nothing of them.
const snapshotLater = "snapshot+"

// SaveSnapshot replaces the core's snapshot with all that was added to it. Durable when it returns nil.
func (db *DB) SaveSnapshot(b []byte) error {
	if err := limit("snapshot", b, maxSnapshotBytes); err != nil {
		return err
	}
	db.later.Lock()
	defer db.later.Unlock()
	err := db.change("save snapshot", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`INSERT INTO singles VALUES ('snapshot', ?) ON CONFLICT DO UPDATE SET body = excluded.body`, notNil(b)); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM settings WHERE name >= ? AND name < ?`, snapshotLater, snapshotLater+"\U0010FFFF")
		return err
	})
	if err == nil {
		db.snapshot, db.added = laterName(b), 0
	}
	return err
}

// AddToSnapshot keeps what has changed since the last SaveSnapshot or AddToSnapshot of this DB. Durable when it returns nil.
func (db *DB) AddToSnapshot(b []byte) error {
	db.later.Lock()
	defer db.later.Unlock()
	if db.snapshot == "" {
		return errors.New("add to snapshot: none was saved")
	}
	if err := db.PutValue(fmt.Sprintf("%s%08d", db.snapshot, db.added), b); err != nil {
		return err
	}
	db.added++
	return nil
}

// Snapshot is the last saved snapshot, nil if none was ever saved, and what was added to it, in order.
func (db *DB) Snapshot() (whole []byte, later [][]byte, err error) {
	if whole, err = db.single("snapshot"); err != nil || len(whole) == 0 {
		return nil, nil, err
	}
	added, err := db.Values(laterName(whole))
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(added)) {
		later = append(later, added[name])
	}
	return whole, later, nil
}

func laterName(whole []byte) string { return snapshotLater + content.Sum(whole).String() + "/" }

// SaveDraft replaces the pending draft; nil or empty removes it.
func (db *DB) SaveDraft(b []byte) error { return db.saveSingle("draft", b, maxDraftBytes) }

// Draft is the pending draft; nil if there is none.
func (db *DB) Draft() ([]byte, error) { return db.single("draft") }

func (db *DB) saveSingle(name string, b []byte, maxBytes int) error {
	if err := limit(name, b, maxBytes); err != nil {
		return err
	}
	if len(b) == 0 {
		return db.exec("remove "+name, `DELETE FROM singles WHERE name = ?`, name)
	}
	return db.exec("save "+name, `INSERT INTO singles VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body`, name, b)
}

func (db *DB) single(name string) ([]byte, error) {
	var b []byte
	err := db.row("read "+name, `SELECT body FROM singles WHERE name = ?`, []any{name}, &b)
	return b, unlessMissing(err)
}

// PutValue keeps a small body under a name and replaces an older one.
func (db *DB) PutValue(name string, body []byte) error {
	if err := limit("value "+name[:min(len(name), maxValueName)], body, maxValueBytes); err != nil {
		return err
	}
	if err := limit("name", []byte(name), maxValueName); err != nil {
		return err
	}
	return db.exec("put value "+name, `INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body`, name, notNil(body))
}

// Value reads what PutValue kept. ErrNotFound.
func (db *DB) Value(name string) ([]byte, error) {
	var b []byte
	err := db.row("read value "+name[:min(len(name), maxValueName)], `SELECT body FROM settings WHERE name = ?`, []any{name}, &b)
	return b, err
}

// DropValue forgets a value; unknown is no error.
func (db *DB) DropValue(name string) error {
	return db.exec("drop value", `DELETE FROM settings WHERE name = ?`, name)
}

// notNil keeps an empty body from becoming NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
