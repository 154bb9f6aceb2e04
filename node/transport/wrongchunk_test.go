package transport

import (
	"errors"
	"sync/atomic"
	"testing"

	"patchmesh/content"
)

// Many chunks are asked for at a time. What a liar has under way is not read any more once it is caught, whoever decides
// about it is not waited for.
func TestAfterAWrongChunkNoOtherIsRead(t *testing.T) {
	for what, dataAfter := range map[string]int64{"on a stream": 1 << 40, "on a connection of its own": 1} {
		t.Run(what, func(t *testing.T) {
			a, b := joined(t)
			a.dataAfter = dataAfter
			b.serving(make([]byte, chunkBytes))
			if dataAfter == 1 {
				a.fetchJudged(b, Right)
				eventually(t, "a data connection", func() bool { return a.dataOf(b) != nil })
			}
			b.servingAtOnce(8)
			var read atomic.Int32
			ended := make(chan error, 8)
			for i := range 8 {
				a.FetchChunk(b.ID(), payloadID, i, chunkBytes, func(stored []byte, err error) Judgement {
					ended <- err
					if err == nil {
						read.Add(1)
					}
					return Wrong
				})
			}
			if err := await(t, ended, "the wrong chunk"); err != nil {
				t.Fatal(err)
			}
			for range 7 {
				if err := await(t, ended, "the end of an ask"); !errors.Is(err, ErrWrongChunk) {
					t.Errorf("an ask of the liar ended with %v", err)
				}
			}
			if read.Load() != 1 {
				t.Errorf("%d wrong chunks were read", read.Load())
			}
			b.serving(make([]byte, chunkBytes))
			a.fetchJudged(b, Right) // whether it is asked again is for others to decide
		})
	}
}

// servingAtOnce makes m answer nothing until it was asked that often.
func (m *machine) servingAtOnce(asks int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var refs []uint64
	m.serve = func(ref uint64, _ content.ID, _ int) {
		if refs = append(refs, ref); len(refs) < asks {
			return
		}
		for _, ref := range refs {
			m.SendChunk(ref, chunkBytes, func(buf []byte) (int, error) { return len(buf), nil }, func(error) {})
		}
	}
}
