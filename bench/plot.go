package bench

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// The plots are SVG written by hand: a handful of rectangles and lines, no library, no script, and
// the same bytes for the same numbers.

const (
	plotWidth  = 760
	plotLeft   = 120 // names
	plotRight  = 90  // figures
	barHeight  = 26
	curveArea  = 260 // height of the curves
	plotTop    = 44
	plotBottom = 44
)

// colours are told apart by people who do not see all of them (Okabe and Ito, "Color Universal
// Design", 2008).
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999999", "#000000", "#f0e442"}

func (s sheet) colour(i int) string { return colours[i%len(colours)] }

// svg collects a drawing.
type svg struct{ strings.Builder }

func newSVG(height int, title string) *svg {
	d := &svg{}
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, height)
	fmt.Fprintf(d, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, height)
	d.text(plotLeft, 20, "start", title)
	return d
}

func (d *svg) text(x, y float64, anchor, text string) {
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(text))
}

func (d *svg) line(x1, y1, x2, y2 float64, colour, more string) {
	fmt.Fprintf(d, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"%s/>`+"\n", x1, y1, x2, y2, colour, more)
}

func (d *svg) end() string {
	d.WriteString("</svg>\n")
	return d.String()
}

// scale maps seconds to the width of a plot.
type scale struct{ most float64 }

func (s scale) x(v float64) float64 {
	return plotLeft + v/s.most*(plotWidth-plotLeft-plotRight)
}

// axis draws marks at round numbers below a plot of this height.
func (d *svg) axis(s scale, bottom float64) {
	step := math.Pow10(int(math.Floor(math.Log10(s.most))))
	for _, f := range []float64{0.1, 0.2, 0.5, 1} {
		if s.most/(step*f) <= 10 {
			step *= f
			break
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step))))
	for v := 0.0; v <= s.most*1.0001; v += step {
		d.line(s.x(v), plotTop, s.x(v), bottom, "#ddd", "")
		d.text(s.x(v), bottom+16, "middle", number(v, decimals))
	}
	d.text(plotLeft, bottom+34, "start", "seconds since the update was released")
}

// bound marks what no scheme can beat.
func (d *svg) bound(s scale, sc Scenario, bottom float64) {
	if b := sc.Bound().Seconds(); b > 0 && b <= s.most {
		d.line(s.x(b), plotTop-8, s.x(b), bottom, "#000", ` stroke-dasharray="4 3"`)
		d.text(s.x(b), plotTop-10, "middle", "bound")
	}
}

// lastPlot is a bar per contender, the median of its last machines, and a dot per run.
func lastPlot(s sheet) string {
	most := s.scenario.Bound().Seconds()
	for _, r := range s.rows {
		for _, one := range r.runs {
			most = max(most, one.Last())
		}
	}
	sc := scale{most: most * 1.02}
	bottom := float64(plotTop + barHeight*len(s.rows))
	d := newSVG(int(bottom)+plotBottom, s.scenario.Name+": when the last machine was done")
	if most > 0 {
		d.axis(sc, bottom)
	}
	for i, r := range s.rows {
		y := float64(plotTop + barHeight*i)
		d.text(plotLeft-8, y+barHeight*0.65, "end", r.contender)
		if len(r.runs) == 0 {
			d.text(plotLeft+8, y+barHeight*0.65, "start", "did not come to an end")
			continue
		}
		last := r.median(lastSeconds)
		fmt.Fprintf(d, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", plotLeft, y+4, sc.x(last)-plotLeft, barHeight-8, s.colour(i))
		for _, one := range r.runs {
			fmt.Fprintf(d, `<circle cx="%.1f" cy="%.1f" r="3" fill="#fff" stroke="#000"/>`+"\n", sc.x(one.Last()), y+barHeight/2)
		}
		d.text(plotWidth-plotRight+14, y+barHeight*0.65, "start", number(last, 2)+" s")
	}
	d.bound(sc, s.scenario, bottom)
	return d.end()
}

// donePlot is how many machines were done when, in the run whose last machine is the median.
func donePlot(s sheet) string {
	most := s.scenario.Bound().Seconds()
	for _, r := range s.rows {
		if m := r.middle(); m != nil {
			most = max(most, m.Seconds[len(m.Seconds)-1])
		}
	}
	sc := scale{most: most * 1.02}
	const bottom = plotTop + curveArea
	d := newSVG(bottom+plotBottom, s.scenario.Name+": share of the machines that are done, the run in the middle")
	if most == 0 {
		return d.end()
	}
	d.axis(sc, bottom)
	for _, share := range []float64{0, 0.5, 1} {
		d.text(plotLeft-8, bottom-share*curveArea+4, "end", fmt.Sprintf("%.0f %%", share*100))
	}
	for i, r := range s.rows {
		d.text(plotWidth-plotRight+14, float64(plotTop+16*i+10), "start", r.contender)
		fmt.Fprintf(d, `<rect x="%d" y="%d" width="10" height="10" fill="%s"/>`+"\n", plotWidth-plotRight, plotTop+16*i+1, s.colour(i))
		m := r.middle()
		if m == nil {
			continue
		}
		var points strings.Builder
		fmt.Fprintf(&points, "%.1f,%d", sc.x(0), bottom)
		for n, v := range m.Seconds {
			before, after := float64(n)/float64(len(m.Seconds)), float64(n+1)/float64(len(m.Seconds))
			fmt.Fprintf(&points, " %.1f,%.1f %.1f,%.1f", sc.x(v), bottom-before*curveArea, sc.x(v), bottom-after*curveArea)
		}
		fmt.Fprintf(d, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", points.String(), s.colour(i))
	}
	d.bound(sc, s.scenario, bottom)
	return d.end()
}

// middle is the run whose last machine is the median, the faster one of two; nil without runs.
func (r row) middle() *Result {
	runs := slices.DeleteFunc(slices.Clone(r.runs), func(one Result) bool { return len(one.Seconds) == 0 })
	if len(runs) == 0 {
		return nil
	}
	slices.SortStableFunc(runs, func(a, b Result) int {
		switch {
		case a.Last() < b.Last():
			return -1
		case a.Last() > b.Last():
			return 1
		}
		return 0
	})
	return &runs[(len(runs)-1)/2]
}
