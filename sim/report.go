package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Report is what a run came to. Its JSON is part of the program's interface.
type Report struct {
	Scenario       string  `json:"scenario"`
	Seed           uint64  `json:"seed"`
	Machines       int     `json:"machines"`
	Sites          int     `json:"sites"`
	PayloadBytes   int64   `json:"payload_bytes"` // of all updates
	WANBytes       int64   `json:"wan_bytes"`
	Amplification  float64 `json:"wan_amplification"` // WAN bytes / (payload x sites that fetched)
	DuplicateRatio float64 `json:"duplicate_ratio"`
	FirstInstalled float64 `json:"first_installed_s"` // since the first approval
	LastInstalled  float64 `json:"last_installed_s"`
	LowerBound     float64 `json:"lower_bound_s"` // what the slowest site's line needs for the bytes alone
	Installed      int     `json:"installed"`     // machines that have all that is asked of them
	Failed         int     `json:"failed"`        // honest machines, on and not locked out, that have not
	Lying          int     `json:"lying"`
	LockedOut      int     `json:"locked_out"`

	WANMost       float64     `json:"wan_amplification_worst_site"`
	DocumentBytes int64       `json:"wan_document_bytes"`
	LANBytes      int64       `json:"lan_bytes"`
	MediaBytes    int64       `json:"media_bytes"`
	WastedBytes   int64       `json:"wasted_bytes"`
	Chunks        int64       `json:"chunks_delivered"`
	Virtual       float64     `json:"virtual_s"`
	Ended         string      `json:"ended"`          // done or limit
	Hold          *HoldRace   `json:"hold,omitempty"` // nil: none was published
	TraceHash     string      `json:"trace_hash,omitempty"`
	TraceLines    int64       `json:"trace_lines,omitempty"`
	Violations    []Violation `json:"violations"`

	Done     []float64   `json:"-"` // when each machine was done, seconds since the first approval, sorted
	SiteWAN  []SiteBytes `json:"-"`
	HoldAt   float64     `json:"-"` // first hold; -1: none
	Begun    []float64   `json:"-"` // when installations began, sorted
	Held     []float64   `json:"-"` // when machines learned of the first hold, sorted
	LANShare float64     `json:"lan_share"`
}

// SiteBytes is what one site's line carried.
type SiteBytes struct {
	Site     string
	Machines int
	WAN      int64
	Ratio    float64 // over the payloads it fetched
}

// describe writes what the world is made of.
func (w *World) describe() {
	if !w.own.on {
		return
	}
	w.trace.line(fmt.Appendf(nil, "patchmesh-trace %d scenario=%s seed=%d", TraceVersion, w.sc.Name, w.seed))
	for _, s := range w.sites {
		w.own.say(0, "site").str("name", s.name).num("wan", int64(s.wan.Rate)).num("lan", int64(s.lan.Rate)).num("machines", int64(len(s.machines))).end()
	}
	for _, m := range w.machines {
		line := w.own.say(0, "machine").str("m", string(m.id)).str("site", m.site.name).yes("egress", m.egress).yes("seed", m.seed).
			str("groups", word(strings.Join(m.facts.Groups, ","))).str("lies", word(m.lies.String()))
		if m.cache {
			line = line.yes("cache", true)
		}
		line.end()
	}
	for _, u := range w.updates {
		w.own.say(0, "update").str("u", string(u.id)).num("chunks", int64(u.info.Chunks)).num("chunk_bytes", int64(u.info.ChunkBytes)).
			num("bytes", u.info.StoredBytes).end()
	}
	for _, e := range w.sc.expects {
		w.own.say(0, "expect").str("what", e.what).str("limit", word(e.limit)).end()
	}
	d := w.org.first
	w.own.say(0, "publish").num("epoch", int64(d.trust.Epoch())).num("head", d.version).num("root", d.trust.RootVersion()).
		num("expires", since(d.trust.ExpiresAt())).end()
	w.flush(never)
}

