package node

import (
	"testing"
	"time"
)

// What can wait is not done while chunks move, but for no longer than receiptGather.
func TestReceiptsOfOthersWaitForALull(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	l := lull{at: now}
	moved := int64(0)
	look := func(bytes int64) bool {
		now, moved = now.Add(receiptRound), moved+bytes
		return l.come(now, moved)
	}
	if !look(0) {
		t.Error("nothing has moved, and all the same it waits")
	}
	if look(1 << 20) {
		t.Error("it does not wait although chunks move")
	}
	if !look(0) {
		t.Error("it waits although they have come to rest")
	}
	looks := 1
	for !look(1 << 20) {
		if looks++; looks > 1000 {
			t.Fatal("it waits for ever")
		}
	}
	if waited := time.Duration(looks) * receiptRound; waited != receiptGather {
		t.Errorf("it has waited for %s, not %s", waited, receiptGather)
	}
	now = now.Add(-24 * time.Hour) // the clock goes back
	if !look(1 << 20) {
		t.Error("a clock that goes back makes it wait for a day")
	}
}
