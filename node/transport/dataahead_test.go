package transport

import "testing"

// fetchJudged fetches one chunk, and says of it whether it is right.
func (m *machine) fetchJudged(p *machine, right bool) {
	m.t.Helper()
	got := make(chan error, 1)
	m.FetchChunk(p.ID(), payloadID, 0, chunkBytes, func(_ []byte, err error) bool { got <- err; return right })
	if err := await(m.t, got, "a chunk"); err != nil {
		m.t.Fatal(err)
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
	a.fetchJudged(b, true)
	eventually(t, "a data connection", func() bool { return a.dataOf(b) != nil })
	a.fetchJudged(b, true)
}

func TestWhereLittleIsExpectedChunksGetNoConnection(t *testing.T) {
	a, b := joined(t)
	b.serving(make([]byte, chunkBytes))
	a.Expect(b.ID(), dataAfterBytes-4*chunkBytes)
	for range 3 { // when the third is here the second has been judged
		a.fetchJudged(b, true)
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
	a.fetchJudged(b, false)
	a.fetchJudged(b, false)
	if a.hasData(b) {
		t.Error("it has one")
	}
	a.Expect("nobody", 1<<40)
	a.Expect(b.ID(), -1<<40) // expects nothing, whatever came
	a.fetchJudged(b, true)
	if a.hasData(b) {
		t.Error("it has one by a sum below zero")
	}
}
