package state

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"patchmesh/content"
)

const (
	maxDescriptorBytes = 1 << 20
	maxGroupText       = 128
)

// CatalogueRow is one revision of an update on the seed.
type CatalogueRow struct {
	Update     string
	Revision   int
	Descriptor content.ID
	Body       []byte // the encoded descriptor
	At         time.Time
}

// PutUpdate adds a revision. Putting the same one again changes nothing; another descriptor under
// the same number is refused, since approvals may name it already.
func (db *DB) PutUpdate(r CatalogueRow) error {
	if err := errors.Join(checkUpdate(r.Update), limit("descriptor of "+r.Update, r.Body, maxDescriptorBytes)); err != nil {
		return err
	}
	if got := content.Sum(r.Body); got != r.Descriptor {
		return fmt.Errorf("put update %s: %w", r.Update, &content.CorruptError{Want: r.Descriptor, Got: got, SizeBytes: len(r.Body)})
	}
	return db.change("put update "+r.Update, func(tx *sql.Tx) error {
		sum := r.Descriptor.SHA256()
		var have []byte
		err := tx.QueryRow(`SELECT descriptor FROM catalogue WHERE "update" = ? AND revision = ?`, r.Update, r.Revision).Scan(&have)
		switch {
		case err == nil && string(have) == string(sum[:]):
			return nil
		case err == nil:
			return fmt.Errorf("revision %d has another descriptor already", r.Revision)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		_, err = tx.Exec(`INSERT INTO catalogue VALUES (?, ?, ?, ?, ?)`, r.Update, r.Revision, sum[:], r.Body, toDB(r.At))
		return err
	})
}

const catalogueColumns = `SELECT "update", revision, descriptor, body, at FROM catalogue `

// Update is the latest revision of an update. ErrNotFound.
func (db *DB) Update(id string) (CatalogueRow, error) {
	return db.catalogueRow(id, `WHERE "update" = ? ORDER BY revision DESC LIMIT 1`, id)
}

// UpdateRevision is one revision of an update. ErrNotFound.
func (db *DB) UpdateRevision(id string, revision int) (CatalogueRow, error) {
	return db.catalogueRow(id, `WHERE "update" = ? AND revision = ?`, id, revision)
}

func (db *DB) catalogueRow(id, which string, args ...any) (CatalogueRow, error) {
	all, err := rows(db, "read update", catalogueColumns+which, args, scanCatalogue)
	if err != nil {
		return CatalogueRow{}, err
	}
	if len(all) == 0 {
		return CatalogueRow{}, fmt.Errorf("update %q: %w", id[:min(len(id), maxUpdateText)], ErrNotFound)
	}
	return all[0], nil
}

// Updates lists the latest revision of every update, newest last.
func (db *DB) Updates() ([]CatalogueRow, error) {
	return rows(db, "read catalogue", catalogueColumns+
		`AS c WHERE revision = (SELECT max(revision) FROM catalogue WHERE "update" = c."update") ORDER BY at, "update"`, nil, scanCatalogue)
}

func scanCatalogue(r *CatalogueRow, scan func(...any) error) error {
	var at int64
	var sum []byte
	if err := scan(&r.Update, &r.Revision, &sum, &r.Body, &at); err != nil {
		return err
	}
	if len(sum) != 32 {
		return fmt.Errorf("descriptor id of %d bytes: %w", len(sum), ErrDamaged)
	}
	r.Descriptor, r.At = content.FromSHA256([32]byte(sum)), fromDB(at)
	return nil
}

// GroupRow is a group that the admin made.
type GroupRow struct {
	Name   string
	Parent string // empty: top level
}

// PutGroup makes a group. One that exists keeps its parent unless a new one is named.
func (db *DB) PutGroup(name, parent string) error {
	if name == "" || len(name) > maxGroupText || len(parent) > maxGroupText {
		return fmt.Errorf("group name of %d and parent of %d characters: %w", len(name), len(parent), ErrTooLarge)
	}
	return db.exec("put group "+name, `INSERT INTO groups VALUES (?, ?)
		ON CONFLICT DO UPDATE SET parent = excluded.parent WHERE excluded.parent <> ''`, name, parent)
}

// DropGroup forgets a group and its parent. One that is not there is no error.
func (db *DB) DropGroup(name string) error {
	return db.exec("drop group "+name, `DELETE FROM groups WHERE name = ?`, name)
}

// Groups lists the groups by name.
func (db *DB) Groups() ([]GroupRow, error) {
	return rows(db, "read groups", `SELECT name, parent FROM groups ORDER BY name`, nil,
		func(r *GroupRow, scan func(...any) error) error { return scan(&r.Name, &r.Parent) })
}
