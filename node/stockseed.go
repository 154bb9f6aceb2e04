package node

import (
	"cmp"
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

// The seed's books of inventories. For each machine: the list of packages that came last as a whole, and the
// newest report's changes to it. Both are kept packed; what is asked of them is worked out when it is asked.

// stockbook remembers what was worked out.
type stockbook struct {
	mu     sync.Mutex
	kept   map[string]keptStock
	groups map[string]workedGroups
}

// keptStock is what was written last, so that a report that says the same is not written again.
type keptStock struct {
	name   string
	at     time.Time
	report content.ID // what it was sealed in, if it came with a report: then the same need not even be opened again
}

// workedGroups are the groups of one machine under one manifest.
type workedGroups struct {
	manifest *policy.Manifest
	member   string // what else it was worked out from
	groups   []policy.Membership
	budgets  stall
}

const (
	stockOf     = "inventory."
	stockBaseOf = "inventory-base."
	// stockWriteEvery is how old the free space and the time of a kept inventory may be.
	stockWriteEvery = time.Hour
)

// reporter is the machine that a report or letter speaks for, and whether it is a letter about its inventory.
func reporter(machine string) (id string, letter bool) {
	return strings.CutSuffix(machine, stockSuffix)
}

// openLetter checks a letter's signature against the machine that it names.
func openLetter(machine string, b []byte) (*stockBody, error) {
	id, _ := reporter(machine)
	pub, err := keys.PublicKey(id)
	if err != nil {
		return nil, err
	}
	var s signedReport
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	if !ed25519.Verify(pub, append([]byte(stockDomain), s.Body...), s.Sig) {
		return nil, errors.New("the signature does not hold")
	}
	var body stockBody
	if err := json.Unmarshal(s.Body, &body); err != nil {
		return nil, err
	}
	if body.ID != id {
		return nil, fmt.Errorf("the inventory of %s speaks of %s", id, api.Clean(body.ID))
	}
	if len(body.Sealed) == 0 || len(body.Sealed) > 2*sealedStockBytes {
		return nil, fmt.Errorf("inventory of %d bytes: %w", len(body.Sealed), policy.ErrTooLarge)
	}
	return &body, nil
}

// letterArrived takes a letter over as reportArrived does a report.
func (n *Node) letterArrived(from string, m wire.Report) {
	id, _ := reporter(m.Machine)
	letter, err := openLetter(m.Machine, m.Body)
	switch {
	case err != nil:
		n.refuse(from, policy.ReasonTrustBadSignature, "inventory: "+err.Error())
		return
	case n.isRevoked(id):
		n.refuse(from, policy.ReasonHostRevoked, "inventory of a machine that was locked out")
		return
	case n.seed != nil:
		err = n.seed.keepLetter(letter)
	case !n.hasSeedSession():
		return
	default:
		err = n.db.PutOutbox(m.Machine, m.Seq, m.Body)
	}
	if errors.Is(err, errStock) { // it would be no better the next time: it is taken and forgotten
		n.refuse(from, policy.ReasonTrustBadSignature, err.Error())
		err = nil
	}
	if err != nil {
		n.log.Warn("inventory not kept", "machine", id, "err", err)
		return
	}
	n.tell(swarm.PeerID(from), wire.ReportAck{Machine: m.Machine, Seq: m.Seq})
	if n.seed == nil {
		n.events.send(swarm.ReportQueued{Machine: swarm.PeerID(m.Machine), Seq: m.Seq})
	}
}

// takeInventory keeps an inventory that a medium has brought.
func (s *seed) takeInventory(b []byte) error {
	var signed signedReport
	var named stockBody
	if err := errors.Join(json.Unmarshal(b, &signed), json.Unmarshal(signed.Body, &named)); err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	letter, err := openLetter(named.ID+stockSuffix, b)
	if err != nil {
		return fmt.Errorf("inventory of %s: %w", api.Clean(named.ID), err)
	}
	return s.keepLetter(letter)
}

// errStock: an inventory that its machine should not have sent.
var errStock = errors.New("inventory refused")

// keepLetter keeps the inventory of a letter, unless a newer letter of its machine came before: an outbox that a power cut
// threw back, or a stick, may bring an old one again, and the newest report speaks of another list of packages then.
func (s *seed) keepLetter(l *stockBody) error {
	st, err := s.openSealed(l.ID, l.Sealed)
	if err != nil {
		return err
	}
	return s.keepStock(l.ID, st, cmp.Or(l.Seq, uint64(max(st.Facts.At.UnixMilli(), 1))))
}

// openSealed opens what a machine has sealed. A machine that nobody enrolled has no place in the books.
func (s *seed) openSealed(id string, sealed []byte) (*stock, error) {
	if err := s.enrolled(id); err != nil {
		return nil, fmt.Errorf("%w: %w", errStock, err)
	}
	st, err := openStock(s.box, sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: of %s: %w", errStock, id, err)
	}
	return st, nil
}

// keepReported keeps the inventory that came with a report, if one did.
func (s *seed) keepReported(id string, sealed []byte) error {
	if len(sealed) == 0 {
		return nil
	}
	sum := content.Sum(sealed)
	if s.stocks.wasReported(id, sum) {
		return nil
	}
	st, err := s.openSealed(id, sealed)
	if err == nil {
		err = s.keepStock(id, st, 0)
	}
	if err != nil {
		return err
	}
	s.stocks.reported(id, sum)
	return nil
}

// wasReported says whether the inventory of a machine that is kept is this one.
func (b *stockbook) wasReported(id string, sealed content.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept[id].report == sealed
}

func (b *stockbook) reported(id string, sealed content.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k, ok := b.kept[id]; ok {
		k.report = sealed
		b.kept[id] = k
	}
}

// keepStock writes the books. letter is the number of the letter that it came in; 0: it came with the newest report, and
// counts whatever the machine's clock says. What came in a letter and is older than what the books hold brings at most its
// list of packages.
func (s *seed) keepStock(id string, st *stock, letter uint64) error {
	s.stocks.mu.Lock()
	defer s.stocks.mu.Unlock()
	if st.Whole {
		if newer, err := s.keepBase(id, st, letter); err != nil || !newer {
			return err
		}
		latest := *st
		latest.Whole, latest.Facts.Packages = false, nil
		st = &latest
	}
	// One that cannot be read gives way to whatever is newer.
	if old, err := s.stock(id); err == nil && letter != 0 && st.Facts.At.Before(old.Facts.At) {
		return nil
	}
	name, err := stockName(st)
	if err != nil {
		return err
	}
	if k := s.stocks.kept[id]; k.name == name && st.Facts.At.Sub(k.at).Abs() < stockWriteEvery {
		return nil
	}
	b, err := pack(st)
	if err != nil {
		return err
	}
	if err := s.db.PutValue(stockOf+id, b); err != nil {
		return err
	}
	if s.stocks.kept == nil {
		s.stocks.kept = map[string]keptStock{}
	}
	s.stocks.kept[id] = keptStock{name: name, at: st.Facts.At}
	delete(s.stocks.groups, id)
	return nil
}

// keepBase keeps a list of packages, unless it came in an older letter than the one that is kept. A list that came with a
// report leaves the number as it was: the next report may speak of the last letter again. stocks.mu is held.
func (s *seed) keepBase(id string, st *stock, letter uint64) (newer bool, err error) {
	var old stockBase
	if b, err := s.db.Value(stockBaseOf + id); err != nil || unpack(b, &old) != nil {
		old = stockBase{} // none, or none that can be read
	}
	if letter != 0 && letter < old.Seq {
		return false, nil
	}
	b, err := pack(stockBase{Name: st.Base, Packages: st.Facts.Packages, At: st.Facts.At, Seq: max(letter, old.Seq)})
	if err == nil {
		err = s.db.PutValue(stockBaseOf+id, b)
	}
	s.stocks.groups = nil // the same changes are to something else now
	return err == nil, err
}

// stockName names what a stock says, but for the time and the free space.
func stockName(st *stock) (string, error) {
	c := *st
	c.Facts.At, c.Facts.FreeBytes = time.Time{}, 0
	b, err := json.Marshal(c)
	return string(b), err
}

// stock is the newest of a machine; ErrNotFound.
func (s *seed) stock(id string) (*stock, error) {
	b, err := s.db.Value(stockOf + id)
	if err != nil {
		return nil, err
	}
	return readStock(b)
}

// inventoryOf is what a machine has reported; nil if nothing. detail says what is not whole about it.
func (s *seed) inventoryOf(id string) (v *policy.Inventory, claims []string, detail string) {
	st, err := s.stock(id)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil, "the machine has not reported its inventory yet"
	}
	if err != nil {
		return nil, nil, "its inventory cannot be read: " + api.Clean(err.Error())
	}
	var base stockBase
	if b, berr := s.db.Value(stockBaseOf + id); berr == nil {
		err = unpack(b, &base)
	}
	if err == nil {
		v, err = st.on(base.Packages)
	}
	if err != nil { // its facts are known, what is installed is not
		part := st.Facts
		part.Packages, part.Truncated = nil, true
		return &part, st.Claims, "its packages are not known: " + errBase.Error()
	}
	return v, st.Claims, ""
}

