package receipt

import (
	"testing"

	"patchmesh/content"
	"patchmesh/node/api"
)

// BenchmarkGigabyte is what receipts cost both sides of a gigabyte in chunks of 256 KiB from ten senders: every
// chunk booked twice, then made, signed, checked and answered.
func BenchmarkGigabyte(b *testing.B) {
	const chunks, senders = 4096, 10
	names := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	b.ReportAllocs()
	for b.Loop() {
		r := NewBook(nil)
		var out [senders]*Book
		for i := range out {
			out[i] = NewBook(nil)
		}
		for i := range chunks {
			out[i%senders].Gave("r", p1, chunks, i, 256<<10, noon)
			r.Arrived(names[i%senders], api.TierSite, p1, chunks, i, 256<<10, true, noon)
		}
		sizes := func(content.ID, int) (int64, bool) { return 256 << 10, true }
		for i, name := range names {
			for _, c := range r.Close("r", name) {
				c.Seq = 1
				k := signedBy(b, c)
				got, err := Open(k.Raw, publicOf, noon)
				if err != nil {
					b.Fatal(err)
				}
				denied := out[i].Settle(got.Receipt, sizes)
				if len(denied) > 0 {
					b.Fatal(denied)
				}
				if _, err := Open(answeredBy(b, got, name, Answer{Denied: denied}).Raw, publicOf, noon); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}
