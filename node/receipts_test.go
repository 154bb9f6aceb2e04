package node

import (
	"context"
	"reflect"
	"testing"
	"time"

	"patchmesh/node/api"
)

const quickReceipts = 50 * time.Millisecond

// ledger is what a node tells; wait for the signatures with settled.
func (r *running) ledgerOf(t *testing.T, site string) *api.Ledger {
	t.Helper()
	l, err := r.Ledger(context.Background(), api.LedgerQuery{Site: site})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// balanced waits until a ledger holds that many bytes, all of them signed for, and says so.
func (r *running) balanced(t *testing.T, site string, bytes int64) *api.Ledger {
	t.Helper()
	var l *api.Ledger
	defer func() {
		if t.Failed() {
			t.Logf("ledger of %s: %+v", r.member.Name, l)
		}
	}()
	until(t, "the ledger to be settled", func() bool {
		l = r.ledgerOf(t, site)
		return l.Total.UnsettledBytes == 0 && l.Total.GotBytes+l.Total.UnsignedBytes >= bytes
	})
	if !l.Balanced || len(l.Mismatches) > 0 || l.Total.GivenBytes != l.Total.GotBytes || l.Total.ProvenBytes != l.Total.GotBytes {
		t.Errorf("%+v", l)
	}
	return l
}

// A seed and three machines of one site: every byte that any of them got is signed for by whoever gave it.
func TestRX6LedgerOfAMeshBalances(t *testing.T) {
	m := newMesh(t)
	m.seed.stop()
	m.seed = m.run("seed", Config{Listen: m.seed.addr, receiptEvery: quickReceipts})
	a := m.machine("a", "", Config{Egress: EgressYes, receiptEvery: quickReceipts})
	b := m.machine("b", a.addr, Config{Egress: EgressNo, receiptEvery: quickReceipts})
	c := m.machine("c", a.addr, Config{Egress: EgressNo, Peers: []string{b.addr}, receiptEvery: quickReceipts})
	body := static(6 << 20)
	m.file("u1", body)
	m.approve("u1")
	for _, r := range []*running{a, b, c} {
		until(t, "u1 to be installed", func() bool { return r.update(t, "u1").State == "installed" })
	}
	l := m.seed.balanced(t, "main", 3*int64(len(body)))
	if len(l.Rows) != 1 || l.Rows[0].Update != "u1" || l.Rows[0].Site != "main" || l.Total.UnsignedBytes != 0 {
		t.Errorf("%+v", l.Rows)
	}
	// The receipts agree with the account that each machine keeps by itself.
	var site, wan int64
	for _, r := range []*running{a, b, c} {
		x := r.update(t, "u1").Bytes
		site, wan = site+x.Subnet+x.Site, wan+x.WAN()
	}
	if l.Total.SavedBytes != site || l.Total.WANBytes < wan {
		t.Errorf("receipts prove %d saved and %d over the WAN, the machines count %d and %d", l.Total.SavedBytes, l.Total.WANBytes, site, wan)
	}
}

// Two sites that never see the seed: their receipts come home on a stick, and the seed tells what the site does.
func TestRX6ReceiptsComeHomeOnAStickFieldByField(t *testing.T) {
	m := newMesh(t)
	a := m.offline("a", "north")
	a.stop()
	a = m.run("a", Config{Listen: a.addr, Egress: EgressNo, receiptEvery: quickReceipts})
	b := m.offline("b", "north", a.addr)
	b.stop()
	b = m.run("b", Config{Listen: b.addr, Egress: EgressNo, Peers: []string{a.addr}, receiptEvery: quickReceipts})
	body := static(5<<20 + 123)
	m.file("u1", body)
	m.approve("u1")
	stick := t.TempDir()
	m.export(ExportRequest{Dir: stick, Site: "north"})
	a.feed(t, stick)
	for _, r := range []*running{a, b} {
		until(t, "u1 to be installed", func() bool { return r.update(t, "u1").State == "installed" })
	}
	m.noSeed(a, b)
	var back *ReturnedBundle
	var own *api.Ledger
	until(t, "both signatures", func() bool {
		var err error
		if back, err = ExportReturn(context.Background(), a.socket(t), stick); err != nil {
			t.Fatal(err)
		}
		own = a.ledgerOf(t, "north")
		return own.Total.UnsettledBytes == 0 && own.Total.GotBytes == int64(len(body)) && own.Total.MediaBytes == int64(len(body))
	})
	if !own.Balanced || own.Total.SavedBytes != int64(len(body)) || own.Total.GivenBytes != int64(len(body)) || back.Receipts == 0 {
		t.Fatalf("%+v, %+v", own, back)
	}
	in, err := ImportReturns(context.Background(), m.seed, nil, stick)
	if err != nil || !in.Complete || len(in.Returns) != 1 || in.Returns[0].Receipts != back.Receipts || in.Returns[0].Refused != 0 {
		t.Fatalf("%+v, %v, %+v", in, err, in.Returns)
	}
	home := m.seed.ledgerOf(t, "north")
	if !reflect.DeepEqual(own, home) {
		t.Errorf("at the site: %+v\nat home: %+v", own, home)
	}
	// The same stick again adds nothing.
	in, err = ImportReturns(context.Background(), m.seed, nil, stick)
	if err != nil || in.Returns[0].Receipts != 0 || in.Returns[0].Refused != 0 {
		t.Errorf("again: %+v, %v", in.Returns[0], err)
	}
	if again := m.seed.ledgerOf(t, "north"); !reflect.DeepEqual(home, again) {
		t.Errorf("after it came twice: %+v, was %+v", again, home)
	}
	if _, err := m.seed.Ledger(context.Background(), api.LedgerQuery{Site: "south"}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("a site that there is not: %v", err)
	}
	if _, err := a.Ledger(context.Background(), api.LedgerQuery{Site: "main"}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("a machine about another site: %v", err)
	}
}
