package sim

import (
	"encoding/csv"
	"fmt"
	"html"
	"io"
	"slices"
	"strconv"
	"strings"
)

// WriteCSV writes the completion curve: after how many seconds so many machines were done.
func (r *Report) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"seconds", "machines_done"}}
	for i, at := range r.Done {
		rows = append(rows, []string{strconv.FormatFloat(at, 'f', 3, 64), strconv.Itoa(i + 1)})
	}
	if err := c.WriteAll(rows); err != nil {
		return fmt.Errorf("write the completion curve: %w", err)
	}
	return nil
}

// WriteSitesCSV writes what each site's line carried.
func (r *Report) WriteSitesCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"site", "machines", "wan_bytes", "wan_over_payload"}}
	for _, s := range r.SiteWAN {
		rows = append(rows, []string{s.Site, strconv.Itoa(s.Machines), strconv.FormatInt(s.WAN, 10), strconv.FormatFloat(s.Ratio, 'f', 4, 64)})
	}
	if err := c.WriteAll(rows); err != nil {
		return fmt.Errorf("write the bytes of the sites: %w", err)
	}
	return nil
}

// Plot is one picture of a report.
type Plot struct {
	Name string // of the file, without .svg
	SVG  string
}

// Plots draws the report: completion, WAN bytes by site, where bytes came from, and the race of a hold
// against installations if there was one.
func (r *Report) Plots() []Plot {
	out := []Plot{
		{"completion", curves("machines done", []line{{"done", r.Done, "#2563eb"}})},
		{"wan-by-site", r.wanBars()},
		{"bytes-by-tier", bars("bytes by where they came from", "MB", []bar{
			{"site", float64(r.LANBytes) / 1e6}, {"WAN", float64(r.WANBytes) / 1e6}, {"media", float64(r.MediaBytes) / 1e6}, {"wasted", float64(r.WastedBytes) / 1e6},
		})},
	}
	if r.HoldAt >= 0 {
		out = append(out, Plot{"hold-race", curves("hold against installations", []line{
			{"know of the hold", r.Held, "#dc2626"}, {"installations begun", r.Begun, "#2563eb"},
		})})
	}
	return out
}

// plotSites is how many sites a picture shows: those whose line carried most for what they fetched.
const plotSites = 40

func (r *Report) wanBars() string {
	sites := slices.Clone(r.SiteWAN)
	slices.SortStableFunc(sites, func(a, b SiteBytes) int {
		switch {
		case a.Ratio > b.Ratio:
			return -1
		case a.Ratio < b.Ratio:
			return 1
		}
		return 0
	})
	var all []bar
	for _, s := range sites[:min(len(sites), plotSites)] {
		all = append(all, bar{s.Site, s.Ratio})
	}
	return bars("WAN bytes over payload bytes, by site", "", all)
}

type line struct {
	name  string
	at    []float64 // seconds, sorted: one step up at each
	color string
}

type bar struct {
	name  string
	value float64
}

// The size of pictures and of their margins.
const (
	plotWide, plotHigh = 720.0, 360.0
	plotLeft, plotTop  = 70.0, 40.0
	plotFoot           = 60.0
)

type canvas struct{ strings.Builder }

func newCanvas(title string) *canvas {
	c := &canvas{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`, plotWide, plotHigh)
	fmt.Fprintf(c, "\n<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", html.EscapeString(title))
	c.text(plotWide/2, 22, "middle", title)
	return c
}

func (c *canvas) text(x, y float64, anchor, s string) {
	fmt.Fprintf(c, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, html.EscapeString(s))
}

func (c *canvas) rule(x1, y1, x2, y2 float64, color string) {
	fmt.Fprintf(c, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1, x2, y2, color)
}

func (c *canvas) done() string { return c.String() + "</svg>\n" }

// axes draws the frame with five marks on each side.
func (c *canvas) axes(right, top float64, xUnit string) {
	wide, high := plotWide-plotLeft-20, plotHigh-plotTop-plotFoot
	for i := range 6 {
		part := float64(i) / 5
		y := plotTop + high*(1-part)
		c.rule(plotLeft, y, plotLeft+wide, y, "#e5e7eb")
		c.text(plotLeft-8, y+4, "end", number(top*part))
		if right > 0 {
			c.text(plotLeft+wide*part, plotTop+high+18, "middle", number(right*part)+xUnit)
		}
	}
	c.rule(plotLeft, plotTop+high, plotLeft+wide, plotTop+high, "#111827")
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }

func curves(title string, lines []line) string {
	c := newCanvas(title)
	right, top := 1.0, 1.0
	for _, l := range lines {
		if n := len(l.at); n > 0 {
			right, top = max(right, l.at[n-1]), max(top, float64(n))
		}
	}
	c.axes(right, top, " s")
	wide, high := plotWide-plotLeft-20, plotHigh-plotTop-plotFoot
	for k, l := range lines {
		var path strings.Builder
		fmt.Fprintf(&path, "M%.1f %.1f", plotLeft, plotTop+high)
		step := max(1, len(l.at)/2000) // a picture has no more points than it can show
		for i := 0; i < len(l.at); i += step {
			x := plotLeft + wide*max(l.at[i], 0)/right
			fmt.Fprintf(&path, "H%.1fV%.1f", x, plotTop+high*(1-float64(i+1)/top))
		}
		if n := len(l.at); n > 0 {
			fmt.Fprintf(&path, "H%.1fV%.1fH%.1f", plotLeft+wide*max(l.at[n-1], 0)/right, plotTop+high*(1-float64(n)/top), plotLeft+wide)
		}
		fmt.Fprintf(c, "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", path.String(), l.color)
		fmt.Fprintf(c, "<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", plotLeft+float64(k)*220, plotHigh-24, l.color)
		c.text(plotLeft+18+float64(k)*220, plotHigh-14, "start", l.name)
	}
	return c.done()
}

func bars(title, unit string, all []bar) string {
	c := newCanvas(title)
	top := 0.0
	for _, b := range all {
		top = max(top, b.value)
	}
	if top == 0 {
		top = 1
	}
	c.axes(0, top, "")
	wide, high := plotWide-plotLeft-20, plotHigh-plotTop-plotFoot
	slot := wide / float64(max(len(all), 1))
	for i, b := range all {
		h := high * b.value / top
		x := plotLeft + float64(i)*slot
		fmt.Fprintf(c, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#2563eb\"><title>%s: %s %s</title></rect>\n",
			x+slot*0.1, plotTop+high-h, slot*0.8, h, html.EscapeString(b.name), number(b.value), unit)
		if len(all) <= 10 {
			c.text(x+slot/2, plotTop+high+18, "middle", b.name)
			c.text(x+slot/2, plotTop+high-h-4, "middle", number(b.value)+" "+unit)
		}
	}
	return c.done()
}
