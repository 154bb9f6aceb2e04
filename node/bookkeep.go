package node

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// How long after a payload was whole, and how often again, its sources come with reports: they would
// make every report a hundred times as large.
const (
	sourcesFor   = 2 * time.Minute
	sourcesAgain = time.Hour
)

// fillBytes completes an update's row from the account of its payload.
func (n *Node) fillBytes(u *api.Update, payload content.ID) {
	s, err := n.ledger.shares(payload, n.store)
	if err != nil {
		return
	}
	u.Bytes, u.SentBytes = s.totals, s.sent
	if s.evicted {
		u.HaveBytes = 0
	} else if s.heldBytes > 0 {
		u.HaveBytes = s.heldBytes // exact, where the core estimates
	}
	u.Sources = s.sources
}

// reportSources leaves the sources in a report that is due to carry them.
func (n *Node) reportSources(row *api.Machine, payloads map[string]content.ID) {
	now := n.cfg.Now()
	n.keeper.mu.Lock()
	all := now.Sub(n.keeper.sourcesAt) >= sourcesAgain || now.Before(n.keeper.sourcesAt)
	if all {
		n.keeper.sourcesAt = now
	}
	n.keeper.mu.Unlock()
	for i := range row.Updates {
		u := &row.Updates[i]
		s, err := n.ledger.shares(payloads[u.Update], n.store)
		fresh := err == nil && !s.wholeAt.IsZero() && now.Sub(s.wholeAt) < sourcesFor
		if !all && !fresh {
			u.Sources = nil
		}
	}
}

// Provenance implements api.Bookkeeper.
func (n *Node) Provenance(_ context.Context, update, machine string) (*api.Provenance, error) {
	if !n.knownUpdate(update) {
		return nil, api.Errorf(api.ClassNotFound, "no update %q is known here", api.Clean(update)).WithHint("'patchmesh status' lists what there is")
	}
	f, err := n.statusInDetail(api.StatusQuery{Machine: machine, Update: update})
	if err != nil {
		return nil, err
	}
	m := f.Machines[0]
	if len(m.Updates) == 0 {
		return nil, api.Errorf(api.ClassNotFound, "nothing is known of %s on %s", update, api.Clean(m.Name)).
			WithHint("no approval brings it there, or the machine has not reported yet: see 'patchmesh explain %s %s'", update, api.Clean(m.Name))
	}
	u := m.Updates[0]
	p := &api.Provenance{
		Update: u.Update, Revision: u.Revision, Machine: m.Name, MachineID: m.ID, StoredBytes: u.StoredBytes,
		Sources: slices.Clone(u.Sources), WastedBytes: u.Bytes.Wasted, DuplicateBytes: u.Bytes.Duplicate,
	}
	p.Vendor = n.vendorIn(u.Update, u.Revision)
	if len(p.Sources) == 0 { // not reported in detail yet: the tiers are
		for _, t := range u.Bytes.Tiers() {
			if *t.Bytes > 0 && t.Tier != api.TierWasted && t.Tier != api.TierDuplicate {
				p.Sources = append(p.Sources, api.Source{Tier: t.Tier, Bytes: *t.Bytes})
			}
		}
	}
	if p.Sources == nil {
		p.Sources = []api.Source{}
	}
	for _, s := range p.Sources {
		p.HeldBytes += s.Bytes
		p.Chunks += s.Chunks
	}
	p.Evicted = p.HeldBytes > 0 && u.HaveBytes == 0
	for i := range p.Sources {
		p.Sources[i].Percent = 100 * float64(p.Sources[i].Bytes) / float64(max(p.HeldBytes, 1))
		p.Sources[i].Name = n.nameOf(p.Sources[i])
	}
	return p, nil
}

// nameOf is the name of a source, from the seed's own books where there are any.
func (n *Node) nameOf(s api.Source) string {
	if n.seed != nil && s.Peer != "" {
		if m, err := n.db.Member(s.Peer); err == nil {
			return m.Name
		}
	}
	return s.Name
}

// maxReportedBytes bounds what a report may claim of one tier: a broken machine must not spoil the sums.
const maxReportedBytes = 1 << 50

// bookReport books what a machine has reported, and keeps the sources of reports that had them.
func (s *seed) bookReport(row *api.Machine) {
	site := row.Site
	if m, err := s.db.Member(row.ID); err == nil {
		site = m.Site
	}
	var totals []state.TrafficRow
	for _, u := range row.Updates {
		if _, err := policy.ParseUpdateID(u.Update); err != nil {
			continue
		}
		for _, t := range u.Bytes.Tiers() {
			if *t.Bytes > 0 && *t.Bytes < maxReportedBytes {
				totals = append(totals, state.TrafficRow{Day: dayOf(s.now()), Site: site, Update: u.Update, Tier: t.Tier, Bytes: *t.Bytes})
			}
		}
	}
	if len(totals) > 0 {
		_ = s.db.CatchUpTraffic(row.ID, totals) // the next report makes up for it
	}
}

