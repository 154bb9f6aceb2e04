package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// This file is the way back from a site without a network: signed reports, and what the site has.

// haveList is what a machine has, for whoever packs the next medium.
type haveList struct {
	Machine  string        `json:"machine"`
	Site     string        `json:"site"`
	At       time.Time     `json:"at"`
	Epoch    uint64        `json:"epoch"`
	Payloads []havePayload `json:"payloads"`
}

type havePayload struct {
	ID     content.ID `json:"id"`
	Chunks int        `json:"chunks"`
	Bits   []byte     `json:"bits"`
}

// haveDomain keeps the signature of a have-list from being one of anything else.
const haveDomain = "patchmesh have v1\x00"

// Limits of a return.
const (
	maxReports     = 1 << 16
	maxHaveBytes   = 4 << 20
	reportAskEvery = 5 * time.Second // time for one neighbour
	reportAsks     = 8               // at a time
)

// giveReturn implements api.Carrier.GiveReturn.
func (c *carrier) giveReturn(ctx context.Context) (*api.Return, error) {
	out := &api.Return{Machine: c.id, MadeAt: c.now().UTC(), Reports: [][]byte{}}
	newest := map[string]bool{}
	if c.live() && c.seed == nil {
		b, err := c.n.ownReport()
		if err != nil {
			return nil, err
		}
		out.Reports, newest[c.id] = append(out.Reports, b), true
		c.askReports(ctx, out, newest)
	}
	waiting, err := c.db.Waiting()
	if err != nil {
		return nil, err
	}
	for _, w := range waiting { // of this machine, and of machines that are off now, as they were heard last
		if newest[w.Machine] {
			continue
		}
		_, b, err := c.db.Outbox(w.Machine)
		if err != nil {
			continue // it went on over the network meanwhile
		}
		if _, letter := reporter(w.Machine); letter {
			out.Inventories = append(out.Inventories, b)
			continue
		}
		out.Reports = append(out.Reports, plainForm(b, maxReportBytes))
	}
	if out.Renewals, err = c.giveErrands(ctx); err != nil {
		return nil, err
	}
	if out.Receipts, err = c.giveReceipts(ctx); err != nil {
		return nil, err
	}
	out.Have, err = c.signedHave()
	return out, err
}

// askReports asks the machines of the site for their reports, and keeps them: the next medium carries
// them even if a machine is off by then, and a way to the seed that opens does, too.
func (c *carrier) askReports(ctx context.Context, out *api.Return, newest map[string]bool) {
	var mu sync.Mutex
	c.eachNeighbour(func(id string) {
		b, err := c.n.askReport(ctx, id)
		var letter []byte
		if err == nil {
			letter = c.n.askInventory(ctx, id)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			out.Missing = append(out.Missing, api.NoReport{Machine: id, Detail: api.Clean(err.Error())})
			return
		}
		out.Reports, newest[id] = append(out.Reports, b), true
		if letter != nil {
			out.Inventories, newest[id+stockSuffix] = append(out.Inventories, letter), true
		}
	})
	slices.SortFunc(out.Missing, func(a, b api.NoReport) int { return strings.Compare(a.Machine, b.Machine) })
}

// eachNeighbour asks the machines of the site that are connected, a few at a time, and waits for all.
func (c *carrier) eachNeighbour(ask func(id string)) {
	var asks sync.WaitGroup
	slots := make(chan struct{}, reportAsks)
	for _, p := range c.n.host.Peers() {
		if p.Seed || p.Site != c.member.Site {
			continue
		}
		asks.Add(1)
		go func() {
			defer asks.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			ask(p.ID)
		}()
	}
	asks.Wait()
}

func (n *Node) askReport(ctx context.Context, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, reportAskEvery)
	defer cancel()
	b, err := n.host.FetchDoc(ctx, from, wire.DocAsk{Kind: wire.DocReport, MaxBytes: maxReportBytes})
	if err != nil {
		return nil, err
	}
	row, err := openReport(wire.Report{Machine: from, Body: b})
	if err != nil {
		n.refuse(from, "trust-bad-signature", "report: "+err.Error())
		return nil, err
	}
	seq := reportSeq(&row.Machine)
	if err := n.db.PutOutbox(from, seq, b); err != nil {
		return nil, err
	}
	n.events.send(swarm.ReportQueued{Machine: swarm.PeerID(from), Seq: seq})
	return b, nil
}

