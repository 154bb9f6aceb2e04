package receipt

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
)

// Machine is what the caller knows of one.
type Machine struct {
	Name, Site string
	Seed       bool
}

// Facts are what a ledger needs besides the records.
type Facts struct {
	Machine func(id string) (Machine, bool)
	Update  func(payload content.ID) string
	Sizes   Sizes
	Site    string // of receivers; empty: all
}

// settleAfter is how old, by the newest document, a transfer is before the missing signature is a mismatch. Not
// by the clock of whoever looks: the site and headquarters see the same.
const settleAfter = api.LedgerSettleMinutes * time.Minute

// sums is a ledger in the making.
type sums struct {
	facts Facts
	out   *api.Ledger
	rows  map[rowKey]*api.LedgerRow
	// open is what senders state to have given without a receipt, by transfer.
	open   map[pair][]*openSet
	byPair []pair // of open, in order
	miss   []api.LedgerMismatch
	more   int
}

type rowKey struct {
	site    string
	payload content.ID
}

type pair struct {
	sender, receiver string
	payload          content.ID
}

// openSet is what is left of a GivenSet.
type openSet struct {
	GivenSet
	bits     *content.Bits
	statedAt time.Time
	whole    int // chunks of the set as it was stated
}

// Source gives records that are kept, each key once: statements, or receipts in the order of their keys. It is
// asked more than once, so that nobody has to hold all of them.
type Source func(given bool, each func(*Record) error) error

