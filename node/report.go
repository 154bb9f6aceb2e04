package node

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// reportDomain keeps a report's signature from being one of anything else.
const reportDomain = "patchmesh report v1\x00"

// makeReport signs the present state and keeps it in the outbox before anybody is told of it.
func (n *Node) makeReport(seq uint64) {
	v := n.core.View()
	n.work(func() {
		if err := n.queueReport(seq, v); err != nil {
			n.log.Warn("report not made", "err", err)
		}
		n.events.send(swarm.ReportQueued{Machine: swarm.PeerID(n.id), Seq: seq})
	})
}

func (n *Node) queueReport(seq uint64, v swarm.View) error {
	b, left, err := n.signReport(v, false, wire.MaxReportBytes)
	if err != nil {
		return err
	}
	n.tellLeftOut(left, len(v.Tasks))
	return n.db.PutOutbox(n.id, seq, b)
}

// signReport makes a report of at most that many bytes; whole puts the whole inventory into it, for reports that
// travel alone. left is how many updates it had no room for.
func (n *Node) signReport(v swarm.View, whole bool, most int) (b []byte, left int, err error) {
	n.flushLedger() // what is reported is not forgotten
	row := n.ownRow(v)
	row.LastReport, row.LastContact = v.At.UTC(), v.At.UTC()
	payloads := map[string]content.ID{}
	for _, k := range v.Tasks {
		payloads[string(k.Verdict.Update)] = k.Payload
	}
	n.reportSources(&row, payloads)
	return fitReport(reportBody{row, n.reportedStock(whole)}, n.key, most)
}

// forward sends a report from the outbox one hop on.
func (n *Node) forward(a swarm.Forward) {
	n.work(func() {
		seq, body, err := n.db.Outbox(string(a.Machine))
		if err != nil {
			n.events.send(swarm.ReportAcked{Machine: a.Machine, Seq: a.Seq}) // nothing to send any more
			return
		}
		version := n.host.Version(string(a.To))
		if version == 0 {
			return // its session is over: the core hears of that, and it goes to whoever is next
		}
		body, readable := formFor(version, body)
		if !readable {
			n.tellUnreadable(a)
			return
		}
		n.tell(a.To, wire.Report{Machine: string(a.Machine), Seq: seq, Body: body})
	})
}

// tellUnreadable says once for each next machine that it cannot read a report: it is tried again every few seconds.
func (n *Node) tellUnreadable(a swarm.Forward) {
	if was := n.unreadable.Swap(&a.To); was == nil || *was != a.To {
		n.log.Warn("report not sent: the version of the next machine cannot read one of this size", "machine", a.Machine, "peer", a.To, "next", "update patchmesh there")
	}
}

// reportArrived takes a report over: a seed for good, another machine to relay it. It answers only
// after the report is durable, and a machine without a way to a seed does not take it at all.
func (n *Node) reportArrived(from string, m wire.Report) {
	if _, letter := reporter(m.Machine); letter {
		n.letterArrived(from, m)
		return
	}
	if maybeLarge(m.Body) {
		largeReports <- struct{}{}
		defer func() { <-largeReports }()
	}
	row, err := openReport(m)
	if err != nil {
		n.refuse(from, policy.ReasonTrustBadSignature, "report: "+err.Error())
		return
	}
	if n.isRevoked(m.Machine) { // whoever carries it
		n.refuse(from, policy.ReasonHostRevoked, "report of a machine that was locked out")
		return
	}
	if n.seed != nil {
		err = n.seed.keepReport(m, row)
	} else {
		if !n.hasSeedSession() {
			return
		}
		err = n.db.PutOutbox(m.Machine, m.Seq, m.Body)
	}
	if errors.Is(err, errStranger) { // it would be no better the next time: it is taken and forgotten
		n.refuse(from, policy.ReasonTrustBadSignature, "report of "+m.Machine+": "+err.Error())
		err = nil
	}
	if err != nil {
		n.log.Warn("report not kept", "machine", m.Machine, "err", err)
		return
	}
	n.tell(swarm.PeerID(from), wire.ReportAck{Machine: m.Machine, Seq: m.Seq})
	if n.seed == nil {
		n.events.send(swarm.ReportQueued{Machine: swarm.PeerID(m.Machine), Seq: m.Seq})
	}
}

func (n *Node) reportAcked(m wire.ReportAck) {
	if err := n.db.AckOutbox(m.Machine, m.Seq); err != nil {
		n.log.Warn("outbox not cleared", "err", err)
	}
	n.events.send(swarm.ReportAcked{Machine: swarm.PeerID(m.Machine), Seq: m.Seq})
}

// largeReports bounds how many large ones are opened at a time: a fleet that was switched on together reports together.
var largeReports = make(chan struct{}, 2)

// maybeLarge says whether a report may be large once it is opened: a few bytes of a packed one become megabytes.
func maybeLarge(b []byte) bool { return len(b) > packAbove || len(b) > 0 && b[0] == packedMark }

