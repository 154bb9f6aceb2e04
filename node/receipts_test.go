package node

import (
	"context"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/receipt"
	"patchmesh/policy"
	"patchmesh/swarm/rate"
)

const quickReceipts = 50 * time.Millisecond

// proof is a mesh with a site that never sees the seed, n1 and n2 of it, and a stick between the two.
type proof struct {
	*mesh
	n1, n2 *running
	stick  string
	body   []byte
	m      *content.PayloadMap
}

func newProof(t *testing.T, bytes int) *proof {
	t.Helper()
	m := newMesh(t)
	m.seed.stop()
	m.seed = m.run("seed", Config{Listen: m.seed.addr, receiptEvery: quickReceipts})
	return &proof{mesh: m, stick: t.TempDir(), body: static(bytes)}
}

// publish makes u1 and notes its payload.
func (p *proof) publish() {
	p.t.Helper()
	p.file("u1", p.body)
	p.approve("u1")
	var err error
	if p.m, err = p.seed.docs.payloadMap((&site{mesh: p.mesh}).payload("u1")); err != nil {
		p.t.Fatal(err)
	}
}

// away is a machine of a site without a way to the seed.
func (p *proof) away(name string, cfg Config) *running {
	p.t.Helper()
	inv, err := p.seed.Invite(context.Background(), api.InviteRequest{Site: "north", Groups: []string{"office"}})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(p.dir, name), Token: inv.Token, Name: name}, time.Now); err != nil {
		p.t.Fatal(err)
	}
	cfg.Egress, cfg.receiptEvery = EgressNo, quickReceipts
	return p.run(name, cfg)
}

// bring carries what is approved to n1.
func (p *proof) bring() {
	p.t.Helper()
	p.export(ExportRequest{Dir: p.stick, Site: "north"})
	p.n1.feed(p.t, p.stick)
	until(p.t, "n1 to have u1", func() bool { return p.n1.update(p.t, "u1").State == "installed" })
}

// home carries the way back to the seed, until what the seed then tells of the site is good.
func (p *proof) home(what string, good func(*api.Ledger) bool) (*ReturnedBundle, *api.TakenReturn) {
	p.t.Helper()
	var back *ReturnedBundle
	var in *ImportedBundle
	until(p.t, what, func() bool {
		before := p.n1.ledgerOf(p.t, "north")
		var err error
		if back, err = ExportReturn(context.Background(), p.n1.socket(p.t), p.stick); err != nil {
			p.t.Fatal(err)
		}
		// What was collected for the stick may be news at the site, too.
		if own := p.n1.ledgerOf(p.t, "north"); !reflect.DeepEqual(own, before) || !good(own) {
			return false
		}
		if in, err = ImportReturns(context.Background(), p.seed, nil, p.stick); err != nil || !in.Complete || len(in.Returns) != 1 || in.Returns[0].Refused > 0 {
			p.t.Fatalf("%+v, %v", in, err)
		}
		return true
	})
	return back, in.Returns[0]
}