// Sum makes the ledger of records. The error is that of the source.
func Sum(source Source, f Facts) (*api.Ledger, error) {
	s := &sums{
		facts: f, rows: map[rowKey]*api.LedgerRow{}, open: map[pair][]*openSet{},
		out: &api.Ledger{Site: f.Site, Rows: []api.LedgerRow{}, Mismatches: []api.LedgerMismatch{}},
	}
	err := source(true, func(r *Record) error { s.openAll(r); return nil })
	if err != nil {
		return nil, err
	}
	err = source(false, func(r *Record) error { // first: an answer says more than an older statement
		if s.here(r.Receipt.Receiver) {
			s.seen(r.At())
			if r.Answer != nil {
				s.coverOlder(r)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = source(false, func(r *Record) error {
		if s.here(r.Receipt.Receiver) {
			s.out.Receipts++
			s.receipt(r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.rest()
	return s.conclude(), nil
}

// seen notes a time of which a document tells.
func (s *sums) seen(at time.Time) {
	if at = at.UTC(); at.After(s.out.AsOf) {
		s.out.AsOf = at
	}
	if s.out.Since.IsZero() || at.Before(s.out.Since) {
		s.out.Since = at
	}
}

func (s *sums) here(receiver string) bool {
	m, known := s.facts.Machine(receiver)
	return s.facts.Site == "" || known && m.Site == s.facts.Site
}

func (s *sums) openAll(r *Record) {
	for _, l := range r.Given.Lines {
		if !s.here(l.Receiver) {
			continue
		}
		s.seen(r.At())
		p, bits := pair{r.Given.Machine, l.Receiver, l.Payload}, mustBits(l.Chunks, l.Set)
		if s.open[p] == nil {
			s.byPair = append(s.byPair, p)
		}
		s.open[p] = append(s.open[p], &openSet{l, bits, r.Given.At, bits.Count()})
	}
}

// cover takes chunks out of the open sets of a transfer, as far as which allows, and says which they were.
func (s *sums) cover(p pair, bits *content.Bits, which func(*openSet) bool) *content.Bits {
	found := content.NewBits(bits.Len())
	each(bits, func(i int) {
		for _, o := range s.open[p] {
			if o.Chunks == bits.Len() && which(o) && o.bits.Has(i) {
				o.bits.Clear(i)
				found.Set(i)
				return
			}
		}
	})
	return found
}

// coverOlder: what was signed for after a statement is no longer open.
func (s *sums) coverOlder(r *Record) {
	for i, l := range r.Receipt.Lines {
		agreed := l.bits()
		if d := r.Answer.denied(i); d != nil {
			each(mustBits(l.Chunks, d.Set), agreed.Clear)
		}
		s.cover(pair{r.Receipt.Sender, r.Receipt.Receiver, l.Payload}, agreed, func(o *openSet) bool { return o.statedAt.Before(r.Answer.At) })
	}
}

func (a *Answer) denied(line int) *Denied {
	for i := range a.Denied {
		if a.Denied[i].Line == line {
			return &a.Denied[i]
		}
	}
	return nil
}

// maxRows bounds a ledger.
const maxRows = 10000

func (s *sums) row(receiver string, payload content.ID) *api.LedgerRow {
	m, _ := s.facts.Machine(receiver)
	k := rowKey{m.Site, payload}
	if s.rows[k] == nil && len(s.rows) >= maxRows {
		k.payload = content.ID{} // somebody invents payloads: all further ones together
	}
	if s.rows[k] == nil {
		s.rows[k] = &api.LedgerRow{Site: m.Site, Balanced: true}
		if !k.payload.IsZero() {
			s.rows[k].Payload, s.rows[k].Update = payload.String(), s.facts.Update(payload)
		}
	}
	return s.rows[k]
}

func (s *sums) receipt(r *Record) {
	for i, l := range r.Receipt.Lines {
		bits, row := l.bits(), s.row(r.Receipt.Receiver, l.Payload)
		switch {
		case r.Receipt.Sender == "":
			row.UnsignedBytes += l.Bytes
			if l.Tier == api.TierMedia {
				row.MediaBytes += l.Bytes
			} else {
				row.OriginBytes += l.Bytes
			}
		case r.Answer != nil:
			s.answered(row, r, i, bits)
		default:
			s.unanswered(row, r, l, bits)
		}
	}
}

// answered books a line that both have signed, as far as they agree.
func (s *sums) answered(row *api.LedgerRow, r *Record, i int, bits *content.Bits) {
	l, d := r.Receipt.Lines[i], r.Answer.denied(i)
	row.GotBytes += l.Bytes
	row.GotChunks += int64(bits.Count())
	given, chunks := l.Bytes, int64(bits.Count())
	if d != nil {
		missing := mustBits(l.Chunks, d.Set)
		given, chunks = given-d.Bytes, chunks-int64(missing.Count())
		reason := api.MismatchDenied
		if r.Answer.StartedAt.After(r.Receipt.FirstAt) {
			reason = api.MismatchRestarted
		}
		s.mismatch(row, reason, r.Receipt, l.Payload, given, l.Bytes, missing)
	}
	row.GivenBytes += given
	row.GivenChunks += chunks
	s.prove(row, r.Receipt, l, given)
}

// prove counts bytes that both sides have signed for, and what they show.
func (s *sums) prove(row *api.LedgerRow, r *Receipt, l Line, agreed int64) {
	from, known := s.facts.Machine(r.Sender)
	to, _ := s.facts.Machine(r.Receiver)
	if !known {
		s.mismatch(row, api.MismatchForgotten, r, l.Payload, agreed, l.Bytes, content.NewBits(0))
		return
	}
	row.ProvenBytes += agreed
	within := l.Tier == api.TierSubnet || l.Tier == api.TierSite
	switch {
	case within != (from.Site == to.Site):
		s.mismatch(row, api.MismatchTier, r, l.Payload, agreed, l.Bytes, l.bits())
	case within:
		row.SavedBytes += max(0, agreed-l.Twice)
	case l.Tier == api.TierSeed:
		row.WANBytes += agreed
	}
}

// unanswered books a line that the sender has not signed. What its own statement names is signed all the same.
func (s *sums) unanswered(row *api.LedgerRow, r *Record, l Line, bits *content.Bits) {
	found := s.cover(pair{r.Receipt.Sender, r.Receipt.Receiver, l.Payload}, bits, func(*openSet) bool { return true })
	agreed := int64(0)
	if found.Count() > 0 {
		agreed = share(found, l.Payload, bits.Count(), l.Bytes, s.facts.Sizes)
	}
	row.GivenBytes += agreed
	row.GivenChunks += int64(found.Count())
	row.GotBytes += agreed
	row.GotChunks += int64(found.Count())
	if agreed > 0 {
		s.prove(row, r.Receipt, l, agreed)
	}
	left := l.Bytes - agreed
	if found.Count() == bits.Count() {
		return
	}
	each(found, bits.Clear)
	if s.out.AsOf.Sub(r.Receipt.LastAt) < settleAfter {
		row.UnsettledBytes += left
		return
	}
	row.GotBytes += left
	row.GotChunks += int64(bits.Count())
	s.mismatch(row, api.MismatchUnanswered, r.Receipt, l.Payload, agreed, l.Bytes, bits)
}

// rest is what senders have given and nobody has signed for.
func (s *sums) rest() {
	for _, p := range s.byPair {
		for _, o := range s.open[p] {
			if o.bits.Count() == 0 {
				continue
			}
			row, bytes := s.row(p.receiver, p.payload), share(o.bits, p.payload, o.whole, o.Bytes, s.facts.Sizes)
			if s.out.AsOf.Sub(o.LastAt) < settleAfter {
				row.UnsettledBytes += bytes
				continue
			}
			row.GivenBytes += bytes
			row.GivenChunks += int64(o.bits.Count())
			s.mismatch(row, api.MismatchNoReceipt, &Receipt{Sender: p.sender, Receiver: p.receiver, LastAt: o.LastAt}, p.payload, bytes, 0, o.bits)
		}
	}
}

func (s *sums) mismatch(row *api.LedgerRow, reason string, r *Receipt, payload content.ID, given, got int64, bits *content.Bits) {
	row.Balanced = false
	from, _ := s.facts.Machine(r.Sender)
	to, _ := s.facts.Machine(r.Receiver)
	m := api.LedgerMismatch{
		Site: row.Site, Payload: payload.String(), Update: row.Update, Sender: r.Sender, SenderName: from.Name, Receiver: r.Receiver, ReceiverName: to.Name,
		Seq: r.Seq, At: r.LastAt.UTC(), GivenBytes: given, GotBytes: got, Chunks: []int{}, ChunkCount: bits.Count(), Reason: reason,
	}
	m.Text, m.NextStep = explain(reason)
	each(bits, func(i int) {
		if len(m.Chunks) < api.MaxNamedChunks {
			m.Chunks = append(m.Chunks, i)
		}
	})
	if s.miss = append(s.miss, m); len(s.miss) >= 2*api.MaxMismatches {
		s.trim()
	}
}

// trim keeps the first mismatches of all in their order.
func (s *sums) trim() {
	slices.SortStableFunc(s.miss, func(a, b api.LedgerMismatch) int {
		return cmp.Or(strings.Compare(a.Site, b.Site), strings.Compare(a.Update, b.Update), strings.Compare(a.Payload, b.Payload),
			strings.Compare(a.Receiver, b.Receiver), strings.Compare(a.Sender, b.Sender), cmp.Compare(a.Seq, b.Seq), strings.Compare(a.Reason, b.Reason))
	})
	if n := len(s.miss) - api.MaxMismatches; n > 0 {
		s.miss, s.more = s.miss[:api.MaxMismatches], s.more+n
	}
}

// explain says what a mismatch means and what to do about it.
func explain(reason string) (text, next string) {
	switch reason {
	case api.MismatchDenied:
		return "the receiver says that these chunks came from the sender, and the sender says that it did not give them",
			"one of the two is wrong or lies: look at 'patchmesh log events' of both, and revoke the machine that cannot explain itself"
	case api.MismatchRestarted:
		return "the sender was started anew while these chunks moved and does not know whether it gave them",
			"nothing, if the sender was cut off then; a kill or a power cut takes the last seconds of its books"
	case api.MismatchUnanswered:
		return "the receiver has signed that these chunks came, the sender has not signed",
			"see whether the sender is up and of a version with receipts ('patchmesh peers'); a machine that is away signs when it comes back"
	case api.MismatchNoReceipt:
		return "the sender has sent these chunks, the receiver has not signed that they came",
			"nothing, if a connection broke or the receiver was cut off then; else look at the receiver's 'patchmesh log events'"
	case api.MismatchTier:
		return "the receiver counts these chunks as from within its site, or not, and the sites of the two machines say otherwise",
			"see whether one of the two has moved to another site; else the receiver claims savings that are none"
	}
	return "a machine that nobody has enrolled has signed", "look for its key among the machines that were removed or set up anew"
}

func (s *sums) conclude() *api.Ledger {
	out := s.out
	out.Balanced, out.Total.Balanced = true, true
	for _, r := range s.rows {
		out.Rows = append(out.Rows, *r)
		addRow(&out.Total, r)
	}
	slices.SortFunc(out.Rows, func(a, b api.LedgerRow) int {
		return cmp.Or(strings.Compare(a.Site, b.Site), strings.Compare(a.Update, b.Update), strings.Compare(a.Payload, b.Payload))
	})
	out.Balanced = out.Total.Balanced
	s.trim()
	out.Mismatches, out.More = append(out.Mismatches, s.miss...), s.more
	return out
}

func addRow(t, r *api.LedgerRow) {
	t.GivenBytes, t.GotBytes = t.GivenBytes+r.GivenBytes, t.GotBytes+r.GotBytes
	t.GivenChunks, t.GotChunks = t.GivenChunks+r.GivenChunks, t.GotChunks+r.GotChunks
	t.ProvenBytes, t.SavedBytes, t.WANBytes = t.ProvenBytes+r.ProvenBytes, t.SavedBytes+r.SavedBytes, t.WANBytes+r.WANBytes
	t.UnsignedBytes, t.MediaBytes, t.OriginBytes = t.UnsignedBytes+r.UnsignedBytes, t.MediaBytes+r.MediaBytes, t.OriginBytes+r.OriginBytes
	t.UnsettledBytes += r.UnsettledBytes
	t.Balanced = t.Balanced && r.Balanced && r.GivenBytes == r.GotBytes && r.GivenChunks == r.GotChunks
}
