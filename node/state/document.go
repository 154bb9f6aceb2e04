package state

import (
	"database/sql"
	"fmt"

	"patchmesh/content"
)

// maxDocBytes bounds a document: payload maps are the largest (content.MaxMapBytes), manifests may
// grow to 64 MiB.
const maxDocBytes = 64 << 20

// PutDoc keeps a document under its ID, in place of what the disk has made of it; kind is for DropDocs. *content.CorruptError if the body has
// another ID, ErrTooLarge.
func (db *DB) PutDoc(id content.ID, kind string, body []byte) error {
	if err := limit("document "+id.Short(), body, maxDocBytes); err != nil {
		return err
	}
	if got := content.Sum(body); got != id {
		return fmt.Errorf("put document: %w", &content.CorruptError{Want: id, Got: got, SizeBytes: len(body)})
	}
	sum := id.SHA256()
	return db.exec("put document "+id.Short(), `INSERT INTO docs VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET kind = excluded.kind, body = excluded.body`,
		sum[:], kind, notNil(body))
}

// Doc reads a document. ErrNotFound; ErrDamaged if what the disk gave is not what was put.
func (db *DB) Doc(id content.ID) ([]byte, error) {
	var b []byte
	sum := id.SHA256()
	if err := db.row("document "+id.Short(), `SELECT body FROM docs WHERE id = ?`, []any{sum[:]}, &b); err != nil {
		return nil, err
	}
	if content.Sum(b) != id {
		return nil, fmt.Errorf("document %s: %w", id.Short(), ErrDamaged)
	}
	return b, nil
}

// HasDoc says whether a document is there.
func (db *DB) HasDoc(id content.ID) (bool, error) {
	var n int
	sum := id.SHA256()
	err := db.row("look for document "+id.Short(), `SELECT count(*) FROM docs WHERE id = ?`, []any{sum[:]}, &n)
	return n > 0, err
}

// DropDocs removes every document that keep does not want. keep must not call the database.
func (db *DB) DropDocs(keep func(id content.ID, kind string) bool) (dropped int, err error) {
	err = db.change("drop documents", func(tx *sql.Tx) error {
		gone, err := unwanted(tx, keep)
		if err != nil {
			return err
		}
		for _, id := range gone {
			sum := id.SHA256()
			if _, err := tx.Exec(`DELETE FROM docs WHERE id = ?`, sum[:]); err != nil {
				return err
			}
		}
		dropped = len(gone)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return dropped, nil
}

func unwanted(tx *sql.Tx, keep func(content.ID, string) bool) ([]content.ID, error) {
	rs, err := tx.Query(`SELECT id, kind FROM docs ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	var gone []content.ID
	for rs.Next() {
		var raw []byte
		var kind string
		if err := rs.Scan(&raw, &kind); err != nil {
			return nil, err
		}
		if len(raw) != 32 {
			return nil, fmt.Errorf("document id of %d bytes: %w", len(raw), ErrDamaged)
		}
		if id := content.FromSHA256([32]byte(raw)); !keep(id, kind) {
			gone = append(gone, id)
		}
	}
	return gone, rs.Err()
}
