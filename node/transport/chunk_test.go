package transport

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/swarm/wire"
)

var payloadID = content.Sum([]byte("payload"))

const chunkBytes = content.MinChunkBytes

// serving makes m answer asks for the chunks of data.
func (m *machine) serving(data []byte) *atomic.Int64 {
	var sent atomic.Int64
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serve = func(ref uint64, _ content.ID, index int) {
		piece := data[index*chunkBytes : min((index+1)*chunkBytes, len(data))]
		m.SendChunk(ref, len(piece), func(buf []byte) (int, error) { return copy(buf, piece), nil }, func(err error) {
			if err == nil {
				sent.Add(int64(len(piece)))
			}
		})
	}
	return &sent
}

type fetched struct {
	index int
	err   error
}

func TestSixtyFourMiBArriveWhole(t *testing.T) {
	a, b := joined(t)
	data := make([]byte, 64<<20+12345) // the last chunk is short
	rnd := rand.NewChaCha8([32]byte{1})
	_, _ = rnd.Read(data)
	sent := b.serving(data)
	got := make([]byte, len(data))
	results := make(chan fetched)
	chunks := (len(data) + chunkBytes - 1) / chunkBytes
	ask := func(i int) {
		size := min(chunkBytes, len(data)-i*chunkBytes)
		a.FetchChunk(b.ID(), payloadID, i, size, func(stored []byte, err error) Judgement {
			copy(got[i*chunkBytes:], stored)
			results <- fetched{i, err}
			return Unkept
		})
	}
	const ahead = 4
	for i := range ahead {
		ask(i)
	}
	for i := range chunks {
		if r := await(t, results, "chunk"); r.err != nil {
			t.Fatal(r.err)
		}
		if i+ahead < chunks {
			ask(i + ahead)
		}
	}
	if sha256.Sum256(got) != sha256.Sum256(data) {
		t.Fatal("what arrived is not what was sent")
	}
	if in, _ := a.Traffic(); in != int64(len(data)) {
		t.Error("counted", in, "bytes in")
	}
	if p := a.Peers()[0]; p.BytesIn != int64(len(data)) || p.BytesOut != 0 {
		t.Errorf("counted %+v", p)
	}
	_ = b.Close()
	if sent.Load() != int64(len(data)) {
		t.Error("reported as sent:", sent.Load())
	}
}

func TestChunksFlowBothWaysAtOnce(t *testing.T) {
	a, b := joined(t)
	data := make([]byte, 8<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data)
	a.serving(data)
	b.serving(data)
	var all sync.WaitGroup
	for _, pair := range [][2]*machine{{a, b}, {b, a}} {
		for i := range len(data) / chunkBytes {
			all.Add(1)
			pair[0].FetchChunk(pair[1].ID(), payloadID, i, chunkBytes, func(stored []byte, err error) Judgement {
				defer all.Done()
				if err != nil || !bytes.Equal(stored, data[i*chunkBytes:(i+1)*chunkBytes]) {
					t.Error(i, err)
				}
				return Unkept
			})
		}
	}
	all.Wait()
}

func fetchOne(m *machine, from string, size int) (<-chan error, func()) {
	got := make(chan error, 2)
	cancel := m.FetchChunk(from, payloadID, 0, size, func(_ []byte, err error) Judgement { got <- err; return Unkept })
	return got, cancel
}

func TestEveryAnswerHasItsError(t *testing.T) {
	a, b := joined(t)
	for status, want := range map[wire.Status]error{
		wire.StatusBusy: ErrBusy, wire.StatusNotFound: ErrNotFound, wire.StatusRefused: ErrRefused, wire.StatusOK: ErrRefused,
	} {
		got, _ := fetchOne(a, b.ID(), chunkBytes)
		b.RefuseChunk(await(t, b.asked, "ask"), status)
		if err := await(t, got, "answer"); !errors.Is(err, want) {
			t.Error(status, err)
		}
	}
	got, _ := fetchOne(a, b.ID(), chunkBytes)
	sent := make(chan error, 1)
	broken := errors.New("disk is broken")
	b.SendChunk(await(t, b.asked, "ask"), chunkBytes, func([]byte) (int, error) { return 0, broken }, func(err error) { sent <- err })
	if err := await(t, got, "answer"); !errors.Is(err, ErrNotFound) {
		t.Error("unreadable chunk:", err)
	}
	if err := await(t, sent, "report"); !errors.Is(err, broken) {
		t.Error(err)
	}
	got, _ = fetchOne(a, "nobody", chunkBytes)
	if err := await(t, got, "answer"); !errors.Is(err, ErrGone) {
		t.Error("no session:", err)
	}
	got, _ = fetchOne(a, b.ID(), content.MaxChunkBytes+1)
	if err := await(t, got, "answer"); !errors.Is(err, wire.ErrFormat) {
		t.Error("too large to be a chunk:", err)
	}
	b.SendChunk(4711, 1, nil, func(err error) { sent <- err })
	if err := await(t, sent, "report"); !errors.Is(err, ErrGone) {
		t.Error("void ref:", err)
	}
	b.RefuseChunk(4711, wire.StatusBusy)
}

func TestCancelledAskIsAnsweredOnceAndFreesTheServer(t *testing.T) {
	a, b := joined(t)
	got, cancel := fetchOne(a, b.ID(), chunkBytes)
	ref := await(t, b.asked, "ask")
	cancel()
	cancel()
	if err := await(t, got, "answer"); !errors.Is(err, ErrCancelled) {
		t.Error(err)
	}
	if void := await(t, b.voids, "notice"); void != ref {
		t.Error(void, ref)
	}
	sent := make(chan error, 1)
	b.SendChunk(ref, chunkBytes, nil, func(err error) { sent <- err })
	if err := await(t, sent, "report"); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	cancel() // after the answer: nothing
	// Withdrawn too late: the bytes come, and count.
	got, cancel = fetchOne(a, b.ID(), chunkBytes)
	ref = await(t, b.asked, "ask")
	b.SendChunk(ref, chunkBytes, func(buf []byte) (int, error) { cancel(); return len(buf), nil }, func(error) {})
	if err := await(t, got, "answer"); err != nil {
		t.Error(err)
	}
	if len(got)+len(b.voids) != 0 {
		t.Error("answered twice")
	}
}