func (r *running) ledgerOf(t *testing.T, site string) *api.Ledger {
	t.Helper()
	l, err := r.Ledger(context.Background(), api.LedgerQuery{Site: site})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// line is a line of one chunk of u1.
func (p *proof) line(i int, tier string) receipt.Line {
	set := content.NewBits(p.m.Len())
	set.Set(i)
	return receipt.Line{Payload: p.m.ID(), Chunks: p.m.Len(), Set: set.Bytes(), Bytes: int64(p.m.Chunks[i].StoredBytes), Tier: tier}
}

func (p *proof) receipt(receiver, sender *running, seq uint64, lines ...receipt.Line) *receipt.Receipt {
	now := time.Now().UTC()
	return &receipt.Receipt{Receiver: receiver.id, Sender: sender.id, Seq: seq, FirstAt: now, LastAt: now, Lines: lines}
}

func (p *proof) sign(r *receipt.Receipt, by *running) *receipt.Record {
	p.t.Helper()
	k, err := r.Sign(by.key)
	if err != nil {
		p.t.Fatal(err)
	}
	return k
}

func (p *proof) pack(records ...[]byte) []byte {
	p.t.Helper()
	b, err := receipt.Pack{Records: records}.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// Three sites' worth of receipts: over the mesh, on a stick, and what liars make of them.
func TestRX6Receipts(t *testing.T) {
	p := newProof(t, 3<<20+123)
	a := p.machine("a", "", Config{Egress: EgressYes, receiptEvery: quickReceipts}) // takes its time over the WAN meanwhile
	p.publish()
	p.n1 = p.away("n1", Config{})
	p.n2 = p.away("n2", Config{Peers: []string{p.n1.addr}})
	p.bring()
	for _, s := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"come home on a stick field by field", p.comeHome},
		{"with forged signatures are refused", p.forge},
		{"name a sender that claims more", p.greedySender},
		{"count once when they are shown again", p.replay},
		{"name a receiver that claims more", p.greedyReceiver},
		{"balance over a mesh, beside a machine without any", func(t *testing.T) { p.balance(t, a) }},
	} {
		if !t.Run("receipts "+s.name, func(t *testing.T) { p.t = t; s.test(t) }) {
			break // what follows builds on it
		}
	}
	p.t = t
}

func (p *proof) comeHome(t *testing.T) {
	until(t, "n2 to have u1", func() bool { return p.n2.update(t, "u1").State == "installed" })
	p.noSeed(p.n1, p.n2)
	size := int64(len(p.body))
	back, taken := p.home("both signatures", func(l *api.Ledger) bool {
		return l.Total.UnsettledBytes == 0 && l.Total.GotBytes == size && l.Total.MediaBytes == size
	})
	own, home := p.n1.ledgerOf(t, "north"), p.seed.ledgerOf(t, "north")
	if !own.Balanced || own.Total.SavedBytes != size || own.Total.GivenBytes != size || own.Total.WANBytes != 0 || len(own.Rows) != 1 || own.Rows[0].Update != "u1" {
		t.Errorf("%+v", own)
	}
	if !reflect.DeepEqual(own, home) {
		t.Errorf("at the site: %+v\nat home: %+v", own, home)
	}
	if back.Receipts == 0 || taken.Receipts != back.Receipts {
		t.Errorf("%d receipts were packed and %d came", back.Receipts, taken.Receipts)
	}
	if _, err := p.seed.Ledger(context.Background(), api.LedgerQuery{Site: "south"}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("a site that there is not: %v", err)
	}
	if _, err := p.n1.Ledger(context.Background(), api.LedgerQuery{Site: "main"}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("a machine about another site: %v", err)
	}
}

func (p *proof) replay(t *testing.T) {
	before := p.seed.ledgerOf(t, "north")
	var shown [][]byte
	var last *receipt.Receipt
	err := p.n2.receipts.all(false, func(k *receipt.Record) error {
		if k.Receipt.Receiver == p.n2.id {
			last = k.Receipt
			shown = append(shown, p.sign(k.Receipt, p.n2).Raw, k.Raw) // without the answer, as it was first, and with it
		}
		return nil
	})
	if err != nil || last == nil {
		t.Fatalf("%d, %v", len(shown), err)
	}
	for range 2 {
		if out, err := p.n1.receipts.sign(p.n2.id, &receipt.Pack{Records: shown}); err != nil || out.fresh != 0 {
			t.Errorf("signed again: %+v, %v", out, err)
		}
		in, err := p.seed.seed.takeReturn(api.Return{Machine: p.n2.id, Receipts: [][]byte{p.pack(shown...)}})
		if err != nil || in.Receipts != 0 || in.Refused != 0 {
			t.Errorf("on a stick: %+v, %v", in, err)
		}
	}
	if after := p.seed.ledgerOf(t, "north"); !reflect.DeepEqual(after, before) {
		t.Errorf("%+v\nwas %+v", after, before)
	}
	// Under a new number it claims what is no longer in the sender's books.
	again := *last
	again.Seq = last.Seq + 1
	anew := p.sign(&again, p.n2)
	until(t, "the sender to be sure", func() bool {
		if out, err := p.n1.receipts.sign(p.n2.id, &receipt.Pack{Records: [][]byte{anew.Raw}}); err != nil || out.fresh > 0 {
			t.Fatalf("%+v, %v", out, err)
		}
		row, err := p.n1.receipts.find(anew.Key())
		return err == nil && row != nil && len(row.Answer.Denied) == len(again.Lines)
	})
}

