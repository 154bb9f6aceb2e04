package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"patchmesh/node/api"
)

// table writes facts as comma-separated values, for spreadsheets. Names in it come from other machines: one that a
// spreadsheet would take for a formula gets a quote in front, as people type it there.
func table(w io.Writer, header []string, rows [][]string) error {
	out := csv.NewWriter(w)
	_ = out.Write(header) // WriteAll tells of the first error
	for _, r := range rows {
		for i, cell := range r {
			cell = api.Clean(cell)
			if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
				cell = "'" + cell
			}
			r[i] = cell
		}
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

var errTableAndJSON = api.Errorf(api.ClassUsage, "either --csv or --json")

func number(n int64) string { return strconv.FormatInt(n, 10) }

// fleetTable is a row for each machine and update; a machine that knows of none has one with empty columns.
func fleetTable(w io.Writer, f *api.Fleet) error {
	header := []string{"machine", "id", "site", "groups", "online", "last_contact", "last_report", "last_scan", "epoch", "update", "revision", "compliance",
		"state", "reason", "since", "stored_bytes", "have_bytes", "wan_bytes", "subnet_bytes", "site_bytes", "media_bytes", "neighbour_bytes", "wasted_bytes", "duplicate_bytes", "cache_bytes", "cache"}
	var rows [][]string
	for _, m := range f.Machines {
		updates := m.Updates
		if len(updates) == 0 {
			updates = []api.Update{{Reason: m.Reason}}
		}
		for _, u := range updates {
			b := u.Bytes
			rows = append(rows, []string{m.Name, m.ID, m.Site, strings.Join(m.Groups, " "), strconv.FormatBool(m.Online), stamp(m.LastContact), stamp(m.LastReport), stamp(m.LastScan),
				strconv.FormatUint(m.Epoch, 10), u.Update, strconv.Itoa(u.Revision), u.Compliance, u.State, u.Reason, stamp(u.Since), number(u.StoredBytes), number(u.HaveBytes),
				number(b.WAN()), number(b.Subnet), number(b.Site), number(b.Media), number(b.Neighbour), number(b.Wasted), number(b.Duplicate), number(b.Cache), strconv.FormatBool(m.Cache)})
		}
	}
	return table(w, header, rows)
}

// bytesTable is a row for each key of the report, without the sum: a spreadsheet makes its own.
func bytesTable(w io.Writer, r *api.BytesReport) error {
	var rows [][]string
	for _, b := range r.Rows {
		t := b.Bytes
		rows = append(rows, []string{b.Key, b.Name, number(b.WANBytes), number(b.SavedBytes), number(t.Subnet), number(t.Site), number(t.Media), number(t.Neighbour),
			number(t.Seed), number(t.Origin), number(t.Wasted), number(t.Duplicate), number(b.SentBytes), number(t.Cache)})
	}
	return table(w, []string{r.By, "name", "wan_bytes", "saved_bytes", "subnet_bytes", "site_bytes", "media_bytes", "neighbour_bytes", "seed_bytes", "origin_bytes", "wasted_bytes", "duplicate_bytes", "sent_bytes", "cache_bytes"}, rows)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