func TestPeerThatNeverAnswersIsSilentAndOthersAreNot(t *testing.T) {
	a, b := joined(t)
	got, _ := fetchOne(a, b.ID(), chunkBytes)
	got2, _ := fetchOne(a, b.ID(), chunkBytes)
	ref, ref2 := await(t, b.asked, "ask"), await(t, b.asked, "ask")
	for _, g := range []<-chan error{got, got2} {
		if err := await(t, g, "answer"); !errors.Is(err, ErrSilent) {
			t.Error(err)
		}
	}
	if v, v2 := await(t, b.voids, "notice"), await(t, b.voids, "notice"); v+v2 != ref+ref2 {
		t.Error("the server was not told that nobody waits any more")
	}
	got, _ = fetchOne(a, b.ID(), chunkBytes) // on a new stream of the same session
	b.SendChunk(await(t, b.asked, "ask"), chunkBytes, func(buf []byte) (int, error) { return len(buf), nil }, func(error) {})
	if err := await(t, got, "answer"); err != nil {
		t.Error(err)
	}
	if len(a.down)+len(b.down) != 0 {
		t.Error("the session ended")
	}
}

func TestSlowCallbackIsNotTakenForASilentPeer(t *testing.T) {
	a, b := joined(t)
	b.serving(make([]byte, 4*chunkBytes))
	results := make(chan error, 4)
	for i := range 4 {
		a.FetchChunk(b.ID(), payloadID, i, chunkBytes, func(_ []byte, err error) Judgement {
			if i == 0 {
				time.Sleep(short.FetchSilent + 300*time.Millisecond) // a slow disk
			}
			results <- err
			return Unkept
		})
	}
	for range 4 {
		if err := await(t, results, "chunk"); err != nil {
			t.Error(err)
		}
	}
}

func TestKilledPeerMidChunkEndsEverythingAtOnce(t *testing.T) {
	a, b := joined(t)
	got, _ := fetchOne(a, b.ID(), 1<<20)
	got2, _ := fetchOne(a, b.ID(), 1<<20)
	await(t, b.asked, "ask")
	await(t, b.asked, "ask")
	// Half a chunk leaves, then the process is gone: its sockets are reset.
	s := b.sessionOf(a.ID())
	half := make([]byte, wire.AnswerBytes+300<<10)
	wire.PutAnswer(half, wire.Answer{Req: 1, Status: wire.StatusOK, Length: 1 << 20})
	b.refMu.Lock()
	srv := b.refs[1].srv
	b.refMu.Unlock()
	if err := srv.st.writeAll(half, time.Second); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	if tcp, ok := s.l.raw.Conn.(interface{ SetLinger(int) error }); !ok || tcp.SetLinger(0) != nil {
		t.Fatal("cannot reset")
	}
	_ = s.l.raw.Conn.Close()
	for _, g := range []<-chan error{got, got2} {
		if err := await(t, g, "answer"); !errors.Is(err, ErrGone) {
			t.Error(err)
		}
	}
	if d := await(t, a.down, "PeerDown"); !errors.Is(d.why, ErrGone) {
		t.Error(d.why)
	}
	if took := time.Since(started); took > time.Second {
		t.Error("noticed after", took)
	}
	if got, _ := fetchOne(a, b.ID(), 1); !errors.Is(await(t, got, "answer"), ErrGone) {
		t.Error("a fetch after the end")
	}
}

func TestSlowReaderLosesItsSessionAndHoldsUpNobodyElse(t *testing.T) {
	a, b := joined(t)
	c := newMachine(t)
	join(t, c, b)
	data := make([]byte, 64*chunkBytes)
	b.serving(data)
	release := make(chan struct{})
	var once sync.Once
	defer once.Do(func() { close(release) })
	for i := range 64 {
		a.FetchChunk(b.ID(), payloadID, i, chunkBytes, func([]byte, error) Judgement { <-release; return Unkept })
	}
	for i := range 8 {
		got := make(chan error, 1)
		c.FetchChunk(b.ID(), payloadID, i, chunkBytes, func(_ []byte, err error) Judgement { got <- err; return Unkept })
		if err := await(t, got, "chunk for the other"); err != nil {
			t.Fatal(err)
		}
	}
	if d := await(t, b.down, "PeerDown"); d.id != a.ID() || !errors.Is(d.why, ErrTooSlow) {
		t.Error(d)
	}
	once.Do(func() { close(release) })
	await(t, a.down, "PeerDown")
	if len(c.down) != 0 {
		t.Error("the other session ended too")
	}
}

func TestPeerThatReadsNoMessagesIsTooSlow(t *testing.T) {
	a, b := joined(t)
	block := make(chan struct{})
	b.mu.Lock()
	b.block = block
	b.mu.Unlock()
	defer close(block)
	big := wire.Report{Machine: "m", Body: make([]byte, wire.MaxReportBytes)}
	var err error
	for range 200 {
		if err = a.Send(b.ID(), big); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrTooSlow) {
		t.Fatal(err)
	}
	if d := await(t, a.down, "PeerDown"); !errors.Is(d.why, ErrTooSlow) {
		t.Error(d.why)
	}
}