func (p *proof) forge(t *testing.T) {
	before := p.seed.ledgerOf(t, "north")
	good := p.sign(p.receipt(p.n2, p.n1, 5, p.line(0, api.TierSubnet)), p.n2)
	forged, err := good.Countersign(p.n2.key, receipt.Answer{At: time.Now().UTC()}) // the receiver plays the sender
	if err != nil {
		t.Fatal(err)
	}
	stolen := p.sign(p.receipt(p.n1, p.n2, 6, p.line(0, api.TierSubnet)), p.n2) // and another receiver
	wrong := p.receipt(p.n2, p.n1, 7, p.line(0, api.TierSubnet))
	wrong.Lines[0].Bytes++ // and claims bytes that the payload does not have
	nobody := p.receipt(p.n2, p.n1, 8, p.line(0, api.TierSubnet))
	stranger := newMesh(t).seed
	nobody.Receiver = stranger.id
	records := [][]byte{forged.Raw, stolen.Raw, p.sign(wrong, p.n2).Raw, p.sign(nobody, stranger).Raw, []byte("{}"), nil}
	in, err := p.seed.seed.takeReturn(api.Return{Machine: p.n2.id, Receipts: [][]byte{p.pack(records...), []byte("no pack")}})
	if err != nil || in.Receipts != 0 || in.Refused != len(records)+1 || !strings.Contains(in.Detail, "signature") {
		t.Errorf("%+v, %v", in, err)
	}
	if after := p.seed.ledgerOf(t, "north"); !reflect.DeepEqual(after, before) {
		t.Errorf("%+v\nwas %+v", after, before)
	}
	// Whoever carries what is signed well by somebody that is not known here has forged nothing.
	pack := &receipt.Pack{Records: [][]byte{p.sign(nobody, stranger).Raw}}
	if out, err := p.seed.receipts.take(pack); err != nil || out.refused != 0 || out.strange != 1 || out.fresh != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := p.seed.seed.takeReturn(api.Return{Receipts: make([][]byte, maxReceiptPacks+1)}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("a stick full of packs: %v", err)
	}
	// Nobody signs what is not handed over by its receiver, or not about itself.
	for _, c := range []struct {
		at   *running
		from string
		k    *receipt.Record
	}{{p.n1, p.seed.id, good}, {p.n2, p.n2.id, good}, {p.n1, p.n2.id, p.sign(wrong, p.n2)}, {p.n1, p.n2.id, forged}} {
		if out, err := c.at.receipts.sign(c.from, &receipt.Pack{Records: [][]byte{c.k.Raw}}); err != nil || out.refused != 1 || out.fresh != 0 {
			t.Errorf("%+v, %v", out, err)
		}
	}
}

