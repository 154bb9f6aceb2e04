package transport

import (
	"runtime"
	"testing"
	"time"
)

func TestSparesAreGivenAgainAndGoWhenNobodyNeedsThem(t *testing.T) {
	var s spares[int]
	if s.take() != nil {
		t.Error("something out of nothing")
	}
	a, b, c := new(int), new(int), new(int)
	s.put(a)
	s.put(b)
	s.put(c)
	now := time.Now()
	s.expire(now) // from now on it is looked who is needed
	if s.take() != c {
		t.Error("not the one that was used last")
	}
	s.put(c)
	s.expire(now.Add(spareFor / 2))
	if len(s.free) != 3 {
		t.Errorf("%d of 3 left before their time", len(s.free))
	}
	s.expire(now.Add(spareFor))
	if len(s.free) != 1 || s.free[0] != c {
		t.Errorf("%d left, the one that was needed should be", len(s.free))
	}
	s.expire(now.Add(2 * spareFor))
	if len(s.free) != 0 || s.take() != nil {
		t.Errorf("%d left that nobody needs", len(s.free))
	}
}

// Collections come several times a second where much begins at once: chunks must not need new buffers after each.
func TestChunksNeedNoNewBuffersAfterCollections(t *testing.T) {
	a, b := onData(t)
	const chunks = 40
	fetch := func() (allocated uint64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range chunks {
			a.fetchWell(b, chunkBytes)
			runtime.GC()
			runtime.GC()
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	fetch()
	if got := fetch(); got > chunks*chunkBytes/4 {
		t.Errorf("%d KiB allocated for %d chunks of %d KiB", got>>10, chunks, chunkBytes>>10)
	}
}
