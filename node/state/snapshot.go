package state

// Sizes of what is kept once or under a name.
const (
	maxSnapshotBytes = 64 << 20
	maxDraftBytes    = 64 << 20
	maxValueBytes    = 4 << 20
	maxValueName     = 256
)

// SaveSnapshot replaces the core's snapshot. Durable when it returns nil.
func (db *DB) SaveSnapshot(b []byte) error { return db.saveSingle("snapshot", b, maxSnapshotBytes) }

// Snapshot is the last saved snapshot; nil if none was ever saved.
func (db *DB) Snapshot() ([]byte, error) { return db.single("snapshot") }

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