func (p *proof) greedySender(t *testing.T) {
	size := int64(p.m.Chunks[2].StoredBytes)
	p.n1.receipts.book.Gave(p.n2.id, p.m.ID(), p.m.Len(), 2, int(size), time.Now().Add(-2*time.Hour))
	p.home("the claim", func(l *api.Ledger) bool { return len(l.Mismatches) > 0 })
	l := p.seed.ledgerOf(t, "north")
	if len(l.Mismatches) != 1 || l.Balanced || l.Total.GivenBytes != l.Total.GotBytes+size || l.Total.ProvenBytes != l.Total.GotBytes {
		t.Fatalf("%+v", l)
	}
	x := l.Mismatches[0]
	if x.Reason != api.MismatchNoReceipt || x.SenderName != "n1" || x.ReceiverName != "n2" || x.GivenBytes != size || x.GotBytes != 0 || !slices.Equal(x.Chunks, []int{2}) {
		t.Errorf("%+v", x)
	}
}

func (p *proof) greedyReceiver(t *testing.T) {
	size := int64(p.m.Chunks[1].StoredBytes)
	p.n2.receipts.book.Arrived(p.n1.id, api.TierSubnet, p.m.ID(), p.m.Len(), 1, int(size), true, time.Now())
	denied := func(m api.LedgerMismatch) bool { return m.Reason == api.MismatchDenied && m.GotBytes == size }
	p.home("the word of the sender", func(l *api.Ledger) bool { return slices.ContainsFunc(l.Mismatches, denied) })
	own, l := p.n1.ledgerOf(t, "north"), p.seed.ledgerOf(t, "north")
	if !reflect.DeepEqual(own, l) || l.Balanced {
		t.Errorf("at the site: %+v\nat home: %+v", own, l)
	}
	x := l.Mismatches[slices.IndexFunc(l.Mismatches, denied)]
	if x.Sender != p.n1.id || x.SenderName != "n1" || x.ReceiverName != "n2" || x.GivenBytes != 0 || x.GotBytes != size || !slices.Equal(x.Chunks, []int{1}) || x.Update != "u1" || x.Site != "north" {
		t.Errorf("%+v", x)
	}
	// A machine that was locked out signs for nothing any more.
	if _, err := p.seed.Revoke(context.Background(), api.RevokeRequest{Machine: p.n2.id, Reason: "it lies"}); err != nil {
		t.Fatal(err)
	}
	k := p.sign(p.receipt(p.n2, p.n1, 5, p.line(0, api.TierSubnet)), p.n2)
	if in, err := p.seed.seed.takeReturn(api.Return{Machine: p.n2.id, Receipts: [][]byte{p.pack(k.Raw)}}); err != nil || in.Refused != 1 || in.Receipts != 0 {
		t.Errorf("%+v, %v", in, err)
	}
}

// balance: a takes u1 from the seed, b from a, and c, of a version without receipts, from either.
func (p *proof) balance(t *testing.T, a *running) {
	until(t, "a to have u1", func() bool { return a.update(t, "u1").State == "installed" })
	b := p.machine("b", a.addr, Config{Egress: EgressNo, receiptEvery: quickReceipts})
	until(t, "b to have u1", func() bool { return b.update(t, "u1").State == "installed" })
	size := int64(len(p.body))
	var l *api.Ledger
	until(t, "everything to be signed for", func() bool {
		l = p.seed.ledgerOf(t, "main")
		return l.Total.UnsettledBytes == 0 && l.Total.ProvenBytes >= 2*size
	})
	if !l.Balanced || len(l.Mismatches) > 0 || l.Total.GivenBytes != l.Total.GotBytes || l.Total.ProvenBytes != l.Total.GotBytes || l.Total.UnsignedBytes != 0 {
		t.Errorf("%+v", l)
	}
	// The receipts agree with the account that each machine keeps by itself.
	x, y := a.update(t, "u1").Bytes, b.update(t, "u1").Bytes
	if l.Total.SavedBytes != x.Subnet+x.Site+y.Subnet+y.Site || l.Total.WANBytes != x.WAN()+y.WAN() || l.Total.SavedBytes != size {
		t.Errorf("receipts prove %d saved and %d over the WAN; a counts %+v, b %+v", l.Total.SavedBytes, l.Total.WANBytes, x, y)
	}
	c := p.machine("c", a.addr, Config{Egress: EgressNo, receiptEvery: -1})
	until(t, "c to have u1", func() bool { return c.update(t, "u1").State == "installed" })
	until(t, "what c was given to be stated", func() bool { return p.seed.ledgerOf(t, "main").Total.UnsettledBytes == size })
	if l = p.seed.ledgerOf(t, "main"); !l.Balanced || l.Total.ProvenBytes != 2*size {
		t.Errorf("%+v", l)
	}
	for _, r := range []*running{p.seed, a, b, c} {
		if r.refusedFor(t, policy.ReasonTrustBadSignature) {
			t.Errorf("%s has refused something", r.member.Name)
		}
	}
}

