package state

import (
	"database/sql"
	"time"
)

const (
	maxAddrText = 512
	keptPeers   = 1000
)

// PeerRow is where a peer was seen.
type PeerRow struct {
	ID     string
	Addr   string
	SeenAt time.Time
}

// PutPeer remembers an address for the next start. It is a hint: a power cut may lose it. Beyond
// 1000 addresses those seen longest ago are forgotten.
func (db *DB) PutPeer(id, addr string, seenAt time.Time) error {
	if err := checkMachine(id, nil); err != nil {
		return err
	}
	if err := limit("address", []byte(addr), maxAddrText); err != nil {
		return err
	}
	return db.hint("remember peer "+id, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO peers VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)`,
			id, addr, toDB(seenAt))
		if err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM peers WHERE rowid IN (SELECT rowid FROM peers ORDER BY seen_at DESC, rowid DESC LIMIT -1 OFFSET ?)`, keptPeers)
		return err
	})
}

// KnownPeers lists addresses, seen latest first, at most limit.
func (db *DB) KnownPeers(limit int) ([]PeerRow, error) {
	return rows(db, "read peers", `SELECT id, addr, seen_at FROM peers ORDER BY seen_at DESC, id, addr LIMIT ?`, []any{max(limit, 0)},
		func(r *PeerRow, scan func(...any) error) error {
			var seen int64
			err := scan(&r.ID, &r.Addr, &seen)
			r.SeenAt = fromDB(seen)
			return err
		})
}

// DropPeer forgets all addresses of a peer.
func (db *DB) DropPeer(id string) error {
	return db.exec("forget peer", `DELETE FROM peers WHERE id = ?`, id)
}