// askInventory asks a neighbour for the inventory that waits there for a way to the seed; nil if there is none.
// It is sealed: whoever packs the medium can check whose it is, and not read it.
func (n *Node) askInventory(ctx context.Context, from string) []byte {
	ctx, cancel := context.WithTimeout(ctx, reportAskEvery)
	defer cancel()
	b, err := n.host.FetchDoc(ctx, from, wire.DocAsk{Kind: wire.DocInventory, MaxBytes: maxReportBytes})
	if err != nil {
		return nil
	}
	if _, err := openLetter(from+stockSuffix, b); err != nil {
		n.refuse(from, policy.ReasonTrustBadSignature, "inventory: "+err.Error())
		return nil
	}
	return b
}

// inventoryAsked answers a neighbour that packs a medium, as reportAsked does.
func (n *Node) inventoryAsked() ([]byte, bool) {
	if n.seed != nil || n.hasSeedSession() || n.view.Load().Uplink != "" {
		return nil, false
	}
	_, b, err := n.db.Outbox(n.id + stockSuffix)
	return b, err == nil
}

// maxReportBytes bounds a signed report.
const maxReportBytes = 4 << 20

// ownReport signs the present state without queueing it.
func (n *Node) ownReport() ([]byte, error) {
	b, _, err := n.signReport(*n.view.Load(), true, maxReportBytes)
	return plainForm(b, maxReportBytes), err
}

// reportAsked answers a neighbour that packs a medium. Where there is a way to the seed, reports go that
// way and nobody else hears what a machine lacks.
func (n *Node) reportAsked() ([]byte, bool) {
	if n.seed != nil || n.hasSeedSession() || n.view.Load().Uplink != "" {
		return nil, false
	}
	b, err := n.ownReport()
	return b, err == nil
}

// reportSeq numbers a report by what is signed in it. The number that it travels with over sessions is
// not signed: whoever carries a stick could give an old report one that no later report reaches.
func reportSeq(row *api.Machine) uint64 { return uint64(max(row.LastReport.UnixMilli(), 1)) }

func (c *carrier) signedHave() ([]byte, error) {
	l := haveList{Machine: c.id, Site: c.member.Site, At: c.now().UTC(), Epoch: c.believer.current().Epoch(), Payloads: []havePayload{}}
	infos, err := c.store.List()
	if err != nil {
		return nil, err
	}
	approved := c.approved()
	for _, i := range infos {
		if !approved[i.ID] {
			continue
		}
		bits, err := c.store.Have(i.ID)
		if err != nil {
			return nil, err
		}
		l.Payloads = append(l.Payloads, havePayload{ID: i.ID, Chunks: bits.Len(), Bits: bits.Bytes()})
	}
	body, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return json.Marshal(signedReport{Body: body, Sig: ed25519.Sign(c.key, append([]byte(haveDomain), body...))})
}

// openHave checks a have-list against the machine that it names.
func openHave(b []byte) (*haveList, error) {
	if len(b) > maxHaveBytes {
		return nil, fmt.Errorf("have-list of %d bytes: %w", len(b), content.ErrFormat)
	}
	var s signedReport
	var l haveList
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, errors.Join(content.ErrFormat, err)
	}
	if err := json.Unmarshal(s.Body, &l); err != nil {
		return nil, errors.Join(content.ErrFormat, err)
	}
	pub, err := keys.PublicKey(l.Machine)
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(pub, append([]byte(haveDomain), s.Body...), s.Sig) {
		return nil, errors.New("the signature of the have-list does not hold")
	}
	return &l, nil
}

// bits are the chunks of a payload that the list names; none if it does not.
func (l *haveList) bits(id content.ID, chunks int) *content.Bits {
	for _, p := range l.Payloads {
		if p.ID == id && p.Chunks == chunks {
			if b, err := content.BitsFromBytes(chunks, p.Bits); err == nil {
				return b
			}
		}
	}
	return content.NewBits(chunks)
}

// haveKey is where the newest have-list of a machine is kept on the seed.
func haveKey(site, machine string) string { return "have." + site + "." + machine }

func (c *carrier) lastHave(q api.CargoQuery) ([]byte, error) {
	if c.seed == nil {
		return nil, errNoSeed()
	}
	if q.Site == "" {
		return nil, api.Errorf(api.ClassUsage, "a have-list is that of one site").WithHint("add --site NAME")
	}
	return c.siteHave(q.Site)
}

