//go:build unix

package transport

import (
	"testing"

	"patchmesh/content"
)

// BenchmarkFetch moves chunks between two hosts over loopback: TCP, TLS, yamux and frames.
func BenchmarkFetch(b *testing.B) {
	x, y := joined(b)
	chunk := make([]byte, content.MinChunkBytes)
	y.mu.Lock()
	y.serve = func(ref uint64, _ content.ID, _ int) {
		y.SendChunk(ref, len(chunk), func(buf []byte) (int, error) { return copy(buf, chunk), nil }, func(error) {})
	}
	y.mu.Unlock()
	const ahead = 4
	got := make(chan error, ahead)
	ask := func() {
		x.FetchChunk(y.ID(), payloadID, 0, len(chunk), func(_ []byte, err error) Judgement { got <- err; return Unkept })
	}
	for range ahead {
		ask()
	}
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	began := processor(b)
	for b.Loop() {
		if err := <-got; err != nil {
			b.Fatal(err)
		}
		ask()
	}
	b.ReportMetric((processor(b)-began).Seconds()*1e9/float64(b.N)/float64(len(chunk)), "cpu-s/GB")
	for range ahead {
		<-got
	}
}