// carryOver adds to a report from the last one of its machine what this one leaves out: sources, which come once an hour,
// and rows that it had no room for, since it tells first what has changed.
func (s *seed) carryOver(row *api.Machine) {
	if row.LeftOut <= 0 && !slices.ContainsFunc(row.Updates, func(u api.Update) bool { return len(u.Sources) == 0 && u.Bytes.Total() > 0 }) {
		return
	}
	last, err := s.db.ReportOf(row.ID)
	if err != nil || len(last) == 0 {
		return
	}
	var old api.Machine
	if json.Unmarshal(last, &old) != nil {
		return
	}
	at := make(map[string]int, len(row.Updates))
	for i, u := range row.Updates {
		at[u.Update] = i
	}
	approved, carried := map[string]bool{}, 0
	if row.LeftOut > 0 {
		approved = s.approvedUpdates()
	}
	for _, o := range old.Updates {
		i, told := at[o.Update]
		if told {
			if u := &row.Updates[i]; len(u.Sources) == 0 && o.Revision == u.Revision && o.Bytes.Total() == u.Bytes.Total() {
				u.Sources = o.Sources
			}
			continue
		}
		if carried < row.LeftOut && approved[o.Update] {
			row.Updates, carried = append(row.Updates, o), carried+1
		}
	}
}

// approvedUpdates are those that the approvals in force name.
func (s *seed) approvedUpdates() map[string]bool {
	out := map[string]bool{}
	if m := s.believer.current().Manifest(); m != nil {
		for i := range m.Approvals {
			out[string(m.Approvals[i].Update)] = true
		}
	}
	return out
}

// BytesReport implements api.Bookkeeper.
func (n *Node) BytesReport(_ context.Context, q api.BytesQuery) (*api.BytesReport, error) {
	key, err := bytesKey(q.By)
	if err != nil {
		return nil, err
	}
	if n.ledger != nil {
		n.flushLedger()
	}
	now := n.cfg.Now()
	r := &api.BytesReport{AsOf: now.UTC(), Until: dayOf(now), By: cmp.Or(q.By, "site"), Rows: []api.BytesRow{}}
	if !q.Since.IsZero() {
		r.Since = dayOf(q.Since)
	}
	if !q.Until.IsZero() {
		r.Until = dayOf(q.Until)
	}
	rows, err := n.db.Traffic(r.Since, r.Until)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for _, t := range rows {
		k := key(t)
		i, known := at[k]
		if !known {
			i = len(r.Rows)
			at[k] = i
			r.Rows = append(r.Rows, api.BytesRow{Key: k})
		}
		for _, row := range []*api.BytesRow{&r.Rows[i], &r.Total} {
			row.Bytes.Add(t.Tier, t.Bytes)
			if t.Tier == api.TierSent {
				row.SentBytes += t.Bytes
			}
		}
	}
	for i := range r.Rows {
		conclude := &r.Rows[i]
		sumUp(conclude)
		if r.By == "machine" {
			conclude.Name = n.machineName(conclude.Key)
		}
	}
	sumUp(&r.Total)
	slices.SortFunc(r.Rows, func(a, b api.BytesRow) int { return strings.Compare(a.Key, b.Key) })
	return r, nil
}

func bytesKey(by string) (func(state.TrafficRow) string, error) {
	switch by {
	case "", "site":
		return func(r state.TrafficRow) string { return r.Site }, nil
	case "machine":
		return func(r state.TrafficRow) string { return r.Machine }, nil
	case "update":
		return func(r state.TrafficRow) string { return r.Update }, nil
	case "tier":
		return func(r state.TrafficRow) string { return r.Tier }, nil
	case "day":
		return func(r state.TrafficRow) string { return r.Day }, nil
	}
	return nil, api.Errorf(api.ClassUsage, "bytes cannot be summed up by %q", api.Clean(by)).WithHint("site, machine, update, tier or day")
}

// sumUp fills what follows from the tiers. What was found in the store crossed nothing now.
func sumUp(r *api.BytesRow) {
	r.WANBytes, r.SavedBytes = r.Bytes.WAN(), r.Bytes.Saved()
	if all := r.WANBytes + r.SavedBytes; all > 0 {
		r.SavedPercent = 100 * float64(r.SavedBytes) / float64(all)
	}
}

func (n *Node) machineName(id string) string {
	if id == n.id {
		return n.member.Name
	}
	if m, err := n.db.Member(id); err == nil {
		return m.Name
	}
	return ""
}

var _ api.Bookkeeper = (*Node)(nil)
