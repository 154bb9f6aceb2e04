package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"patchmesh/node/api"
	"patchmesh/sim"
)

// whatIf is what approve is told about a forecast.
type whatIf struct {
	on, countOff bool
	lines        []string
	seedLine     string
	seed         uint64
}

const whatIfHelp = "With --what-if nothing is signed or changed: the decisions that machines run are run in virtual time, on the fleet as\n" +
	"the seed knows it, and what would happen is told: machines, bytes over each line, when half, 95 % and all are done,\n" +
	"and which sites miss the deadline and why. Rates of lines come from --line, else from limits and transfers that\n" +
	"machines have reported; what nobody has said is listed as an assumption, and for how many\n" +
	"machines of which sites the time zone was guessed.\n"

func (w *whatIf) flags(f *pflag.FlagSet) {
	f.BoolVar(&w.on, "what-if", false, "tell what would happen, and sign nothing")
	f.StringArrayVar(&w.lines, "line", nil, "with --what-if: what the line of a site carries, SITE=RATE (branch=2Mbit), or RATE for all others")
	f.StringVar(&w.seedLine, "seed-line", "", "with --what-if: what the seed's own line carries outwards, like 100Mbit")
	f.BoolVar(&w.countOff, "count-off", false, "with --what-if: take machines that are off to be on")
	f.Uint64Var(&w.seed, "random-seed", 1, "with --what-if: chance follows from it; the same seed gives the same answer")
}

func (w *whatIf) given() bool { return len(w.lines) > 0 || w.seedLine != "" || w.countOff }

// What is taken for a line of which nobody has said anything.
const (
	guessedLine     = 20e6 / 8
	guessedSeedLine = 1e9 / 8
	guessedLAN      = 1e9 / 8
	guessedDelay    = 15 * time.Millisecond
)

// whatIf makes a forecast and prints it.
func (a *app) whatIf(ctx context.Context, r api.ApproveRequest, w whatIf) error {
	var p *api.Prospect
	err := a.onSeed(func(s api.Service) (err error) {
		prophet, ok := s.(api.Prophet)
		if !ok {
			return api.Errorf(api.ClassFailed, "this node cannot tell what its fleet looks like").WithHint("is it older than this program?")
		}
		p, err = prophet.WhatIf(ctx, r)
		return err
	})
	if err != nil {
		return err
	}
	fleet, said, err := fleetOf(p, w)
	if err != nil {
		return err
	}
	o := sim.ForecastOptions{Seed: w.seed, Stop: func() bool { return ctx.Err() != nil }}
	if term.IsTerminal(int(os.Stderr.Fd())) && !a.json {
		o.Beat = func(at time.Time, done, of int) {
			fmt.Fprintf(a.errOut, "\r%s: %d of %d machines done ", at.UTC().Format("2006-01-02 15:04:05"), done, of)
		}
		defer fmt.Fprintln(a.errOut)
	}
	f, err := fleet.Forecast(o)
	switch {
	case errors.Is(err, sim.ErrStopped):
		return api.Errorf(api.ClassFailed, "no forecast: it was interrupted").WithHint("nothing was signed or changed")
	case err != nil:
		return api.Errorf(api.ClassFailed, "no forecast: %v", err)
	}
	f.Assumptions = append(said, f.Assumptions...)
	return a.print(f, func(out io.Writer) { writeForecast(out, f) })
}

// lines are the rates that the admin has stated; the one of the empty name is for all others.
func (w *whatIf) rates() (map[string]float64, error) {
	out := map[string]float64{}
	for _, text := range w.lines {
		site, value, named := strings.Cut(text, "=")
		if !named {
			site, value = "", text
		}
		n, err := api.ParseRate(value)
		if err != nil {
			return nil, api.Errorf(api.ClassUsage, "--line %s: %v", api.Clean(text), err).WithHint("like --line branch=2Mbit, or --line 50Mbit for all others")
		}
		out[site] = float64(n)
	}
	return out, nil
}

