package state

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func receiptRow(owner, peer string, seq uint64, minute int) ReceiptRow {
	return ReceiptRow{Owner: owner, Peer: peer, Seq: seq, At: time.Date(2026, 11, 25, 12, minute, 0, 0, time.UTC), Body: []byte(fmt.Sprintf("%s %s %d", owner, peer, seq))}
}

func TestRX6ReceiptsAreKeptOncePerNumberAndGrowInOrder(t *testing.T) {
	db := openDB(t)
	put := func(values map[string][]byte, list ...ReceiptRow) {
		t.Helper()
		if err := db.PutReceipts(list, values, 100); err != nil {
			t.Fatal(err)
		}
	}
	put(map[string][]byte{"receipts.a": []byte("1"), "receiptsz": []byte("no")}, receiptRow("r", "s", 1, 1), receiptRow("r", "s", 2, 2), receiptRow("s", "", 0, 3))
	first, err := db.LastReceiptRow()
	if err != nil || first == 0 {
		t.Fatal(first, err)
	}
	answered := receiptRow("r", "s", 1, 1)
	answered.Settled, answered.Body = true, []byte("both")
	put(map[string][]byte{"receipts.a": nil, "receipts.b": []byte("2")}, answered)
	list, err := db.ReceiptsAfter(first, 10) // what is new is found by whoever asked before
	if err != nil || len(list) != 1 || string(list[0].Body) != "both" || !list[0].Settled || list[0].Seq != 1 || !list[0].At.Equal(answered.At) {
		t.Errorf("%+v, %v", list, err)
	}
	if all, err := db.ReceiptsAfter(0, 10); err != nil || len(all) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	if v, err := db.Values("receipts."); err != nil || len(v) != 1 || string(v["receipts.b"]) != "2" {
		t.Errorf("%q, %v", v, err)
	}
	if last, err := db.LastReceipt("r", "s"); err != nil || last != 2 {
		t.Errorf("%d, %v", last, err)
	}
	if w, err := db.Unsettled("r"); err != nil || len(w) != 1 || w["s"] != 2 {
		t.Errorf("%v, %v", w, err)
	}
	if l, err := db.ReceiptsOf("r", "s", 0, true, 10); err != nil || len(l) != 1 || l[0].Seq != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	for _, c := range []struct {
		zero bool
		want string
	}{{true, "s  0"}, {false, "r s 1, r s 2"}} {
		var got []string
		last := ReceiptRow{}
		for {
			l, err := db.ReceiptsByKey(last, c.zero, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(l) == 0 {
				break
			}
			last = l[0]
			got = append(got, fmt.Sprintf("%s %s %d", last.Owner, last.Peer, last.Seq))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if _, err := db.Receipt("r", "s", 3); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// One machine cannot push out what others have signed, and what is old does not come back to stay.
func TestRX6ReceiptsAreBoundedByMachineAndInAll(t *testing.T) {
	db := openDB(t)
	if err := db.PutReceipts([]ReceiptRow{receiptRow("honest", "s", 1, 0)}, nil, 10000); err != nil {
		t.Fatal(err)
	}
	var flood []ReceiptRow
	for i := range keptReceipts + 50 {
		r := receiptRow("liar", "s", uint64(i+1), 1)
		r.At = r.At.Add(time.Duration(i) * time.Second)
		flood = append(flood, r)
	}
	if err := db.PutReceipts(flood, nil, 10000); err != nil {
		t.Fatal(err)
	}
	all := func() (all []ReceiptRow) {
		t.Helper()
		for last := int64(0); ; last = all[len(all)-1].N {
			l, err := db.ReceiptsAfter(last, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if len(l) == 0 {
				return all
			}
			size := 0
			for _, r := range l {
				size += len(r.Body)
			}
			if size >= ReceiptBytes+maxReceiptBytes {
				t.Fatalf("%d bytes are read at once", size)
			}
			all = append(all, l...)
		}
	}
	kept := func(owner string) (n int) {
		t.Helper()
		for _, r := range all() {
			if r.Owner == owner {
				n++
			}
		}
		return n
	}
	if kept("honest") != 1 || kept("liar") != keptReceipts {
		t.Errorf("%d and %d are kept", kept("honest"), kept("liar"))
	}
	if err := db.PutReceipts(flood[:1], nil, 10000); err != nil { // the oldest of them, once more
		t.Fatal(err)
	}
	if _, err := db.Receipt("liar", "s", 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("what is too old has come back: %v", err)
	}
	big := receiptRow("big", "s", 1, 1)
	for big.Seq = 1; big.Seq <= 12; big.Seq++ {
		big.Body = bytes.Repeat([]byte{1}, maxReceiptBytes)
		if err := db.PutReceipts([]ReceiptRow{big}, nil, 10000); err != nil {
			t.Fatal(err)
		}
	}
	if n := kept("big"); n != keptReceiptSum/maxReceiptBytes {
		t.Errorf("%d MiB of one machine are kept", n)
	}
	if err := db.PutReceipts([]ReceiptRow{receiptRow("last", "s", 1, 59)}, nil, 5); err != nil {
		t.Fatal(err)
	}
	if l := all(); len(l) != 5 || kept("last") != 1 {
		t.Errorf("%d are kept in all", len(l))
	}
	for _, r := range []ReceiptRow{{}, {Owner: strings.Repeat("o", maxMachineText+1)}, {Owner: "o", Peer: strings.Repeat("o", maxMachineText+1)}, {Owner: "o", Seq: 1 << 63},
		{Owner: "o", Body: make([]byte, maxReceiptBytes+1)}} {
		if err := db.PutReceipts([]ReceiptRow{r}, nil, 10); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
	if err := db.PutReceipts(nil, map[string][]byte{"x": make([]byte, maxValueBytes+1)}, 10); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}
