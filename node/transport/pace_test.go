package transport

import (
	"math"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"patchmesh/swarm/rate"
)

// Many streams share one rate: together they get it, within 5 % over 10 s, and each a fair part.
func TestPaceIsShared(t *testing.T) {
	for _, r := range []rate.Rate{50e3, 1250e3, 12500e3} {
		synctest.Test(t, func(t *testing.T) {
			p := NewPace()
			p.Set(r)
			stop := make(chan struct{})
			var passed [5]atomic.Int64
			var wg sync.WaitGroup
			for i := range passed {
				wg.Go(func() {
					for p.Wait(stop) {
						n := p.piece(1 << 20)
						p.Took(n)
						passed[i].Add(rate.OnWire(int64(n)))
					}
				})
			}
			time.Sleep(10 * time.Second)
			close(stop)
			wg.Wait()
			var all int64
			for i := range passed {
				n := passed[i].Load()
				all += n
				if part := float64(n) / (float64(r) * 10 / 5); part < 0.5 || part > 1.6 {
					t.Errorf("at %d B/s stream %d got %.2f of its part", r, i, part)
				}
			}
			if off := float64(all)/(float64(r)*10) - 1; math.Abs(off) > 0.05 {
				t.Errorf("at %d B/s: %+.1f %%", r, 100*off)
			}
		})
	}
}

// Who waits hears of a new rate at once, and of the end.
func TestPaceChangesWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := NewPace(), make(chan struct{})
		p.Set(100)
		p.Took(1 << 20) // three hours
		began := time.Now()
		done := make(chan bool)
		wait := func() { done <- p.Wait(stop) }
		go wait()
		time.Sleep(time.Second)
		p.Set(rate.Unlimited)
		if !<-done || time.Since(began) > 2*time.Second {
			t.Errorf("it waited for %v", time.Since(began))
		}
		p.Set(0)
		go wait()
		time.Sleep(time.Minute)
		close(stop)
		if <-done {
			t.Error("something passed at a rate of zero")
		}
		if p.Waited() < time.Minute {
			t.Errorf("waited %v", p.Waited())
		}
	})
}

// Chunks over a real connection keep the rate, whichever end is slowed down: never more than 5 % too much,
// and on a machine that is free (PATCHMESH_SOAK=1, over 10 s) no less than 5 % too little.
func TestChunksKeepTheRate(t *testing.T) {
	span, least := 1500*time.Millisecond, 0.3
	if os.Getenv("PATCHMESH_SOAK") == "1" {
		span, least = 10*time.Second, 0.95
	}
	for _, r := range []rate.Rate{10e6 / 8, 100e6 / 8} {
		for _, end := range []string{"up", "down"} {
			p := NewPace()
			p.Set(r)
			slow := func(Peer) *Pace { return p }
			var a, b *machine
			if end == "up" {
				a, b = newMachine(t), newMachine(t, func(c *Config) { c.Pacing.Up = slow })
			} else {
				a, b = newMachine(t, func(c *Config) { c.Pacing.Down = slow }), newMachine(t)
			}
			join(t, a, b)
			b.serving(make([]byte, chunkBytes))
			got := rateOf(t, a, b, span)
			t.Logf("%s at %d bit/s: %.2f of the rate over %v", end, 8*r, got/float64(r), span)
			chunk := float64(rate.OnWire(chunkBytes)) / span.Seconds() // arrivals are counted by the chunk
			if got > 1.05*float64(r)+chunk || got < least*float64(r)-chunk {
				t.Errorf("%s at %d B/s: %.0f B/s over %v", end, r, got, span)
			}
		}
	}
}

// rateOf keeps chunks coming from b to a and measures wire bytes per second, after a moment of warming up.
func rateOf(t *testing.T, a, b *machine, span time.Duration) float64 {
	var over atomic.Bool
	var ask func()
	ask = func() {
		a.FetchChunk(b.ID(), payloadID, 0, chunkBytes, func(_ []byte, err error) Judgement {
			if err != nil && !over.Load() {
				t.Error(err)
			}
			if err == nil && !over.Load() {
				ask()
			}
			return Unkept
		})
	}
	for range 2 {
		ask()
	}
	bytesIn := func() int64 { in, _ := a.Traffic(); return in }
	time.Sleep(500 * time.Millisecond)
	from, began := bytesIn(), time.Now()
	time.Sleep(span)
	n, took := bytesIn()-from, time.Since(began)
	over.Store(true)
	return float64(rate.OnWire(n)) / took.Seconds()
}

// At a rate so low that a chunk takes longer than any silence may last, the stream holds all the same.
func TestSlowPaceIsNoSilence(t *testing.T) {
	quick := func(c *Config) {
		c.Timing = Timing{FetchSilent: time.Second, Stall: 1500 * time.Millisecond, Tick: 50 * time.Millisecond, PeerSilence: 10 * time.Second, Ping: time.Second}
	}
	up, down := NewPace(), NewPace()
	up.Set(128 << 10)   // 256 KiB in two seconds
	down.Set(128 << 10) // and so at the other end
	for name, pacing := range map[string]Pacing{"up": {Up: func(Peer) *Pace { return up }}, "down": {Down: func(Peer) *Pace { return down }}} {
		a, b := joined(t, quick, func(c *Config) { c.Pacing = pacing })
		b.serving(make([]byte, chunkBytes))
		began := time.Now()
		for range 2 {
			got, _ := fetchOne(a, b.ID(), chunkBytes)
			if err := await(t, got, "chunk"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if d := time.Since(began); d < 2*time.Second {
			t.Errorf("%s: two chunks in %v", name, d)
		}
	}
}

// Which pace counts for a peer may change while its session lasts: what is sent from then on keeps to the new one.
func TestWhatIsSentKeepsToThePaceOfNow(t *testing.T) {
	var now atomic.Pointer[Pace]
	a := newMachine(t)
	b := newMachine(t, func(c *Config) { c.Pacing.Up = func(Peer) *Pace { return now.Load() } })
	join(t, a, b)
	b.serving(make([]byte, chunkBytes))
	p := NewPace()
	p.Set(2 << 20)
	now.Store(p)
	for range 3 {
		got, _ := fetchOne(a, b.ID(), chunkBytes)
		if err := await(t, got, "chunk"); err != nil {
			t.Fatal(err)
		}
	}
	if p.Waited() == 0 {
		t.Error("nothing waited for it")
	}
}
