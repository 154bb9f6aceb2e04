package main

import (
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
)

// People read both figures, both names, the chunks and what to do.
func TestRX6LedgerTextNamesWhoDisagrees(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	l := &api.Ledger{
		AsOf: at, Since: at, Receipts: 2, More: 3, Rows: []api.LedgerRow{{Site: "north", Payload: "bafkreipayload", GivenBytes: 1 << 20, GotBytes: 3 << 20}},
		Mismatches: []api.LedgerMismatch{{
			Site: "north", Payload: "bafkreipayload", Sender: "12D3s", SenderName: "till-1\x1b[31m", Receiver: "12D3r", ReceiverName: "till-2", At: at, GivenBytes: 1 << 20, GotBytes: 3 << 20,
			Chunks: []int{4, 5}, ChunkCount: 9, Reason: api.MismatchDenied, Text: "they differ", NextStep: "look",
		}},
	}
	var b strings.Builder
	writeLedger(&b, l)
	for _, want := range []string{"NOT balanced: 4 mismatches", "till-2 says it got 3.0 MiB", "says it gave 1.0 MiB", "chunks 4 5 and 7 more", api.MismatchDenied, "next: look", "differs", "and 3 mismatches more"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a name speaks to the terminal")
	}
}
