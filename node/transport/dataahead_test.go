package transport

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// fetchJudged fetches one chunk, and judges it so. What is asked for while the stream of a wrong chunk ends is asked for again.
func (m *machine) fetchJudged(p *machine, judged Judgement) {
	m.t.Helper()
	for {
		got := make(chan error, 1)
		m.FetchChunk(p.ID(), payloadID, 0, chunkBytes, func(_ []byte, err error) Judgement { got <- err; return judged })
		switch err := await(m.t, got, "a chunk"); {
		case err == nil:
			return
		case !errors.Is(err, ErrWrongChunk):
			m.t.Fatal(err)
		}
	}
}

// hasData says whether m has a data connection to p, or is opening one.
func (m *machine) hasData(p *machine) bool {
	s := m.sessionOf(p.ID())
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.trying || s.fetcher != nil && s.fetcher.data != nil
}

func TestWhereMuchIsExpectedChunksGetTheirConnectionAtOnce(t *testing.T) {
	a, b := joined(t)
	b.serving(make([]byte, chunkBytes))
	a.Expect(b.ID(), dataAfterBytes)
	a.fetchJudged(b, Right)
	eventually(t, "a data connection", func() bool { return a.dataOf(b) != nil })
	a.fetchJudged(b, Right)
}

func TestWhereLittleIsExpectedChunksGetNoConnection(t *testing.T) {
	a, b := joined(t)
	b.serving(make([]byte, chunkBytes))
	a.Expect(b.ID(), dataAfterBytes-4*chunkBytes)
	for range 3 { // when the third is here the second has been judged
		a.fetchJudged(b, Right)
	}
	if a.hasData(b) {
		t.Error("it has one")
	}
}

// Who lies about what it holds gets no second connection for it.
func TestWhoSendsAWrongChunkIsNotExpectedToSendMore(t *testing.T) {
	a, b := joined(t)
	b.serving(make([]byte, chunkBytes))
	a.Expect(b.ID(), 1<<40)
	a.fetchJudged(b, Wrong)
	a.fetchJudged(b, Wrong)
	if a.hasData(b) {
		t.Error("it has one")
	}
	a.Expect("nobody", 1<<40)
	a.Expect(b.ID(), -1<<40) // expects nothing, whatever came
	a.fetchJudged(b, Right)
	if a.hasData(b) {
		t.Error("it has one by a sum below zero")
	}
}

// At the beginning of a large site many dial one machine at once, and its door has few seats: who was turned away comes
// again soon, and not at once.
func TestADataConnectionThatFailedIsTriedAgainSoon(t *testing.T) {
	a, b := joined(t)
	var dials atomic.Int32
	a.cfg.MayDial = func(netip.AddrPort) error {
		if dials.Add(1) <= 3 {
			return ErrForbidden
		}
		return nil
	}
	a.dataAfter, a.dataAgain = 1, time.Millisecond
	b.serving(make([]byte, chunkBytes))
	eventually(t, "a data connection", func() bool {
		a.fetchJudged(b, Right)
		return a.dataOf(b) != nil
	})
}

func TestPausesBetweenAttemptsGrow(t *testing.T) {
	h := &Host{dataRetry: dataRetry, dataAgain: dataAgain}
	var d dataEnd
	failed := errors.New("failed")
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if got := d.pause(h, failed); got != want*time.Second {
			t.Errorf("%v after failure %d, want %d s", got, i+1, want)
		}
	}
	for range 100 {
		d.pause(h, failed)
	}
	if got := d.pause(h, failed); got != dataRetry {
		t.Errorf("%v after many failures", got)
	}
	if got := d.pause(h, nil); got != dataRetry {
		t.Errorf("%v after one was opened", got)
	}
	if got := d.pause(h, failed); got != dataAgain {
		t.Errorf("%v after the next failure", got)
	}
}
