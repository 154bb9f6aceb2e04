package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// kept is what the one connection of the writer keeps.
func kept(t *testing.T, db *DB) map[string]*statement {
	t.Helper()
	c, err := db.write.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out map[string]*statement
	if err := c.Raw(func(c any) error {
		out = c.(*keepingConn).kept
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAStatementIsPreparedOnce(t *testing.T) {
	db := openDB(t)
	if err := db.PutValue("a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	before := len(kept(t, db))
	for i := range 5 {
		if err := db.PutValue(fmt.Sprint(i), []byte("2")); err != nil {
			t.Fatal(err)
		}
	}
	if after := len(kept(t, db)); before == 0 || after != before {
		t.Errorf("%d statements are kept after one change, %d after more of the same kind", before, after)
	}
}

func TestAStatementServesTwiceAtOnce(t *testing.T) {
	db := openDB(t)
	for _, name := range []string{"a", "b", "c"} {
		if err := db.PutValue(name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	const names = `SELECT name FROM settings WHERE name >= ? ORDER BY name`
	var got string
	err := db.change("read", func(tx *sql.Tx) error {
		var first string
		if err := tx.QueryRow(names, "").Scan(&first); err != nil { // from now on it is kept
			return err
		}
		outer, err := tx.Query(names, "a")
		if err != nil {
			return err
		}
		defer outer.Close()
		for outer.Next() {
			var name, second string
			if err := outer.Scan(&name); err != nil {
				return err
			}
			if err := tx.QueryRow(names, name).Scan(&second); err != nil {
				return err
			}
			got += name + second
		}
		return outer.Err()
	})
	if err != nil || got != "aabbcc" {
		t.Errorf("read %q, %v", got, err)
	}
	for query, s := range kept(t, db) {
		if s.busy {
			t.Errorf("still in use: %s", query)
		}
	}
}

func TestAFailedStatementIsNoHindrance(t *testing.T) {
	db := openDB(t)
	const insert = `INSERT INTO settings VALUES (?, ?)`
	put := func(name string) error {
		return db.exec("put", insert, name, []byte("x"))
	}
	if err := errors.Join(put("a"), put("b")); err != nil {
		t.Fatal(err)
	}
	var e *sqlite.Error
	if err := put("a"); !errors.As(err, &e) || e.Code()&0xff != sqlite3.SQLITE_CONSTRAINT {
		t.Fatalf("a second row of the same name: %v", err)
	}
	if kept(t, db)[insert] != nil {
		t.Error("the statement that failed is kept")
	}
	if err := put("c"); err != nil {
		t.Error(err)
	}
}

func TestKeptStatementsAreBounded(t *testing.T) {
	db := openDB(t)
	for i := range 2 * keptStatements {
		if err := db.exec("read", fmt.Sprintf(`DELETE FROM settings WHERE name = 'x%d'`, i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(kept(t, db)); n != keptStatements {
		t.Errorf("%d statements are kept, want %d", n, keptStatements)
	}
}

// A statement that is kept holds no view of the database open: the log could never be cut.
func TestKeptStatementsLetTheLogGo(t *testing.T) {
	db := openDB(t)
	if err := db.PutValue("a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Value("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Value("none"); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := db.Waiting(); err != nil {
		t.Fatal(err)
	}
	if err := db.PutValue("a", []byte("2")); err != nil {
		t.Fatal(err)
	}
	var busy, log, moved int
	if err := db.write.QueryRow(`PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &moved); err != nil || busy != 0 || log != 0 {
		t.Errorf("checkpoint: busy %d, %d frames left, %v", busy, log, err)
	}
}

func BenchmarkReportOnItsWay(b *testing.B) {
	db, err := Open(filepath.Join(b.TempDir(), "state.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	body := make([]byte, 3000)
	for i := range b.N {
		err := db.PutOutbox("m", uint64(i+1), body)
		if err == nil {
			_, _, err = db.Outbox("m")
		}
		if err == nil {
			err = db.AckOutbox("m", uint64(i+1))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
