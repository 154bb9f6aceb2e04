package sim

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"patchmesh/policy"
)

// sum puts together what the run came to.
func (e *forecaster) sum() *Forecast {
	f := e.count
	a := e.approval()
	f.Update, f.Revision, f.Action = string(e.target.Update), e.target.Revision, string(a.Action)
	f.At, f.Until = e.fleet.At.UTC(), epoch0.Add(e.w.sc.limit).UTC().Truncate(time.Second)
	f.PayloadBytes, f.CutOff, f.Affected = e.target.StoredBytes, e.cut, len(e.all)
	sites := map[string]*SiteForecast{}
	done := map[string][]int64{}
	misses := map[string]map[string]*Miss{}
	var all []int64
	for _, r := range e.all {
		s := sites[r.f.Site]
		if s == nil {
			s = &SiteForecast{Site: r.f.Site, WANRate: e.siteOf(r.f.Site).WAN, Why: []Miss{}}
			sites[r.f.Site], misses[r.f.Site] = s, map[string]*Miss{}
		}
		s.Affected++
		f.guessZone(r.f)
		if r.m == nil {
			s.Off++
			f.Off++
		} else {
			at := r.doneAt
			if at > int64(e.w.sc.limit) {
				at = 0
			}
			all, done[r.f.Site] = append(all, at), append(done[r.f.Site], at)
			if at != 0 {
				s.Done++
				f.Done++
			}
		}
		earliest(&s.Deadline, r.deadline)
		earliest(&f.Deadline, r.deadline)
		if late, missing := e.late(r); late {
			if missing {
				s.Missing++
				f.Missing++
			}
			e.addMiss(misses[r.f.Site], r)
		}
	}
	e.sumSites(&f, sites, done, misses)
	f.Done50, f.Done95, f.Done100 = shares(all)
	f.Rings, f.Assumptions = e.ringForecasts(), e.assumptions()
	if f.ZoneGuessed != nil {
		f.Assumptions = append(f.Assumptions, f.ZoneGuessed.text())
	}
	return &f
}

