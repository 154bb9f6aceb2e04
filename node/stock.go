package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/inventory"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// stockroom is this machine's own inventory: what queries of groups are asked of, and what is reported.
type stockroom struct {
	now  atomic.Pointer[policy.Inventory] // nil: never collected
	wake chan chan struct{}               // asks for a look; the inner one is closed after it

	mu     sync.Mutex // guards what follows
	base   stockBase
	claims []string
	told   toldStock
}

// toldStock is what the last report said of the inventory. While nothing has changed the next one says the very
// same: packing and sealing it costs more than all the rest of a report.
type toldStock struct {
	facts  *policy.Inventory
	base   string
	claims []string
	sealed []byte
}

// stockBase is the list of packages that went to the seed as a whole.
type stockBase struct {
	Name     string           `json:"name"`
	Packages []policy.Package `json:"packages"`
	At       time.Time        `json:"at"`
	Seq      uint64           `json:"seq"`
}

// Names in the database.
const (
	stockKey     = "inventory"
	stockBaseKey = "inventory-base"
	claimsKey    = "claims"
)

// How often the machine looks at itself, and when the whole list goes out anew.
const (
	stampEvery     = time.Minute    // whether a package database has changed
	stockEvery     = 22 * time.Hour // everything, where no signed setting says otherwise
	baseAnew       = 24 * time.Hour // if anything has changed since
	baseAtLeast    = 7 * 24 * time.Hour
	baseMaxChanges = 400 // then the list as a whole is not much larger
)

// stockSuffix marks the letter with the whole list among reports: it is no report, and none replaces it.
const stockSuffix = "#inventory"

// stockDomain keeps its signature from being one of anything else.
const stockDomain = "patchmesh inventory v1\x00"

func (n *Node) openStock() error {
	s := &n.stock
	s.wake = make(chan chan struct{}, 16)
	for _, v := range []struct {
		key  string
		read func([]byte) error
	}{
		{stockKey, func(b []byte) error {
			var v policy.Inventory
			if err := unpack(b, &v); err != nil {
				return err
			}
			s.now.Store(&v)
			return nil
		}},
		{stockBaseKey, func(b []byte) error { return unpack(b, &s.base) }},
		{claimsKey, func(b []byte) error { return json.Unmarshal(b, &s.claims) }},
	} {
		b, err := n.db.Value(v.key)
		if errors.Is(err, state.ErrNotFound) {
			continue
		}
		if err == nil {
			err = v.read(b)
		}
		if err != nil {
			return fmt.Errorf("kept %s: %w", v.key, err)
		}
	}
	return nil
}

// known is what plans are made from.
func (s *stockroom) known() (*policy.Inventory, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Load(), slices.Clone(s.claims)
}

// watchStock looks at the machine when it starts, when packages have changed, when somebody asks, and from
// time to time.
func (n *Node) watchStock(ctx context.Context) {
	stamp, due := "", time.Time{}
	t := time.NewTicker(stampEvery)
	defer t.Stop()
	var asked []chan struct{}
	for {
		if now := inventory.Stamp(n.cfg.Root); now != stamp || len(asked) > 0 || !n.cfg.Now().Before(due) {
			stamp = now
			n.lookAtStock(ctx)
			// Up to a fifth earlier, so that a fleet that was switched on together does not report together.
			every := n.stockEvery()
			due = n.cfg.Now().Add(every - rand.N(every/5+1))
		}
		for _, a := range asked {
			close(a)
		}
		asked = nil
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case a := <-n.stock.wake:
			asked = append(asked, a)
		}
	}
}

// stockChanged has the machine looked at soon: an update was installed or removed.
func (n *Node) stockChanged() {
	select {
	case n.stock.wake <- make(chan struct{}):
	default: // enough have asked already
	}
}

// stockEvery is the signed scan interval of this machine, or the usual one.
func (n *Node) stockEvery() time.Duration {
	if m := n.believer.current().Manifest(); m != nil {
		for _, e := range m.Effectives(n.machineFacts()) {
			if d, err := time.ParseDuration(e.Value); e.Name == policy.SetScanInterval && err == nil && e.Source != "default" {
				return d
			}
		}
	}
	return stockEvery
}

// rescanStock looks now, and returns when that is done.
func (n *Node) rescanStock(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case n.stock.wake <- done:
	case <-ctx.Done():
		return ctx.Err()
	case <-n.ctx.Done():
		return n.ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.ctx.Done():
		return n.ctx.Err()
	}
}

// collectStock reads the inventory of a machine, in a form that can be reported.
func collectStock(ctx context.Context, q inventory.Question) *policy.Inventory {
	v := inventory.Collect(ctx, q)
	if err := fitting(v); err != nil { // cannot be encoded: nothing is known of its packages
		v.Packages, v.Truncated = nil, true
	}
	return v
}