// fleetOf puts what the seed knows into the simulator's words, and says what was taken for granted.
func fleetOf(p *api.Prospect, w whatIf) (*sim.Fleet, []string, error) {
	stated, err := w.rates()
	if err != nil {
		return nil, nil, err
	}
	f := &sim.Fleet{
		At: p.AsOf, Update: p.Update, Manifest: p.Manifest, Descriptors: p.Descriptors, SeedSite: p.SeedSite, SeedUp: guessedSeedLine,
	}
	said := []string{}
	if w.seedLine != "" {
		n, err := api.ParseRate(w.seedLine)
		if err != nil {
			return nil, nil, api.Errorf(api.ClassUsage, "--seed-line: %v", err).WithHint("like --seed-line 100Mbit")
		}
		f.SeedUp = float64(n)
	} else {
		said = append(said, "the seed's own line carries "+mbit(f.SeedUp)+" (--seed-line states it)")
	}
	var known []string
	for _, s := range p.Sites {
		site, from := siteOf(s, p, stated)
		f.Sites = append(f.Sites, site)
		known = append(known, s.Site)
		if from != "" {
			said = append(said, from)
		}
	}
	for site := range stated {
		if site != "" && !slices.Contains(known, site) {
			return nil, nil, api.Errorf(api.ClassNotFound, "--line names the site %q, which has no machines", api.Clean(site)).WithHint("sites: %s", strings.Join(known, ", "))
		}
	}
	said = append(said, "each machine's own link carries "+mbit(guessedLAN)+", and within a site there is room for all of them")
	for i := range p.Machines {
		f.Machines = append(f.Machines, machineOf(&p.Machines[i], p, w))
	}
	waysOut(f, p, &said)
	if p.Pending {
		said = append(said, "the draft that waits for signatures is signed together with this")
	}
	return f, said, nil
}

// siteOf takes the rate of a line from the best that is known: the admin, what was measured, or a guess.
func siteOf(s api.ProspectSite, p *api.Prospect, stated map[string]float64) (site sim.FleetSite, from string) {
	site = sim.FleetSite{
		Name: s.Site, WAN: guessedLine, LAN: guessedLAN, Delay: guessedDelay,
		DayBytes: s.DayLimit, MonthBytes: s.MonthLimit, Zone: s.Zone, Strict: s.Strict, DaySpent: s.DayBytes, MonthSpent: s.MonthBytes,
	}
	if s.RTTSeconds > 0 {
		site.Delay = time.Duration(s.RTTSeconds / 2 * float64(time.Second))
	}
	one, isOne := stated[s.Site]
	rest, isRest := stated[""]
	switch {
	case s.Site == p.SeedSite:
	case isOne:
		site.WAN = one
	case s.BytesPerSec > 0:
		site.WAN = s.BytesPerSec
		from = fmt.Sprintf("the line of %s carries %s, as measured with %s (--line %s=RATE states it)", s.Site, mbit(site.WAN), s.MeasuredBy, s.Site)
	case isRest:
		site.WAN = rest
	default:
		from = fmt.Sprintf("the line of %s carries %s: nobody has said or measured it (--line %s=RATE states it)", s.Site, mbit(site.WAN), s.Site)
	}
	return site, from
}

func machineOf(m *api.Machine, p *api.Prospect, w whatIf) sim.FleetMachine {
	zone, told := p.Zones[m.ID]
	out := sim.FleetMachine{
		ID: m.ID, Name: m.Name, Site: m.Site, Groups: m.Groups, Zone: first(zone, p.Zone), ZoneGuessed: !told, Egress: m.Egress, Cache: m.Cache, On: m.Online || w.countOff, LastContact: m.LastContact,
		Installed: map[string]int{}, Have: map[string]int64{},
	}
	for _, u := range m.Updates {
		switch u.Compliance {
		case "installed", "superseded-present":
			out.Installed[u.Update] = u.Revision
		case "not-applicable":
			out.Foreign = append(out.Foreign, u.Update)
		}
		if u.Update != p.Update || u.Revision == p.Revision {
			out.Have[u.Update] = u.HaveBytes
		}
		if free, known := u.Facts["free_bytes"]; known && u.Reason == "disk-short" {
			out.DiskShort = out.DiskShort || u.Update == p.Update || free < p.PayloadBytes
		}
	}
	if m.Traffic == nil {
		return out
	}
	for _, l := range m.Traffic.Limits {
		if l.Class != "wan" || l.Dir != "down" || l.Unlimited {
			continue
		}
		out.WANDown = float64(l.BytesPerSec)
		if l.Off {
			out.WANDown = -1
		}
	}
	return out
}

