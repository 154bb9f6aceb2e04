package state

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"
)

// DB is an open state.db. All methods are safe for concurrent use.
type DB struct {
	path string
	read *sql.DB // several connections that cannot write

	writing sync.Mutex // held around every use of write and hasty
	write   *sql.DB    // one connection; a commit is durable
	hasty   *sql.DB    // one connection; a commit may be lost with the power

	later    sync.Mutex // held around every write of the snapshot
	snapshot string     // what names of additions to it begin with; empty: none was saved by this DB
	added    int

	watch func(what string, done bool)
}

// Watch has f called before and after every durable change, with no lock held: where a test cuts the
// power. Set it before the first use.
func (db *DB) Watch(f func(what string, done bool)) { db.watch = f }

const (
	maxReaders = 4
	// applicationID marks the file as ours ("pMsh"), so that another program's database is not taken
	// for an old one of ours.
	applicationID = 0x704d7368
)

// IsOurs says whether an open file has the mark of a database of ours, from its header alone (SQLite file format,
// section 1.3). An empty one that was just made has none.
func IsOurs(f io.ReaderAt) bool {
	head := make([]byte, 72)
	if n, _ := f.ReadAt(head, 0); n < len(head) {
		return false
	}
	return string(head[:16]) == "SQLite format 3\x00" && binary.BigEndian.Uint32(head[68:]) == applicationID
}

// Open opens the database at path and makes it if there is none; its folder must exist. ErrDamaged
// and ErrNewerSchema name the file and leave it as it is.
func Open(path string) (*DB, error) {
	db, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, classify(err))
	}
	return db, nil
}

func open(path string) (*DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// Made by us, so that it is private from the start; the engine gives its other files the same mode.
	f, err := os.OpenFile(abs, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	db := &DB{path: abs}
	db.write = connect(abs, 1, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)")
	db.hasty = connect(abs, 1, "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(ON)")
	db.read = connect(abs, maxReaders, "query_only(ON)")
	if err := db.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// connect makes a pool. Nothing is opened before its first use.
func connect(path string, conns int, pragmas ...string) *sql.DB {
	q := url.Values{"_pragma": append([]string{"busy_timeout(10000)", "trusted_schema(OFF)"}, pragmas...), "_txlock": {"immediate"}}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: q.Encode()}
	engine, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		panic(err) // every part of it is ours: our bug
	}
	pool := sql.OpenDB(keeping{engine})
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return pool
}

// prepare checks the file before anything is written to it and brings the schema up to date.
func (db *DB) prepare() error {
	// Looking comes first, through a connection that changes nothing: setting WAL mode writes to the
	// file, and a file that is not ours must stay as it is.
	look := connect(db.path, 1, "query_only(ON)")
	empty, version, err := inspect(look)
	if err = errors.Join(err, look.Close()); err != nil {
		return err
	}
	if version > len(steps) {
		return fmt.Errorf("schema %d, this version knows %d: %w", version, len(steps), ErrNewerSchema)
	}
	if empty {
		if _, err := db.write.Exec(fmt.Sprintf("PRAGMA application_id=%d", applicationID)); err != nil {
			return err
		}
	}
	for ; version < len(steps); version++ {
		if err := db.step(version); err != nil {
			return fmt.Errorf("schema step %d: %w", version+1, err)
		}
	}
	return nil
}

// inspect says whether the file is empty and which schema it has, or why it is not usable.
func inspect(look *sql.DB) (empty bool, version int, err error) {
	var app, tables int
	err = errors.Join(
		look.QueryRow("PRAGMA user_version").Scan(&version),
		look.QueryRow("PRAGMA application_id").Scan(&app),
		look.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables),
	)
	if err != nil {
		return false, 0, err
	}
	if app == 0 && tables == 0 && version == 0 {
		return true, 0, nil
	}
	// A crash between marking the file and the first step leaves it marked and without tables.
	if app != applicationID || version < 0 {
		return false, 0, fmt.Errorf("this is another program's database: %w", ErrDamaged)
	}
	var verdict string
	if err := look.QueryRow("PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return false, 0, err
	}
	if verdict != "ok" {
		return false, 0, fmt.Errorf("%s: %w", verdict, ErrDamaged)
	}
	return false, version, nil
}

// step takes the schema from number to number+1, all or nothing.
func (db *DB) step(number int) error {
	tx, err := db.write.Begin()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(steps[number]); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if _, err := tx.Exec(fmt.Sprintf("PRAGMA user_version=%d", number+1)); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// Close ends all use of the database.
func (db *DB) Close() error {
	return errors.Join(db.read.Close(), db.hasty.Close(), db.write.Close())
}

// change runs f in a transaction that is durable when change returns nil.
func (db *DB) change(what string, f func(*sql.Tx) error) error {
	if db.watch == nil {
		return db.transact(what, db.write, f)
	}
	db.watch(what, false)
	err := db.transact(what, db.write, f)
	db.watch(what, true)
	return err
}

// hint runs f in a transaction that may be lost with the power.
func (db *DB) hint(what string, f func(*sql.Tx) error) error { return db.transact(what, db.hasty, f) }

func (db *DB) transact(what string, pool *sql.DB, f func(*sql.Tx) error) error {
	db.writing.Lock()
	defer db.writing.Unlock()
	tx, err := pool.BeginTx(context.Background(), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, classify(err))
	}
	if err := f(tx); err != nil {
		if rerr := tx.Rollback(); rerr != nil && !errors.Is(rerr, sql.ErrTxDone) {
			err = errors.Join(err, rerr)
		}
		return fmt.Errorf("%s: %w", what, classify(err))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: %w", what, classify(err))
	}
	return nil
}

// exec is a change of one statement.
func (db *DB) exec(what, query string, args ...any) error {
	return db.change(what, func(tx *sql.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
}

// row reads one row; ErrNotFound if there is none.
func (db *DB) row(what, query string, args []any, dest ...any) error {
	err := db.read.QueryRow(query, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, classify(err))
	}
	return nil
}

// rows reads all rows with scan, which makes one element of each.
func rows[T any](db *DB, what, query string, args []any, scan func(*T, func(...any) error) error) ([]T, error) {
	rs, err := db.read.Query(query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, classify(err))
	}
	defer rs.Close()
	var out []T
	for rs.Next() {
		var x T
		if err := scan(&x, rs.Scan); err != nil {
			return nil, fmt.Errorf("%s: %w", what, classify(err))
		}
		out = append(out, x)
	}
	if err := rs.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, classify(err))
	}
	return out, nil
}

// limit refuses a body that is larger than its kind may be.
func limit(what string, body []byte, maxBytes int) error {
	if len(body) > maxBytes {
		return fmt.Errorf("%s of %d bytes: %w", what, len(body), ErrTooLarge)
	}
	return nil
}

// toDB and fromDB keep times as microseconds; 0 is the zero time.
func toDB(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromDB(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
