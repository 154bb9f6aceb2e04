//go:build unix

package transport

import (
	"syscall"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// BenchmarkPath moves a payload the whole way between two stores over loopback: read, sent, received,
// verified, written, and verified as a whole before it is published. What it costs the processor at both
// ends is cpu-s/GB.
func BenchmarkPath(b *testing.B) {
	const payloadBytes, ahead = 64 << 20, 4
	x, y := joined(b)
	from, to := newStore(b), newStore(b)
	m := fill(b, from, payloadBytes)
	y.servingStore(from, m)
	b.SetBytes(payloadBytes)
	began := processor(b)
	for b.Loop() {
		if _, err := to.Begin(m); err != nil {
			b.Fatal(err)
		}
		got := make(chan error, m.Len())
		ask := func(i int) {
			x.FetchChunk(y.ID(), m.ID(), i, int(m.Chunks[i].StoredBytes), func(stored []byte, err error) Judgement {
				if err == nil {
					_, err = to.Put(m.ID(), i, stored)
				}
				got <- err
				if err != nil {
					return Unkept
				}
				return Right
			})
		}
		inTurn(b, m.Len(), ahead, ask, got)
		if err := to.Publish(m.ID()); err != nil {
			b.Fatal(err)
		}
		if err := to.Drop(m.ID()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((processor(b)-began).Seconds()*1e9/float64(b.N)/payloadBytes, "cpu-s/GB")
}

// BenchmarkRelay has a machine serve each chunk as soon as it has it, as most chunks are served.
func BenchmarkRelay(b *testing.B) {
	const payloadBytes, ahead = 64 << 20, 4
	x, y := joined(b)
	z := newMachine(b)
	join(b, z, x)
	from, to := newStore(b), newStore(b)
	m := fill(b, from, payloadBytes)
	y.servingStore(from, m)
	x.servingStore(to, m)
	b.SetBytes(payloadBytes)
	began := processor(b)
	for b.Loop() {
		if _, err := to.Begin(m); err != nil {
			b.Fatal(err)
		}
		got := make(chan error, m.Len())
		ask := func(i int) {
			size := int(m.Chunks[i].StoredBytes)
			x.FetchChunk(y.ID(), m.ID(), i, size, func(stored []byte, err error) Judgement {
				if err == nil {
					_, err = to.Put(m.ID(), i, stored)
				}
				if err != nil {
					got <- err
					return Unkept
				}
				z.FetchChunk(x.ID(), m.ID(), i, size, func(_ []byte, err error) Judgement { got <- err; return Unkept })
				return Right
			})
		}
		inTurn(b, m.Len(), ahead, ask, got)
		if err := to.Drop(m.ID()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((processor(b)-began).Seconds()*1e9/float64(b.N)/payloadBytes, "cpu-s/GB")
}

func newStore(b *testing.B) *disk.Store {
	b.Helper()
	s, err := disk.Open(b.TempDir(), disk.Options{ReserveBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func fill(b *testing.B, s *disk.Store, payloadBytes int) *content.PayloadMap {
	b.Helper()
	m, stored := storetest.Packed(b, storetest.Random(1, payloadBytes))
	if _, err := s.Begin(m); err != nil {
		b.Fatal(err)
	}
	for i := range m.Len() {
		if _, err := s.Put(m.ID(), i, storetest.ChunkOf(m, stored, i)); err != nil {
			b.Fatal(err)
		}
	}
	return m
}

// servingStore makes m answer asks for the chunks of a payload.
func (m *machine) servingStore(s *disk.Store, p *content.PayloadMap) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serve = func(ref uint64, id content.ID, i int) {
		m.SendChunk(ref, int(p.Chunks[i].StoredBytes), func(buf []byte) (int, error) { return s.ReadChunk(id, i, buf) }, func(error) {})
	}
}

// BenchmarkDataConnection opens one and gives it up: what it costs the processor at both ends is what
// dataAfterBytes weighs against what it saves.
func BenchmarkDataConnection(b *testing.B) {
	x, y := joined(b)
	began := processor(b)
	for b.Loop() {
		l, err := x.dialWith(b.Context(), x.stack.data, y.ID(), y.ListenAddr())
		if err != nil {
			b.Fatal(err)
		}
		st, err := l.awaitData()
		l.close()
		if err != nil {
			b.Fatal(err)
		}
		_ = st.Reset()
	}
	b.ReportMetric((processor(b)-began).Seconds()*1e3/float64(b.N), "cpu-ms/op")
}

// processor is what this process has cost so far.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Skip(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// inTurn asks for all chunks, so many ahead of what has come.
func inTurn(b *testing.B, chunks, ahead int, ask func(i int), got <-chan error) {
	b.Helper()
	for i := range ahead {
		ask(i)
	}
	for i := range chunks {
		if err := <-got; err != nil {
			b.Fatal(err)
		}
		if i+ahead < chunks {
			ask(i + ahead)
		}
	}
}
