package node

import (
	"crypto/ed25519"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/receipt"
	"patchmesh/node/state"
)

// Whoever asks for all receipts over and over, while chunks go out, has nothing signed and written each time.
func TestRX6AsksWithoutEndAreNotPaidForInWrites(t *testing.T) {
	db, err := state.Open(filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := newReceipts(db, key, "me", newLibrary(db), func() time.Time { return now }, false)
	stated := func() int {
		t.Helper()
		b, err := r.giveHeld(0, false)
		if err != nil {
			t.Fatal(err)
		}
		p, err := receipt.DecodePack(b)
		if err != nil || len(p.Records) != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		k, err := receipt.Read(p.Records[0])
		if err != nil || k.Given == nil {
			t.Fatalf("%+v, %v", k, err)
		}
		chunks := 0
		for _, l := range k.Given.Lines {
			b, err := content.BitsFromBytes(l.Chunks, l.Set)
			if err != nil {
				t.Fatal(err)
			}
			chunks += b.Count()
		}
		return chunks
	}
	first, writes := 0, int64(0)
	for i := range 50 {
		r.book.Gave("peer", content.Sum([]byte("x")), 100, i, 10, now)
		if n := stated(); i == 0 {
			first = n
		}
		if writes, err = db.LastReceiptRow(); err != nil {
			t.Fatal(err)
		}
	}
	if first != 1 || writes != 1 {
		t.Errorf("50 asks in an instant were paid for with %d statements, the first of %d chunks", writes, first)
	}
	now = now.Add(receiptFresh)
	if n := stated(); n != 50 {
		t.Errorf("a moment later %d of 50 chunks are stated", n)
	}
}
