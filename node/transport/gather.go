package transport

import (
	"cmp"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// gather reads ahead, and inside of large frames sleeps until much has come. On a link of 200 Mbit/s
// a packet comes every 58 µs; woken for each, a process spends more time waking than receiving. While
// the muxer is in the middle of a frame nothing but the rest of that frame can come and none of it is
// of use before its end, so the kernel is told (SO_RCVLOWAT) not to wake us before there is a good
// part of it. Whatever is awaited outside of frames is delivered at once.
type gather struct {
	sys  syscall.RawConn // nil: nothing can be told to the kernel
	size int             // of buf; 0: gatherBytes
	buf  *[]byte         // nil: nothing is left of what was read
	rest []byte          // read and not yet taken
	want int             // plain bytes that the muxer is waiting for: a header, or the rest of a frame
	tls  records

	low atomic.Int32 // what the kernel was told; 0 and 1 are the same

	have int                // bytes in buf while it is filled
	try  func(uintptr) bool // attempt, as a value that is made once
	got  int                // what it has read
	err  error

	rate    float64       // bytes per second, from the last whole span; 0 while not known
	since   time.Duration // begin of the present span
	counted int
}

const (
	gatherBytes = 64 << 10
	// gatherSleep is the most that is slept for, of four quarters of buf: it leaves room for what comes meanwhile.
	gatherSleep = 3
	gatherLeast = 4 << 10 // less is not worth the call
	gatherSpan  = 50 * time.Millisecond
	// gatherMost bounds how long it should take until there is enough to be woken for, at the present
	// rate. If the rate falls, the keeper ends the waiting after gatherStale.
	gatherMost  = 250 * time.Millisecond
	gatherStale = time.Second
	// gatherPause is waited where the kernel cannot be told.
	gatherPause = 8 * time.Millisecond
)

// gatherPools hold the buffers that no connection has anything in: of many connections few have.
var gatherPools = map[int]*spares[[]byte]{asksGatherBytes: {}, gatherBytes: {}, dataGatherBytes: {}}

func (g *gather) room() int { return cmp.Or(g.size, gatherBytes) }

// take gives the buffer, from the pool if there was none.
func (g *gather) take() []byte {
	if g.buf == nil {
		if g.buf = gatherPools[g.room()].take(); g.buf == nil {
			b := make([]byte, g.room())
			g.buf = &b
		}
	}
	return *g.buf
}

// leave gives the buffer back to the pool when nothing is left in it.
func (g *gather) leave() {
	if g.buf != nil && len(g.rest) == 0 && g.have == 0 {
		gatherPools[len(*g.buf)].put(g.buf)
		g.buf, g.rest = nil, nil
	}
}

func (g *gather) read(r *rawConn, b []byte) (int, error) {
	if len(g.rest) == 0 {
		if err := g.fill(r); err != nil {
			g.leave()
			return 0, err
		}
	}
	n := copy(b, g.rest)
	g.rest = g.rest[n:]
	g.leave()
	return n, nil
}

// fill reads until there is enough.
func (g *gather) fill(r *rawConn) error {
	defer func() { g.have = 0 }()
	for {
		enough := g.tell(min(g.want-g.tls.held(), g.room()) - g.have)
		if g.have > 0 && enough == 1 {
			g.rest = (*g.buf)[:g.have]
			return nil
		}
		n, err := g.receive(r)
		g.have += n
		if n > 0 {
			g.judge(n, r.clock.now())
		}
		if err != nil && g.have == 0 {
			return err // otherwise it comes again with the next read
		}
		if n >= enough || err != nil || g.have == g.room() {
			g.rest = (*g.buf)[:g.have]
			return nil
		}
	}
}

// receive reads behind what is in the buffer.
func (g *gather) receive(r *rawConn) (int, error) {
	if g.sys == nil || !canAttempt {
		return r.receive(g.take()[g.have:])
	}
	if g.try == nil {
		g.try = g.attempt
	}
	g.got, g.err = 0, nil
	if err := g.sys.Read(g.try); err != nil {
		return 0, err
	}
	if g.got > 0 {
		r.heardNow()
	}
	return g.got, g.err
}

// attempt reads what there is. It returns false if that is nothing, and is called again when there is something; in
// between it holds no buffer.
func (g *gather) attempt(fd uintptr) bool {
	n, err := attemptRead(fd, g.take()[g.have:])
	switch {
	case err == errNothingYet:
		g.leave()
		return false
	case err != nil:
		g.err = os.NewSyscallError("read", err)
	case n == 0:
		g.err = io.EOF
	default:
		g.got = n
	}
	return true
}

// tell has the kernel wake the reader only for sure bytes, which are certain to come, or less. It
// returns how many those are; 1 for any.
func (g *gather) tell(sure int) int {
	n := min(sure, int(g.rate*gatherMost.Seconds()), g.room()/4*gatherSleep)
	if n < gatherLeast {
		n = 1
	}
	low := int(max(g.low.Load(), 1))
	switch {
	case low == n, n > 1 && low > n/2 && low < n:
		return low
	case g.sys == nil || !setLowWater(g.sys, n):
		if n > 1 {
			time.Sleep(gatherPause)
		}
		return 1
	}
	g.low.Store(int32(n))
	return n
}

// letGo wakes the reader for whatever there is. The keeper calls it when little comes.
func (g *gather) letGo() {
	if g.low.Swap(1) > 1 {
		setLowWater(g.sys, 1)
	}
}

// resize has it read so many bytes at once from now on, if nothing is left of what was read.
func (g *gather) resize(bytes int) {
	if len(g.rest) == 0 {
		g.leave()
		g.size = bytes
	}
}

// judge measures the rate.
func (g *gather) judge(n int, now time.Duration) {
	g.counted += n
	took := now - g.since
	if took < gatherSpan {
		return
	}
	g.rate = float64(g.counted) / took.Seconds()
	if took > 2*gatherMost { // there was a pause: what comes now may be slower
		g.rate = 0
	}
	g.since, g.counted = now, 0
}
