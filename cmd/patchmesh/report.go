package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) reportCmd() *cobra.Command {
	c := &cobra.Command{
		Use:     "report",
		Short:   "sums over a period",
		Long:    "report sums up what machines have reported.\n" + exits,
		Example: "  patchmesh report bytes --period month\n  patchmesh report ledger --site north",
	}
	c.AddCommand(a.reportBytesCmd(), a.reportLedgerCmd())
	return c
}

func (a *app) reportBytesCmd() *cobra.Command {
	var q api.BytesQuery
	var since, until, period string
	var asTable bool
	c := &cobra.Command{
		Use:   "bytes",
		Short: "bytes moved and saved, by site, machine, update, tier or day",
		Long: "bytes shows what came over the WAN and what the mesh saved: payload bytes that arrived from a nearer machine and would have\n" +
			"crossed the WAN without it. On a seed it covers the fleet, elsewhere this machine. Days are days in UTC; on a seed a\n" +
			"byte counts on the day that it was reported.\n" + exits,
		Example: `  patchmesh report bytes --since 7d --by update
  patchmesh report bytes --period month --by site --json
  patchmesh report bytes --by day --csv > bytes.csv`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if asTable && a.json {
				return errTableAndJSON
			}
			if err := readPeriod(&q, since, until, period, time.Now().UTC()); err != nil {
				return err
			}
			return a.bookkeeper(func(b api.Bookkeeper) error {
				r, err := b.BytesReport(c.Context(), q)
				if err != nil {
					return err
				}
				if asTable {
					return bytesTable(a.out, r)
				}
				return a.print(r, func(w io.Writer) { writeBytes(w, r) })
			})
		},
	}
	f := c.Flags()
	f.BoolVar(&asTable, "csv", false, "print comma-separated values, in bytes")
	f.StringVar(&q.By, "by", "site", "site, machine, update, tier or day")
	f.StringVar(&since, "since", "", "first day, as 2026-11-01, or how long ago, as 7d (default: from the beginning)")
	f.StringVar(&until, "until", "", "last day, as 2026-11-30 (default: today)")
	f.StringVar(&period, "period", "", "day, week, month or year: since this one began")
	return c
}

// readPeriod turns the flags into days.
func readPeriod(q *api.BytesQuery, since, until, period string, now time.Time) (err error) {
	if since != "" && period != "" {
		return api.Errorf(api.ClassUsage, "--since and --period exclude each other")
	}
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	switch period {
	case "":
	case "day":
		q.Since = today
	case "week": // of ISO 8601: it begins on Monday
		q.Since = today.AddDate(0, 0, -int(now.Weekday()+6)%7)
	case "month":
		q.Since = today.AddDate(0, 0, 1-now.Day())
	case "year":
		q.Since = time.Date(now.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	default:
		return api.Errorf(api.ClassUsage, "there is no period %q", api.Clean(period)).WithHint("day, week, month or year")
	}
	if since != "" {
		if q.Since, err = readDay(since, now); err != nil {
			return err
		}
	}
	if until != "" {
		if q.Until, err = readDay(until, now); err != nil {
			return err
		}
	}
	if !q.Until.IsZero() && q.Until.Before(q.Since) {
		return api.Errorf(api.ClassUsage, "the period ends before it begins")
	}
	return nil
}

func readDay(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	if d, err := api.ParseSpan(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, api.Errorf(api.ClassUsage, "%q is no day", api.Clean(text)).WithHint("a day is given as 2026-11-01, or as 7d for seven days ago")
}

func writeBytes(w io.Writer, r *api.BytesReport) {
	from := r.Since
	if from == "" {
		from = "the beginning"
	}
	fmt.Fprintf(w, "bytes by %s, from %s to %s\n\n", r.By, from, r.Until)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tOVER THE WAN\tSAVED\tSAVED\tSUBNET\tSITE\tCACHE\tOTHER\tWASTED\tTWICE\tGIVEN\n", strings.ToUpper(r.By))
	line := func(key string, b api.BytesRow) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%.0f %%\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key, api.Size(b.WANBytes), api.Size(b.SavedBytes), b.SavedPercent, api.Size(b.Bytes.Subnet),
			api.Size(b.Bytes.Site), api.Size(b.Bytes.Cache), api.Size(b.Bytes.Media+b.Bytes.Neighbour), api.Size(b.Bytes.Wasted), api.Size(b.Bytes.Duplicate), api.Size(b.SentBytes))
	}
	for _, b := range r.Rows {
		key := api.Clean(b.Key)
		if b.Name != "" {
			key = api.Clean(b.Name)
		} else if r.By == "machine" {
			key = shortID(key)
		}
		line(key, b)
	}
	line("all", r.Total)
	_ = t.Flush()
}
