package state

import (
	"database/sql"
	"errors"
)

const (
	maxTrafficText = 256 // of an update's id, a site, a tier
	// maxBooked bounds the updates and tiers that a machine's word is booked of, together: one in bad hands could name new
	// ones with every report.
	maxBooked = 1 << 17
)

// TrafficRow is payload bytes that moved on one day (UTC), by machine, update and tier.
type TrafficRow struct {
	Day     string // 2026-11-25
	Machine string
	Site    string
	Update  string
	Tier    string
	Bytes   int64
}

// AddTraffic adds to what is booked. It is a hint: a power cut may lose the last seconds. values are
// kept as PutValue does in the same transaction, so that a counter and what explains it agree; nil drops one.
func (db *DB) AddTraffic(rows []TrafficRow, values map[string][]byte) error {
	return db.hint("book traffic", func(tx *sql.Tx) error {
		if err := addTraffic(tx, rows); err != nil {
			return err
		}
		for name, body := range values {
			if err := errors.Join(limit("value "+name, body, maxValueBytes), limit("name", []byte(name), maxValueName)); err != nil {
				return err
			}
		}
		return putValues(tx, values)
	})
}

func addTraffic(tx *sql.Tx, rows []TrafficRow) error {
	for _, r := range rows {
		for _, text := range []string{r.Day, r.Machine, r.Site, r.Update, r.Tier} {
			if err := limit("traffic", []byte(text), maxTrafficText); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`INSERT INTO traffic VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes, site = excluded.site`,
			r.Machine, r.Update, r.Tier, r.Day, r.Site, r.Bytes)
		if err != nil {
			return err
		}
	}
	return nil
}

// CatchUpTraffic books the totals that a machine reports, as far as they are more than what is booked of it
// already, on the day of the rows. Reports may come twice, late or not at all: the sums end up right.
func (db *DB) CatchUpTraffic(machine string, totals []TrafficRow) error {
	return db.hint("book traffic of "+machine, func(tx *sql.Tx) error {
		booked, err := bookedOf(tx, machine)
		if err != nil {
			return err
		}
		var add []TrafficRow
		for _, r := range totals {
			key := [2]string{r.Update, r.Tier}
			have, known := booked[key]
			if !known && len(booked) >= maxBooked {
				continue
			}
			if r.Bytes -= have; r.Bytes > 0 {
				booked[key] = have + r.Bytes
				r.Machine = machine
				add = append(add, r)
			}
		}
		return addTraffic(tx, add)
	})
}

func bookedOf(tx *sql.Tx, machine string) (map[[2]string]int64, error) {
	rs, err := tx.Query(`SELECT "update", tier, sum(bytes) FROM traffic WHERE machine = ? GROUP BY "update", tier`, machine)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	booked := map[[2]string]int64{}
	for rs.Next() {
		var key [2]string
		var bytes int64
		if err := rs.Scan(&key[0], &key[1], &bytes); err != nil {
			return nil, err
		}
		booked[key] = bytes
	}
	return booked, rs.Err()
}

// Traffic lists what is booked from one day to another, both included; by machine, update, tier and day.
func (db *DB) Traffic(fromDay, toDay string) ([]TrafficRow, error) {
	return rows(db, "read traffic", `SELECT day, machine, site, "update", tier, bytes FROM traffic WHERE day BETWEEN ? AND ?
		ORDER BY machine, "update", tier, day`, []any{fromDay, toDay},
		func(r *TrafficRow, scan func(...any) error) error {
			return scan(&r.Day, &r.Machine, &r.Site, &r.Update, &r.Tier, &r.Bytes)
		})
}

// TrafficTotals sums up all that is booked, by tier.
func (db *DB) TrafficTotals() (map[string]int64, error) {
	list, err := rows(db, "read traffic", `SELECT tier, sum(bytes) FROM traffic GROUP BY tier`, nil,
		func(r *TrafficRow, scan func(...any) error) error { return scan(&r.Tier, &r.Bytes) })
	out := map[string]int64{}
	for _, r := range list {
		out[r.Tier] = r.Bytes
	}
	return out, err
}