// lookAtStock takes up what the machine is now.
func (n *Node) lookAtStock(ctx context.Context) {
	v := collectStock(ctx, inventory.Question{Root: n.cfg.Root, DataDir: n.cfg.DataDir, Agent: n.cfg.Version, Now: n.cfg.Now()})
	if ctx.Err() != nil {
		return
	}
	if err := v.Check(); err != nil {
		n.log.Error("the inventory of this machine is not plain", "err", err)
		return
	}
	was := n.stock.now.Load()
	if b, err := pack(v); err != nil {
		n.log.Warn("inventory not kept", "err", err)
	} else if err := n.db.PutValue(stockKey, b); err != nil {
		n.log.Warn("inventory not kept", "err", err)
	}
	n.stock.now.Store(v)
	if err := n.sendBase(v); err != nil {
		n.log.Warn("inventory not sent", "err", err)
	}
	if was == nil || !sameStock(was, v) {
		n.events.send(swarm.InventoryChanged{Machine: n.machineFacts()})
	}
}

// sameStock compares what matters: not when, and not the space that is free at the moment.
func sameStock(a, b *policy.Inventory) bool {
	x, y := *a, *b
	x.At, y.At, x.FreeBytes, y.FreeBytes = time.Time{}, time.Time{}, 0, 0
	p, errA := json.Marshal(x)
	q, errB := json.Marshal(y)
	return errA == nil && errB == nil && string(p) == string(q)
}

// sendBase writes the letter with the whole list of packages where it is due.
func (n *Node) sendBase(v *policy.Inventory) error {
	if n.seed != nil || len(n.member.Box) == 0 {
		return nil
	}
	s := &n.stock
	s.mu.Lock()
	defer s.mu.Unlock()
	added, removed := difference(s.base.Packages, v.Packages)
	changed, age := len(added)+len(removed), v.At.Sub(s.base.At)
	if s.base.Name != "" && changed <= baseMaxChanges && age >= 0 && age < baseAtLeast && (changed == 0 || age < baseAnew) {
		return nil
	}
	next := stockBase{Name: baseName(v.Packages), Packages: v.Packages, At: v.At, Seq: max(s.base.Seq+1, uint64(max(v.At.UnixMilli(), 1)))}
	sealed, err := sealStock(n.member.Box, &stock{Facts: *v, Claims: s.claims, Base: next.Name, Whole: true})
	if err != nil {
		return err
	}
	letter, err := n.signLetter(sealed, next.Seq)
	if err != nil {
		return err
	}
	kept, err := pack(next)
	if err == nil {
		err = n.db.PutOutbox(n.id+stockSuffix, next.Seq, letter)
	}
	if err == nil {
		err = n.db.PutValue(stockBaseKey, kept) // after it: what reports rely on is on its way
	}
	if err != nil {
		return err
	}
	s.base = next
	n.events.send(swarm.ReportQueued{Machine: swarm.PeerID(n.id + stockSuffix), Seq: next.Seq})
	return nil
}

// stockBody is what a letter or a report says of an inventory.
type stockBody struct {
	ID     string `json:"id"`
	Sealed []byte `json:"sealed_inventory,omitempty"`
	// Seq of a letter: an older one must not take the place of a newer one that reports speak of. It grows whatever the
	// clock does. Programs of before do not say it; theirs was no less than the time of the inventory in ms.
	Seq uint64 `json:"seq,omitempty"`
}

func (n *Node) signLetter(sealed []byte, seq uint64) ([]byte, error) {
	body, err := json.Marshal(stockBody{ID: n.id, Sealed: sealed, Seq: seq})
	if err != nil {
		return nil, err
	}
	return json.Marshal(signedReport{Body: body, Sig: ed25519.Sign(n.key, append([]byte(stockDomain), body...))})
}

// reportedStock is the inventory that goes into a report: changes, or everything where the report is the only
// thing that will travel. nil: there is nothing to tell yet, or nobody to seal it to.
func (n *Node) reportedStock(whole bool) []byte {
	v := n.stock.now.Load()
	if v == nil || n.seed != nil || len(n.member.Box) == 0 {
		return nil
	}
	s := &n.stock
	s.mu.Lock()
	base, claims, told := s.base, slices.Clone(s.claims), s.told
	s.mu.Unlock()
	if !whole && told.facts == v && told.base == base.Name && slices.Equal(told.claims, claims) {
		return told.sealed
	}
	st := &stock{Facts: *v, Claims: claims, Base: base.Name}
	if whole || base.Name == "" {
		st.Base, st.Whole = baseName(v.Packages), true
	} else {
		st.Facts.Packages = nil
		st.Added, st.Removed = difference(base.Packages, v.Packages)
	}
	sealed, err := sealStock(n.member.Box, st)
	if err != nil {
		n.log.Warn("inventory not reported", "err", err)
		return nil
	}
	if !st.Whole { // a base that is on its way may make the next one much smaller
		s.mu.Lock()
		s.told = toldStock{facts: v, base: base.Name, claims: claims, sealed: sealed}
		s.mu.Unlock()
	}
	return sealed
}

// Scan implements api.Surveyor: looks at the machine now, its inventory and its updates.
func (n *Node) Scan(ctx context.Context, _ api.ScanRequest) (*api.Scanned, error) {
	if n.host == nil {
		return nil, api.Errorf(api.ClassUnreachable, "the node is not running").WithHint("start it with 'patchmesh run'")
	}
	if err := n.rescanStock(ctx); err != nil {
		return nil, err
	}
	n.events.send(swarm.ScanAsked{})
	v := n.stock.now.Load()
	return &api.Scanned{Machine: n.member.Name, At: n.cfg.Now().UTC(), Packages: len(v.Packages), Updates: len(n.view.Load().Tasks), Inventory: *v}, nil
}