// openReport checks a report's signature against the machine that it names.
func openReport(m wire.Report) (*reportBody, error) {
	s, err := readReportForm(m.Body)
	if err != nil {
		return nil, err
	}
	return openSigned(m.Machine, s)
}

// openSigned is openReport for one whose form has been read.
func openSigned(machine string, s signedReport) (*reportBody, error) {
	pub, err := keys.PublicKey(machine)
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(pub, append([]byte(reportDomain), s.Body...), s.Sig) {
		return nil, errors.New("the signature does not hold")
	}
	if err := checkItems(s.Body); err != nil {
		return nil, err
	}
	row := &reportBody{}
	if err := json.Unmarshal(s.Body, row); err != nil {
		return nil, err
	}
	if row.ID != machine {
		return nil, fmt.Errorf("the report of %s speaks of %s", machine, api.Clean(row.ID))
	}
	cleanRow(&row.Machine)
	return row, nil
}

// keepReport stores a report of an enrolled machine. What it says of its name, site and groups does
// not count: those stand in the seed's own books. A key is made in no time, so what a machine says that nobody enrolled is
// not kept: reports of a million of them would fill the disk, and nobody would be shown one.
func (s *seed) keepReport(m wire.Report, row *reportBody) error {
	if err := s.enrolled(m.Machine); err != nil {
		return err
	}
	s.bookReport(&row.Machine)
	newer, err := s.putReport(m.Seq, s.now(), &row.Machine)
	if err != nil || !newer {
		return err
	}
	if err := s.keepReported(m.Machine, row.Sealed); err != nil && !errors.Is(err, errStock) {
		return err // the report comes again; an inventory that is refused would be refused again
	}
	return nil
}

// putReport writes a row into the books, with what it leaves out of what its machine said before.
func (s *seed) putReport(seq uint64, at time.Time, row *api.Machine) (newer bool, err error) {
	own := len(row.Updates)
	s.carryOver(row)
	newer, err = s.putRow(seq, at, row)
	if errors.Is(err, state.ErrTooLarge) { // what it says now counts, what it said before does not
		row.Updates = row.Updates[:own]
		for i := range row.Updates {
			row.Updates[i].Sources = nil
		}
		newer, err = s.putRow(seq, at, row)
	}
	return newer, err
}

func (s *seed) putRow(seq uint64, at time.Time, row *api.Machine) (newer bool, err error) {
	b, err := json.Marshal(row)
	if err != nil {
		return false, err
	}
	return s.db.PutReport(row.ID, seq, at, b)
}

func (n *Node) hasSeedSession() bool {
	for _, p := range n.host.Peers() {
		if p.Seed {
			return true
		}
	}
	return false
}

// ownRow is this machine as it appears in the fleet.
func (n *Node) ownRow(v swarm.View) api.Machine {
	m := api.Machine{
		ID: n.id, Name: n.member.Name, Site: n.member.Site, Groups: n.ownGroups(), Online: true, Egress: v.Egress, Cache: v.Cache, WiFi: v.WiFi,
		Epoch: v.Epoch, Version: n.cfg.Version, ReportVersion: api.ReportVersion, Refused: n.refused(), Updates: []api.Update{},
	}
	if t := n.nodeTrouble(); t != nil {
		m.Reason, m.Detail = string(t.reason), t.detail
	}
	if t := n.traffic(&v); t.Any() {
		m.Traffic = t
	}
	if s := n.stock.now.Load(); s != nil {
		m.LastScan = s.At
	}
	for _, k := range v.Tasks {
		if k.DetectedAt.After(m.LastScan) {
			m.LastScan = k.DetectedAt.UTC()
		}
		m.Updates = append(m.Updates, n.updateRow(v, k))
	}
	return m
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (n *Node) updateRow(v swarm.View, k swarm.TaskView) api.Update {
	u := api.Update{
		Update: string(k.Verdict.Update), Revision: k.Verdict.Revision, Compliance: string(k.Verdict.Compliance),
		State: k.State.String(), Reason: string(k.Reason), Detail: api.Clean(k.Detail), Since: k.Since.UTC(), Facts: k.Facts, Failures: k.Failures,
	}
	u.Hold = k.Verdict.Hold
	if !k.RetryAt.IsZero() {
		u.RetryAt = k.RetryAt.UTC()
	}
	for _, e := range k.Verdict.Excepted {
		u.Excepted = append(u.Excepted, api.Excepted{Hold: e.Hold, Exception: e.Exception, Until: e.Until.UTC()})
	}
	if d, err := n.descriptor(k.Verdict.Descriptor); err == nil {
		u.Title, u.SizeBytes = d.Title, d.PlainBytes
	}
	for _, p := range v.Payloads {
		if p.ID == k.Payload {
			u.HaveBytes, u.StoredBytes = p.HaveBytes, p.Bytes
			n.fillBytes(&u, k.Payload)
		}
	}
	return u
}
