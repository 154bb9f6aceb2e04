package transport

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	manet "github.com/multiformats/go-multiaddr/net"

	"patchmesh/swarm/wire"
)

// tlsStream is what comes before TLS and then records, with the number of body bytes that a reader
// holds of an unfinished record after each byte.
func tlsStream(rnd *rand.Rand, records int) (b []byte, held []int) {
	for _, line := range []string{"/multistream/1.0.0\n", "/tls/1.0.0\n"} {
		b = append(append(b, byte(len(line))), line...)
	}
	held = make([]int, len(b))
	for range records {
		size := rnd.IntN(16<<10 + 256)
		b = append(b, byte(recordFirst+rnd.IntN(4)), 3, byte(rnd.IntN(4)))
		b = binary.BigEndian.AppendUint16(b, uint16(size))
		held = append(held, 0, 0, 0, 0, 0)
		for n := range size {
			b, held = append(b, byte(rnd.Uint32())), append(held, (n+1)%size)
		}
	}
	return b, held
}

func TestRecordsAreFollowedThroughPiecesOfAnySize(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	b, held := tlsStream(rnd, 60)
	for range 40 {
		var r records
		for at := 0; at < len(b); {
			n := min(1+rnd.IntN(1<<rnd.IntN(17)), len(b)-at)
			r.feed(b[at : at+n])
			at += n
			if got := r.held(); at > len("/multistream/1.0.0\n/tls/1.0.0\n")+2 && got != held[at-1] {
				t.Fatalf("after %d bytes %d are of an unfinished record, told %d", at, held[at-1], got)
			}
		}
	}
}

// What is not understood may be anything: then nothing is certain to come but what is beyond a record.
func FuzzRecords(f *testing.F) {
	b, _ := tlsStream(rand.New(rand.NewPCG(3, 4)), 2)
	f.Add(b[:200])
	f.Add([]byte{0})
	f.Add([]byte{0xff, 1})
	f.Add([]byte{22, 3, 1, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole, bytewise records
		whole.feed(b)
		for i := range b {
			bytewise.feed(b[i : i+1])
		}
		if whole != bytewise || whole.held() < 0 || whole.held() > recordBytes {
			t.Fatalf("%+v at once, %+v byte by byte", whole, bytewise)
		}
	})
}

// The reader of a large frame sleeps until much of it is there. It must never sleep for more than is
// certain to come: here nobody would wake it.
func TestNoChunkWaitsForTheKeeper(t *testing.T) {
	a, b := joined(t, func(c *Config) { c.Timing.Tick = time.Hour })
	data := make([]byte, 32<<20+777)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(data)
	for _, m := range []*machine{a, b} {
		m.serving(data)
	}
	var all sync.WaitGroup
	fetch := func(to, from *machine) {
		for i := range (len(data) + chunkBytes - 1) / chunkBytes {
			size := min(chunkBytes, len(data)-i*chunkBytes)
			got := make(chan error, 1)
			to.FetchChunk(from.ID(), payloadID, i, size, func(stored []byte, err error) Judgement {
				if err == nil && !bytes.Equal(stored, data[i*chunkBytes:i*chunkBytes+size]) {
					err = ErrProtocol
				}
				got <- err
				return Unkept
			})
			// Small messages come between the frames of the chunks.
			if err := to.Send(from.ID(), wire.Synced{}); err != nil {
				t.Error(err)
			}
			if err := await(t, got, "chunk"); err != nil {
				t.Error(i, err)
				return
			}
		}
	}
	all.Go(func() { fetch(a, b) })
	all.Go(func() { fetch(b, a) })
	all.Wait()
}

// rawPair is a connection whose one end is read as links are.
func rawPair(t *testing.T) (net.Conn, *rawConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	w, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	mc, err := manet.WrapNetConn(c)
	if err != nil {
		t.Fatal(err)
	}
	r := newRawConn(mc, &clock{start: time.Now()}, time.Second)
	t.Cleanup(func() { w.Close(); r.Close() })
	return w, r
}

// A peer that was fast and now trickles must not look silent: the keeper has the reader see what comes.
func TestTrickleInsideAFrameIsSeen(t *testing.T) {
	w, r := rawPair(t)
	r.gather.want, r.gather.rate = 1<<20, 1e9
	got := make(chan int, 1)
	go func() {
		n, _ := r.Read(make([]byte, gatherBytes))
		got <- n
	}()
	for sent := 1; sent < gatherBytes/4*gatherSleep/4; sent++ {
		if _, err := w.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		select {
		case n := <-got:
			if n < 1 || n > sent {
				t.Errorf("%d bytes were read of %d", n, sent)
			}
			return
		case <-time.After(time.Millisecond):
			r.gather.letGo() // as the keeper does
		}
	}
	t.Error("the reader sleeps on")
}

// The end of a connection wakes the reader at once, with what came before it.
func TestEndInsideAFrameIsSeen(t *testing.T) {
	w, r := rawPair(t)
	r.gather.want, r.gather.rate = 1<<20, 1e9
	if _, err := w.Write(make([]byte, 500)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); len(b) != 500 || err != nil {
		t.Errorf("%d bytes, %v; want 500 and the end", len(b), err)
	}
}

func TestRateIsForgottenInAPause(t *testing.T) {
	var g gather
	g.judge(1<<20, gatherSpan)
	if want := float64(1<<20) / gatherSpan.Seconds(); g.rate != want {
		t.Errorf("rate %.0f, want %.0f", g.rate, want)
	}
	g.judge(100, gatherSpan+time.Hour)
	if g.rate != 0 {
		t.Errorf("after an hour without bytes the rate is still %.0f", g.rate)
	}
}