// membershipsOf are the groups of a machine under the manifest in force, by the same rules as the machine's own.
func (s *seed) membershipsOf(k state.MemberRow) []policy.Membership { return s.worked(k).groups }

// worked is what the manifest in force says of a machine, as it last described itself: it need not be on.
func (s *seed) worked(k state.MemberRow) workedGroups {
	m := s.believer.current().Manifest()
	if m == nil {
		return workedGroups{budgets: usualStall}
	}
	member := fmt.Sprint(k.Name, "\x00", k.Site, "\x00", k.Groups)
	s.stocks.mu.Lock()
	w, known := s.stocks.groups[k.ID]
	s.stocks.mu.Unlock()
	if known && w.manifest == m && w.member == member {
		return w
	}
	facts := policy.Machine{ID: k.ID, Name: k.Name, Site: k.Site, Groups: k.Groups}
	if m.AsksPackages() {
		facts.Inventory, facts.Claims, _ = s.inventoryOf(k.ID)
	} else if st, err := s.stock(k.ID); err == nil { // a fleet's lists of packages are large, and nobody asks for them
		facts.Inventory, facts.Claims = &st.Facts, st.Claims
	}
	w = workedGroups{m, member, m.Memberships(facts), usualStall}
	if says(m) {
		w.budgets = stall(m.Budgets(facts))
	}
	s.stocks.mu.Lock()
	defer s.stocks.mu.Unlock()
	if s.stocks.groups == nil {
		s.stocks.groups = map[string]workedGroups{}
	}
	s.stocks.groups[k.ID] = w
	return w
}

// groupsOf names the groups that a machine is in: those that it was enrolled into, and those that it came
// into since.
func (s *seed) groupsOf(k state.MemberRow) []string {
	return withMemberships(k.Groups, s.membershipsOf(k))
}

// withMemberships adds the groups that a machine is in by query or by its own word to those of its enrolment.
func withMemberships(enrolled []string, all []policy.Membership) []string {
	out := slices.Clone(nonNil(enrolled))
	for _, g := range all {
		if g.Source == policy.MemberQuery || g.Source == policy.MemberClaimed {
			out = append(out, g.Group)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