// waysOut lets machines of a site use its line where none has reported whether it can.
func waysOut(f *sim.Fleet, p *api.Prospect, said *[]string) {
	reported := map[string]bool{}
	limited := 0
	for i, m := range p.Machines {
		reported[m.Site] = reported[m.Site] || !m.LastReport.IsZero()
		if f.Machines[i].WANDown != 0 {
			limited++
		}
	}
	for i := range f.Machines {
		m := &f.Machines[i]
		m.Egress = m.Egress || !reported[m.Site]
	}
	for _, s := range f.Sites {
		if !reported[s.Name] {
			*said = append(*said, "every machine of "+s.Name+" reaches the seed: none has reported yet")
		}
	}
	if limited > 0 {
		*said = append(*said, fmt.Sprintf("the limits of %d machines stay as they are at this hour", limited))
	}
}

func writeForecast(out io.Writer, f *sim.Forecast) {
	fmt.Fprintf(out, "what if: %s %s, revision %d", f.Action, api.Clean(f.Update), f.Revision)
	if f.Action == "install" || f.Action == "stage-only" || f.Action == "optional" { // the others need no payload
		fmt.Fprintf(out, ", %s to fetch", api.Size(f.PayloadBytes))
	}
	fmt.Fprintln(out)
	fmt.Fprintf(out, "machines   %d of %d are changed", f.Affected, f.Machines)
	for _, x := range []struct {
		n    int
		text string
	}{{f.HaveIt, "have it"}, {f.Held, "are held"}, {f.NotForThem, "are not addressed by its rules"}, {f.NoRing, "are in no ring of the plan"}, {f.Off, "of the changed are off"}} {
		if x.n > 0 {
			fmt.Fprintf(out, "; %d %s", x.n, x.text)
		}
	}
	fmt.Fprintf(out, "\nbytes      %s over the WAN (%.2f times the payload for each site that fetches), %s within sites\n", api.Size(f.WANBytes), f.Amplification, api.Size(f.LANBytes))
	switch {
	case f.Affected == 0:
		fmt.Fprintln(out, "done       nothing is to be done")
	case f.Affected == f.Off:
		fmt.Fprintln(out, "done       nothing, while the machines concerned are off")
	default:
		fmt.Fprintf(out, "done       half %s, 95 %% %s, all %s\n", in(f, f.Done50), in(f, f.Done95), in(f, f.Done100))
	}
	if !f.Deadline.IsZero() {
		fmt.Fprintf(out, "deadline   %s: %d machines miss it\n", clock(f.Deadline), f.Missing)
	}
	for _, r := range f.Rings {
		opens := "does not open in the time looked at"
		if !r.OpensAt.IsZero() {
			opens = "opens " + clock(r.OpensAt)
		}
		fmt.Fprintf(out, "ring       %s: %d machines, %s\n", api.Clean(r.Ring), r.Machines, opens)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nSITE\tCHANGED\tOFF\tDONE\tLINE\tWAN BYTES\tLAN BYTES\tHALF\t95 %\tALL\tMISS")
	for _, s := range f.Sites {
		line := mbit(s.WANRate)
		if s.WANRate == 0 {
			line = "-"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", api.Clean(s.Site), s.Affected, s.Off, s.Done, line, api.Size(s.WANBytes), api.Size(s.LANBytes),
			after(f, s.Done50), after(f, s.Done95), after(f, s.Done100), s.Missing)
	}
	_ = t.Flush()
	for _, s := range f.Sites {
		for _, m := range s.Why {
			fmt.Fprintf(out, "%s: %d machines: %s: %s\n", api.Clean(s.Site), m.Machines, m.Reason, api.Clean(m.Text))
		}
	}
	fmt.Fprintln(out, "\ntaken for granted:")
	for _, x := range f.Assumptions {
		fmt.Fprintf(out, "  %s\n", api.Clean(x))
	}
	fmt.Fprintln(out, "nothing was signed or changed")
}

// in says when something happens, for a sentence.
func in(f *sim.Forecast, t time.Time) string {
	if t.IsZero() {
		return "not by " + clock(f.Until)
	}
	return "after " + after(f, t)
}

// mbit is a rate as people name lines.
func mbit(bytesPerSec float64) string {
	n := bytesPerSec * 8 / 1e6
	if n >= 100 {
		return fmt.Sprintf("%.0f Mbit/s", n) // with fewer digits it would become 1e+03
	}
	return fmt.Sprintf("%.3g Mbit/s", n)
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// after is how long from now something happens.
func after(f *sim.Forecast, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Sub(f.At).Round(time.Second).String()
}