func (e *forecaster) sumSites(f *Forecast, sites map[string]*SiteForecast, done map[string][]int64, misses map[string]map[string]*Miss) {
	f.Sites = []SiteForecast{}
	fetched := 0
	for _, name := range sortedKeys(sites) {
		s := sites[name]
		if site := e.sites[name]; site != nil {
			x := e.site(site.name)
			s.WANBytes, s.LANBytes, s.Others = x.wan, x.lan, x.others
		}
		if s.WANBytes > 0 {
			fetched++
		}
		s.Done50, s.Done95, s.Done100 = shares(done[name])
		for _, reason := range sortedKeys(misses[name]) {
			s.Why = append(s.Why, *misses[name][reason])
		}
		f.WANBytes += s.WANBytes
		f.LANBytes += s.LANBytes
		f.Sites = append(f.Sites, *s)
	}
	if fetched > 0 {
		f.Amplification = float64(f.WANBytes) / (float64(f.PayloadBytes) * float64(fetched))
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func earliest(into *time.Time, t time.Time) {
	if !t.IsZero() && (into.IsZero() || t.Before(*into)) {
		*into = t
	}
}

// shares are when half, 95 in a hundred and all are done; zero where they are not.
func shares(at []int64) (half, most, all time.Time) {
	var done []int64
	for _, t := range at {
		if t != 0 {
			done = append(done, t)
		}
	}
	slices.Sort(done)
	when := func(share float64) time.Time {
		n := int(math.Ceil(share * float64(len(at))))
		if n < 1 || n > len(done) {
			return time.Time{}
		}
		return epoch0.Add(time.Duration(done[n-1])).UTC().Truncate(time.Second)
	}
	return when(0.5), when(0.95), when(1)
}

// late says whether a machine is to be spoken of: it misses its deadline, or is not done at all.
func (e *forecaster) late(r *fate) (late, missing bool) {
	notDone := r.doneAt == 0 || r.doneAt > int64(e.w.sc.limit)
	if r.deadline.IsZero() {
		return notDone, false
	}
	missing = notDone || r.doneAt > since(r.deadline)
	return missing, missing
}

func (e *forecaster) addMiss(all map[string]*Miss, r *fate) {
	reason, text := e.why(r)
	m := all[reason]
	if m == nil {
		m = &Miss{Reason: reason, Text: text}
		all[reason] = m
	}
	m.Machines++
}

// why says what keeps a machine from being done in time. What is plain comes first; what is left is the
// line.
func (e *forecaster) why(r *fate) (reason, text string) {
	by := since(r.deadline)
	if r.deadline.IsZero() {
		by = int64(e.w.sc.limit)
	}
	switch {
	case r.m == nil && r.f.LastContact.IsZero():
		return "machines-off", "has never been in contact"
	case r.m == nil:
		return "machines-off", "off; the last contact was " + day(r.f.LastContact)
	case r.f.DiskShort:
		return "disk-short", fmt.Sprintf("the disk has no room for the payload of %d bytes, by the machine's own report", e.target.StoredBytes)
	}
	if text = e.ringLate(r, by); text != "" {
		return "ring", text
	}
	facts := r.m.facts
	at := max(e.w.now, by) // policy's word on the deadline, or where the run ended
	if !r.deadline.IsZero() {
		at = by
	}
	v, found := e.find(policy.MakePlan(e.manifest, e.describe, facts, false, epoch0.Add(time.Duration(at))))
	if found {
		if reason, text = e.delayed(v); reason != "" && (v.Verb == policy.VerbWait || v.Verb == policy.VerbHold || r.wholeAt != 0 && r.wholeAt <= at) {
			return reason, text
		}
	}
	if r.wholeAt != 0 && r.wholeAt <= by {
		return "slow", "the payload is there in time, and the installation is not done"
	}
	return e.starved(r, by)
}

// ringLate says when the ring of a machine opens, where that is after its deadline.
func (e *forecaster) ringLate(r *fate, by int64) string {
	a, plan := e.rollout()
	switch {
	case plan == nil || r.ring < 0:
		return ""
	case r.ring >= len(a.RingsOpened):
		return fmt.Sprintf("ring %s does not open: ring %s does not come as far as its plan asks", plan.Rings[r.ring].Name, plan.Rings[len(a.RingsOpened)-1].Name)
	case since(a.RingsOpened[r.ring]) >= by:
		return fmt.Sprintf("ring %s opens on %s", plan.Rings[r.ring].Name, day(a.RingsOpened[r.ring]))
	}
	return ""
}

// delayed puts policy's reason into the forecast's few words.
func (e *forecaster) delayed(v policy.Verdict) (reason, text string) {
	switch v.Reason {
	case policy.ReasonWindowNone, policy.ReasonWindowTooShort:
		return "window", v.Detail
	case policy.ReasonRingNotReached:
		return "ring", v.Detail
	case policy.ReasonPolicyDeferred:
		return "not-before", v.Detail
	case policy.ReasonDepOtherFirst, policy.ReasonDepMissing, policy.ReasonExclusive:
		return "other-update", v.Detail
	case policy.ReasonPolicyHold, policy.ReasonPolicyBrake:
		return "hold", v.Detail
	}
	if v.Await == policy.StateWaitingWindow {
		return "window", v.Detail
	}
	if v.Verb != policy.VerbInstall && v.Reason != "" {
		return "policy", v.Detail
	}
	return "", ""
}

// starved: the bytes do not come in time.
func (e *forecaster) starved(r *fate, by int64) (reason, text string) {
	s, site := e.siteOf(r.f.Site), r.m.site
	size := float64(e.target.StoredBytes)
	if site != e.w.hq.site && !slices.ContainsFunc(site.machines, func(m *machine) bool { return m.egress }) {
		return "no-egress", "no machine of the site that is on reaches the seed"
	}
	if left := s.left(); s.budget().Set() && left < e.target.StoredBytes {
		return "wan-budget", fmt.Sprintf("the WAN budget of the site has %d bytes left, the payload is %d", max(left, 0), e.target.StoredBytes)
	}
	if s.WAN > 0 && site != e.w.hq.site {
		takes := time.Duration(size / s.WAN * 1e9).Round(time.Second)
		in := "as far as the forecast looks"
		if !r.deadline.IsZero() {
			in = "and the deadline is in " + time.Duration(by-since(e.fleet.At)).Round(time.Second).String()
		}
		if e.site(site.name).others > 0 {
			in += fmt.Sprintf("; %d bytes of other updates share it", e.site(site.name).others)
		}
		return "wan-thin", fmt.Sprintf("the line of %.3g Mbit/s needs %s for the payload alone, %s", s.WAN*8/1e6, takes, in)
	}
	return "stuck", "the payload does not arrive in time"
}

// left is what the budget of a site still allows now.
func (s FleetSite) left() int64 {
	left := int64(math.MaxInt64)
	if s.DayBytes > 0 {
		left = min(left, s.DayBytes-s.DaySpent)
	}
	if s.MonthBytes > 0 {
		left = min(left, s.MonthBytes-s.MonthSpent)
	}
	return left
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// assumptions are what the forecast takes for granted because nobody has said it.
func (e *forecaster) assumptions() []string {
	out := []string{
		fmt.Sprintf("one installation takes %s, and none fails", installTakes),
		"machines that are on stay on, and those that are off stay off",
		"every machine has the installers that the updates want, and the processor that they are for, unless it reported otherwise",
		"all bytes come from the seed; web hosts are left out",
	}
	if e.coarse > 0 {
		out = append(out, fmt.Sprintf("chunks are moved as up to %d bytes at once, because the fleet is large", e.coarse))
	}
	if len(e.fleet.Machines) > largeFleet {
		out = append(out, fmt.Sprintf("each machine has %d neighbours, because the fleet is large", largeNeighbours))
	}
	if len(e.manual) > 0 {
		out = append(out, "somebody opens the ring after "+strings.Join(e.manual, ", ")+" as soon as its machines have shown that it works")
	}
	if e.cut {
		out = append(out, "the forecast was cut off at "+day(e.w.trueTime())+": what would happen later is not known")
	}
	return out
}
