package transport

import (
	"testing"
	"time"
)

// dataOf is the data connection on which m asks p, or nil.
func (m *machine) dataOf(p *machine) *link {
	s := m.sessionOf(p.ID())
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetcher == nil {
		return nil
	}
	return s.fetcher.data
}

// eventually waits for what other goroutines bring about.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

// fetchWell fetches one chunk and fails if it does not come.
func (m *machine) fetchWell(p *machine, sizeBytes int) {
	m.t.Helper()
	got := make(chan error, 1)
	m.FetchChunk(p.ID(), payloadID, 0, sizeBytes, func(_ []byte, err error) { got <- err })
	if err := await(m.t, got, "a chunk"); err != nil {
		m.t.Fatal(err)
	}
}

// onData joins two machines of which a fetches from b over a data connection.
func onData(t *testing.T) (a, b *machine) {
	a, b = joined(t)
	a.dataAfter = 1
	b.serving(make([]byte, chunkBytes))
	a.fetchWell(b, chunkBytes)
	eventually(t, "a data connection", func() bool { return a.dataOf(b) != nil })
	return a, b
}

func TestChunksGoOverADataConnection(t *testing.T) {
	a, b := onData(t)
	a.fetchWell(b, chunkBytes)
}