// takeReturn takes what one machine of a site has sent. Each report stands on its own signature: who
// carried it, and what else is on the medium, does not matter.
func (s *seed) takeReturn(r api.Return) (*api.TakenReturn, error) {
	out := &api.TakenReturn{Machine: api.Clean(r.Machine)}
	if len(r.Reports) > maxReports || len(r.Renewals) > maxReports || len(r.Inventories) > maxReports || len(r.Receipts) > maxReceiptPacks {
		return nil, api.Errorf(api.ClassRefused, "%d reports on one medium", len(r.Reports))
	}
	for _, b := range r.Inventories { // first: what reports say of them refers to them
		err := s.takeInventory(b)
		if err != nil && spaceClass(err) != err {
			return nil, spaceClass(err)
		}
		if err != nil {
			if out.Refused++; out.Detail == "" {
				out.Detail = api.Clean(err.Error())
			}
		}
	}
	for _, b := range r.Reports {
		newer, at, err := s.takeReport(b)
		switch {
		case err != nil && spaceClass(err) != err:
			return nil, spaceClass(err)
		case err != nil:
			if out.Refused++; out.Detail == "" {
				out.Detail = api.Clean(err.Error())
			}
			continue
		case newer:
			out.Newer++
		default:
			out.Older++
		}
		if at.After(out.AsOf) {
			out.AsOf = at
		}
	}
	taken, refused, err := s.takeErrands(r.Renewals)
	if err != nil {
		return nil, spaceClass(err)
	}
	if out.Renewals, out.Refused = taken, out.Refused+refused; refused > 0 && out.Detail == "" {
		out.Detail = "a request for renewal is not that of a machine enrolled here"
	}
	if err := s.takeReceipts(r.Receipts, out); err != nil {
		return nil, spaceClass(err)
	}
	if len(r.Have) > 0 {
		if err := s.takeHave(r.Have, out); err != nil && out.Detail == "" {
			out.Detail = api.Clean(err.Error())
		}
	}
	return out, nil
}

// takeReport keeps a report as of when its machine made it.
func (s *seed) takeReport(b []byte) (newer bool, at time.Time, err error) {
	var named struct {
		ID string `json:"id"`
	}
	signed, err := readReportForm(b)
	if err == nil {
		err = json.Unmarshal(signed.Body, &named)
	}
	if err != nil {
		return false, at, fmt.Errorf("report: %w", err)
	}
	row, err := openSigned(named.ID, signed)
	if err != nil {
		return false, at, fmt.Errorf("report of %s: %w", api.Clean(named.ID), err)
	}
	if err := s.enrolled(row.ID); err != nil {
		return false, at, fmt.Errorf("report of %s: %w", row.ID, err)
	}
	at = row.LastReport
	if now := s.now(); at.After(now) {
		at = now // its clock is ahead
	}
	if newer, err = s.putReport(reportSeq(&row.Machine), at, &row.Machine); err == nil && newer {
		err = s.keepReported(row.ID, row.Sealed)
	}
	return newer, at.UTC(), err
}

// errStranger: a machine that is not in the books.
var errStranger = errors.New("no such machine is enrolled")

// enrolled refuses machines that nobody enrolled or that were locked out: a stick could otherwise fill
// the books with as many as somebody cares to sign for.
func (s *seed) enrolled(id string) error {
	if v, ok := s.believer.current().Roster().Revocation(id); ok {
		return revokedError(v)
	}
	_, err := s.db.Member(id)
	if errors.Is(err, state.ErrNotFound) {
		return errStranger
	}
	return err
}

func (s *seed) takeHave(b []byte, out *api.TakenReturn) error {
	l, err := openHave(b)
	if err != nil {
		return err
	}
	if err := s.enrolled(l.Machine); err != nil {
		return fmt.Errorf("have-list: %w", err)
	}
	k, err := s.db.Member(l.Machine)
	if err != nil {
		return err
	}
	out.Site, out.Machine, out.Payloads = k.Site, l.Machine, len(l.Payloads)
	if old, err := s.db.Value(haveKey(k.Site, l.Machine)); err == nil {
		if was, err := openHave(old); err == nil && was.At.After(l.At) {
			return nil
		}
	}
	return s.db.PutValue(haveKey(k.Site, l.Machine), b)
}