// finish says how it ended, and what every machine has in hand.
func (w *World) finish() {
	w.load()
	w.own.say(w.now, "end").str("why", w.stopped).end()
	w.flush(never)
}

func (w *World) report() *Report {
	r := &Report{
		Scenario: w.sc.Name, Seed: w.seed, Machines: len(w.machines) - 1, Sites: len(w.sites) - 1, Ended: w.stopped,
		Virtual: time.Duration(w.now).Seconds(), TraceLines: w.trace.lines, HoldAt: -1, Violations: []Violation{},
	}
	if w.trace.lines > 0 {
		r.TraceHash = w.trace.hash()
	}
	first := int64(0)
	for _, o := range w.sc.orders {
		if o.verb == "approve" && (first == 0 || int64(o.at.low) < first) {
			first = int64(o.at.low)
		}
	}
	rel := func(at int64) float64 { return time.Duration(at - first).Seconds() }
	for _, u := range w.updates {
		r.PayloadBytes += u.info.StoredBytes
	}
	w.countMachines(r, rel)
	w.countSites(r)
	if w.holdAt > 0 {
		r.HoldAt = rel(w.holdAt)
	}
	for _, s := range w.sites {
		for _, at := range s.begun {
			r.Begun = append(r.Begun, rel(at))
		}
		for _, at := range s.held {
			r.Held = append(r.Held, rel(at))
		}
	}
	slices.Sort(r.Begun)
	slices.Sort(r.Held)
	r.Hold = holdRace(r.HoldAt, r.Held)
	return r
}

func (w *World) countMachines(r *Report, rel func(int64) float64) {
	var dup, all int64
	firstAt, lastAt := int64(-1), int64(0)
	for _, m := range w.machines[1:] {
		r.LANBytes += m.from.LAN
		r.MediaBytes += m.from.Media
		r.WastedBytes += m.from.Wasted
		dup += m.from.Duplicate
		all += m.from.LAN + m.from.WAN + m.from.Duplicate
		switch {
		case m.revoked:
			r.LockedOut++
		case m.lies != 0:
			r.Lying++
		case m.goal() == 0:
			r.Installed++
			if m.lastAt > 0 { // one that is asked for nothing, as all is held, was never done with anything
				r.Done = append(r.Done, rel(m.lastAt))
			}
		default:
			r.Failed++
		}
		if m.firstAt > 0 && (firstAt < 0 || m.firstAt < firstAt) {
			firstAt = m.firstAt
		}
		lastAt = max(lastAt, m.lastAt)
	}
	slices.Sort(r.Done)
	if firstAt >= 0 {
		r.FirstInstalled, r.LastInstalled = rel(firstAt), rel(lastAt)
	}
	if all > 0 {
		r.DuplicateRatio = float64(dup) / float64(all)
		r.LANShare = float64(r.LANBytes) / float64(all)
	}
}

func (w *World) countSites(r *Report) {
	sites := 0
	r.Chunks = w.hq.site.delivered
	for _, s := range w.sites[1:] {
		r.WANBytes += s.wanBytes
		r.DocumentBytes += s.docBytes
		r.Chunks += s.delivered
		b := SiteBytes{Site: s.name, Machines: len(s.machines), WAN: s.wanBytes}
		if s.wanBytes > 0 && r.PayloadBytes > 0 {
			sites++
			b.Ratio = float64(s.wanBytes) / float64(r.PayloadBytes)
			r.WANMost = max(r.WANMost, b.Ratio)
			if s.wan.Rate > 0 {
				r.LowerBound = max(r.LowerBound, float64(r.PayloadBytes)/s.wan.Rate)
			}
		}
		r.SiteWAN = append(r.SiteWAN, b)
	}
	if sites > 0 && r.PayloadBytes > 0 {
		r.Amplification = float64(r.WANBytes) / (float64(r.PayloadBytes) * float64(sites))
	}
}
