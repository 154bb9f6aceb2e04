package transport

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/content"
)

// fetchRight has m fetch a chunk and judge it so.
func (m *machine) fetchRight(from *machine, index, size int, judged Judgement) []byte {
	m.t.Helper()
	got := make(chan error, 1)
	var chunk []byte
	m.FetchChunk(from.ID(), payloadID, index, size, func(stored []byte, err error) Judgement {
		chunk = bytes.Clone(stored)
		got <- err
		return judged
	})
	if err := await(m.t, got, "chunk"); err != nil {
		m.t.Fatal(index, err)
	}
	return chunk
}

// reading makes m answer asks with what read gives, and counts how often that was called.
func (m *machine) reading(size int, read func(buf []byte) (int, error)) *atomic.Int64 {
	var reads atomic.Int64
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serve = func(ref uint64, _ content.ID, _ int) {
		m.SendChunk(ref, size, func(buf []byte) (int, error) { reads.Add(1); return read(buf) }, func(error) {})
	}
	return &reads
}

// holds says whether m has chunk index of payloadID in memory.
func (m *machine) holds(index int) bool {
	m.recent.mu.Lock()
	defer m.recent.mu.Unlock()
	return m.recent.find(chunkKey{payloadID, index}) >= 0
}

func TestWhatHasJustComeIsSentFromMemory(t *testing.T) {
	for _, size := range []int{1, firstBytes - 1, firstBytes, chunkBytes, content.MaxChunkBytes} {
		a, b := joined(t)
		c := newMachine(t)
		join(t, c, a)
		data := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{3}).Read(data)
		b.reading(size, func(buf []byte) (int, error) { return copy(buf, data), nil })
		a.fetchRight(b, 0, size, Right)
		eventually(t, "a chunk in memory", func() bool { return a.holds(0) })
		reads := a.reading(size, func([]byte) (int, error) { return 0, errors.New("the disk is asked") })
		if got := c.fetchRight(a, 0, size, Unkept); !bytes.Equal(got, data) || reads.Load() != 0 {
			t.Errorf("chunk of %d bytes: %d reads, or not what was sent", size, reads.Load())
		}
		eventually(t, "all bytes to be counted, once", func() bool { _, out := a.Traffic(); return out == int64(size) })
	}
}

// What was found wrong, or is asked for as something else, never leaves from memory.
func TestOnlyWhatWasFoundRightIsSentFromMemory(t *testing.T) {
	a, b := joined(t)
	c := newMachine(t)
	join(t, c, a)
	b.serving(bytes.Repeat([]byte{1}, 2*chunkBytes)) // lies
	a.fetchRight(b, 0, chunkBytes, Unkept)
	a.fetchRight(b, 1, chunkBytes, Right)
	eventually(t, "a chunk in memory", func() bool { return a.holds(1) })
	if a.holds(0) {
		t.Error("a chunk that was found wrong is kept")
	}
	truth := bytes.Repeat([]byte{2}, chunkBytes)
	a.reading(chunkBytes, func(buf []byte) (int, error) { return copy(buf, truth), nil })
	if got := c.fetchRight(a, 0, chunkBytes, Unkept); !bytes.Equal(got, truth) {
		t.Error("a chunk that was found wrong was passed on")
	}
	a.reading(chunkBytes-1, func(buf []byte) (int, error) { return copy(buf, truth), nil })
	if got := c.fetchRight(a, 1, chunkBytes-1, Unkept); !bytes.Equal(got, truth[1:]) {
		t.Error("a chunk of another size came from memory")
	}
}

func TestManySendWhatIsHeldWhileItIsReplaced(t *testing.T) {
	const peers, chunks = 4, 24 // more than are held
	a, b := joined(t)
	data := make([]byte, chunks*chunkBytes)
	_, _ = rand.NewChaCha8([32]byte{4}).Read(data)
	b.serving(data)
	a.serving(data)
	var others []*machine
	for range peers {
		m := newMachine(t)
		join(t, m, a)
		others = append(others, m)
	}
	var all sync.WaitGroup
	for i := range chunks {
		want := data[i*chunkBytes : (i+1)*chunkBytes]
		a.fetchRight(b, i, chunkBytes, Right)
		for _, m := range others {
			all.Add(1)
			m.FetchChunk(a.ID(), payloadID, i, chunkBytes, func(stored []byte, err error) Judgement {
				defer all.Done()
				if err != nil || !bytes.Equal(stored, want) {
					t.Errorf("chunk %d is not what was sent: %v", i, err)
				}
				return Unkept
			})
		}
	}
	all.Wait()
}

func TestWhatIsHeldIsBoundedAndNotForLong(t *testing.T) {
	var r recent
	key := func(i int) chunkKey { return chunkKey{payloadID, i} }
	var bufs []*buffer
	keep := func(i int, now time.Duration) {
		buf := takeBuffer(chunkBytes)
		r.keep(key(i), chunkBytes, buf, now)
		buf.free()
		bufs = append(bufs, buf)
	}
	const most = recentBytes / chunkBytes
	for i := range most {
		keep(i, 0)
	}
	if r.take(key(0), chunkBytes, time.Second) == nil {
		t.Fatal("the oldest is gone though there was room")
	}
	keep(most, time.Second) // in place of 1: 0 has been used
	if r.take(key(1), chunkBytes, time.Second) != nil || len(r.held) != most || r.bytes != recentBytes {
		t.Error(len(r.held), "held with", r.bytes, "bytes")
	}
	keep(most, time.Second) // twice
	r.expire(recentFor + 1)
	if r.take(key(0), chunkBytes, recentFor) == nil || r.take(key(2), chunkBytes, recentFor) != nil || len(r.held) != 2 {
		t.Error("let go of the wrong ones:", len(r.held), "held")
	}
	r.expire(time.Hour)
	if len(r.held) != 0 || r.bytes != 0 {
		t.Error(len(r.held), "held with", r.bytes, "bytes after an hour")
	}
	for i, buf := range bufs {
		if held := buf.holds.Load(); held < 0 || held > 0 && i != 0 { // 0 was taken twice above
			t.Error("buffer", i, "is held", held, "times")
		}
	}
}