// Both ends are started anew while chunks move: what was signed for is what came, and no chunk is claimed twice.
func TestRX6RestartInTheMiddleClaimsNothingTwice(t *testing.T) {
	p := newProof(t, 6<<20)
	p.n1 = p.away("n1", Config{})
	p.publish()
	p.bring()
	slow, err := ParseLimit("site.down=4MiB")
	if err != nil {
		t.Fatal(err)
	}
	slowly := Config{Egress: EgressNo, Peers: []string{p.n1.addr}, Limits: rate.Limits{slow}, receiptEvery: quickReceipts}
	p.n2 = p.away("n2", slowly)
	have := func(bytes int64) {
		until(t, "a part of u1", func() bool { return p.n2.update(t, "u1").HaveBytes >= bytes })
	}
	have(1 << 20)
	p.n2.stop()
	slowly.Listen = p.n2.addr
	p.n2 = p.run("n2", slowly)
	have(3 << 20)
	p.n1.stop()
	p.n1 = p.run("n1", Config{Listen: p.n1.addr, Egress: EgressNo, receiptEvery: quickReceipts})
	until(t, "n2 to have u1", func() bool { return p.n2.update(t, "u1").State == "installed" })
	x := p.n2.update(t, "u1").Bytes
	came := x.Subnet + x.Site + x.Duplicate
	p.home("everything to be signed for", func(l *api.Ledger) bool { return l.Total.ProvenBytes >= came })
	l := p.seed.ledgerOf(t, "north")
	if l.Total.ProvenBytes != came || !l.Balanced || l.Total.GivenBytes != l.Total.GotBytes || l.Total.SavedBytes != int64(len(p.body)) {
		t.Errorf("%d bytes came to n2: %+v", came, l)
	}
	// Chunks that were under way when a connection ended may have been given and not got; they stand apart.
	if l.Total.UnsettledBytes > 4<<20 {
		t.Errorf("%d bytes are open", l.Total.UnsettledBytes)
	}
}

// A folder of a stopped machine is fed, and gives its receipts back: a medium cannot sign, so they stand apart.
func TestRX6StoppedMachineFedFromAStickTellsOfIt(t *testing.T) {
	p := newProof(t, 2<<20)
	p.away("n1", Config{}).stop()
	p.publish()
	p.export(ExportRequest{Dir: p.stick, Site: "north"})
	for range 2 {
		err := WithCarrier(filepath.Join(p.dir, "n1"), time.Now, func(c api.Carrier) error {
			if _, err := ImportBundle(context.Background(), c, p.stick, time.Now()); err != nil {
				return err
			}
			back, err := ExportReturn(context.Background(), c, p.stick)
			if err == nil && back.Receipts != 1 {
				t.Errorf("%+v", back)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ImportReturns(context.Background(), p.seed, nil, p.stick); err != nil {
		t.Fatal(err)
	}
	l := p.seed.ledgerOf(t, "north")
	if !l.Balanced || l.Total.MediaBytes != int64(len(p.body)) || l.Total.ProvenBytes != 0 || l.Total.GotBytes != 0 || l.Receipts != 1 {
		t.Errorf("%+v", l)
	}
}
