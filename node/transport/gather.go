package transport

import "time"

// gather reads ahead, and in bulk transfers lets bytes pile up before it reads again. On a link of
// 200 Mbit/s a packet comes every 58 µs; woken for each, a process spends more time waking than
// receiving. A few milliseconds of waiting read dozens of packets at once. Short messages are not
// delayed: the waiting begins only while much is flowing, and ends with the first short read.
type gather struct {
	buf  []byte
	rest []byte // read and not yet taken

	bulk    bool
	since   time.Duration // begin of the present measure
	counted int
}

const (
	gatherBytes = 64 << 10
	gatherPause = 8 * time.Millisecond
	// Bulk is gatherStart bytes within gatherSpan: 4 Mbit/s and more. It ends when a pause has
	// brought less than gatherLeast.
	gatherStart = 16 << 10
	gatherSpan  = 32 * time.Millisecond
	gatherLeast = 2 << 10
)

func (g *gather) read(r *rawConn, b []byte) (int, error) {
	if len(g.rest) == 0 {
		if err := g.fill(r); err != nil {
			return 0, err
		}
	}
	n := copy(b, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// fill reads what is there.
func (g *gather) fill(r *rawConn) error {
	if g.buf == nil {
		g.buf = make([]byte, gatherBytes)
	}
	if g.bulk {
		time.Sleep(gatherPause)
	}
	n, err := r.receive(g.buf)
	g.rest = g.buf[:n]
	if n == 0 {
		return err
	}
	g.judge(n, r.clock.now())
	return nil // an error comes again with the next read
}

// judge decides whether the next read waits.
func (g *gather) judge(n int, now time.Duration) {
	if g.bulk {
		if n < gatherLeast || n == len(g.buf) {
			g.bulk, g.since, g.counted = false, now, 0
		}
		return
	}
	if now-g.since > gatherSpan {
		g.since, g.counted = now, 0
	}
	g.counted += n
	// On a fast link reads are full by themselves: waiting would only cost time.
	g.bulk = g.counted >= gatherStart && n < gatherBytes/2
}
