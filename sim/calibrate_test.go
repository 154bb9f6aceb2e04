package sim

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
)

// The gossip model against real memberlist, both in virtual time: how long until half of the members, and
// all but one in twenty, know a rumour. Memberlist draws from a source of its own, so its runs do not
// repeat and means over many rumours are compared.

// ether connects members without sockets.
type ether struct {
	mu   sync.Mutex
	rng  *rand.Rand
	loss float64
	torn bool // members of even and odd number do not reach each other
	all  map[string]*radio
}

// radio is one member's memberlist.Transport.
type radio struct {
	e       *ether
	index   int
	addr    *net.UDPAddr
	packets chan *memberlist.Packet
	streams chan net.Conn
}

func (e *ether) radio(i int) *radio {
	r := &radio{
		e: e, index: i, addr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: i + 1},
		packets: make(chan *memberlist.Packet, 4096), streams: make(chan net.Conn, 64),
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all[r.addr.String()] = r
	return r
}

// lost: the packet does not arrive.
func (e *ether) reach(from *radio, to string, packet bool) *radio {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.all[to]
	if o == nil || e.torn && from.index%2 != o.index%2 || packet && e.rng.Float64() < e.loss {
		return nil
	}
	return o
}

func (r *radio) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return r.addr.IP, r.addr.Port, nil
}

func (r *radio) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	if o := r.e.reach(r, addr, true); o != nil {
		select {
		case o.packets <- &memberlist.Packet{Buf: slices.Clone(b), From: r.addr, Timestamp: now}:
		default:
		}
	}
	return now, nil
}

func (r *radio) DialTimeout(addr string, _ time.Duration) (net.Conn, error) {
	o := r.e.reach(r, addr, false)
	if o == nil {
		return nil, io.ErrUnexpectedEOF
	}
	a, b := net.Pipe()
	select {
	case o.streams <- b:
		return a, nil
	default:
		return nil, io.ErrShortBuffer
	}
}

func (r *radio) PacketCh() <-chan *memberlist.Packet { return r.packets }
func (r *radio) StreamCh() <-chan net.Conn           { return r.streams }
func (r *radio) Shutdown() error                     { return nil }

// gossiper is one member: it passes on a rumour that is newer than what it knows, as node does.
type gossiper struct {
	mu    sync.Mutex
	list  *memberlist.Memberlist
	queue *memberlist.TransmitLimitedQueue
	knows byte
	at    time.Time
}

type rumourText []byte

func (r rumourText) Invalidates(memberlist.Broadcast) bool { return true }
func (r rumourText) Message() []byte                       { return r }
func (r rumourText) Finished()                             {}

func (g *gossiper) NodeMeta(int) []byte { return nil }
func (g *gossiper) NotifyMsg(b []byte)  { g.learn(b) }
func (g *gossiper) GetBroadcasts(overhead, limit int) [][]byte {
	return g.queue.GetBroadcasts(overhead, limit)
}
func (g *gossiper) LocalState(bool) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return []byte{g.knows}
}
func (g *gossiper) MergeRemoteState(b []byte, _ bool) { g.learn(b) }

func (g *gossiper) learn(b []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(b) == 1 && b[0] > g.knows {
		g.knows, g.at = b[0], time.Now()
		g.queue.QueueBroadcast(rumourText{b[0]})
	}
}

// realSpread runs memberlist and gives, for each rumour, how long half and nearly all took.
func realSpread(t *testing.T, n, rumours int, loss float64, torn time.Duration) (half, most []float64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &ether{rng: rand.New(rand.NewPCG(1, uint64(n))), all: map[string]*radio{}}
		var all []*gossiper
		for i := range n {
			g := &gossiper{}
			r := e.radio(i)
			g.queue = &memberlist.TransmitLimitedQueue{NumNodes: func() int { return n }, RetransmitMult: retransmitMult}
			c := memberlist.DefaultLANConfig()
			c.Name, c.Transport, c.Delegate, c.GossipInterval = fmt.Sprint(i), r, g, gossipInterval
			c.DisableTcpPings, c.EnableCompression = true, false
			c.Logger = log.New(io.Discard, "", 0)
			list, err := memberlist.Create(c)
			if err != nil {
				t.Fatal(err)
			}
			g.list = list
			all = append(all, g)
			if i > 0 {
				if _, err := list.Join([]string{"127.0.0.1:1"}); err != nil {
					t.Fatal(err)
				}
			}
			// Members begin, and join, over one period of push and pull, as machines do that are switched on over
			// minutes. All at once, their exchanges would stay crowded in a third of it for ever, with long pauses
			// between: alone, a member exchanges every half minute, and among many it keeps the phase of that.
			e.mu.Lock()
			wait := time.Duration(e.rng.Int64N(2 * int64(pullEvery(n)) / int64(n)))
			e.mu.Unlock()
			time.Sleep(wait)
		}
		time.Sleep(10 * time.Second)
		for k := range rumours {
			e.mu.Lock()
			e.loss, e.torn = loss, torn > 0
			e.mu.Unlock()
			begin := time.Now()
			all[(2*k)%n].learn([]byte{byte(k + 1)})
			if torn > 0 {
				time.Sleep(torn)
				e.mu.Lock()
				e.torn = false
				e.mu.Unlock()
			}
			time.Sleep(time.Second)
			if torn > 0 {
				time.Sleep(62 * time.Second) // or the next rumour would begin among members that are still suspected
			}
			var took []float64
			for _, g := range all {
				g.mu.Lock()
				if g.knows == byte(k+1) {
					took = append(took, g.at.Sub(begin).Seconds())
				}
				g.mu.Unlock()
			}
			slices.Sort(took)
			half, most = append(half, quantile(took, n, 0.5)), append(most, quantile(took, n, 0.95))
		}
		for _, g := range all {
			if err := g.list.Shutdown(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute)
	})
	return half, most
}

// quantile of so many of n; whoever never learned counts as very late.
func quantile(took []float64, n int, q float64) float64 {
	i := int(q*float64(n)+0.5) - 1
	if i >= len(took) {
		return 1e6
	}
	return took[i]
}

// modelSpread runs the model alone: the site's queue, gossip rounds, whispers and pulls.
func modelSpread(t *testing.T, n, rumours int, loss float64, torn time.Duration) (half, most []float64) {
	t.Helper()
	for k := range rumours {
		sc, err := ParseScenario("gossip", fmt.Sprintf("site a machines=%d lan-delay=0s loss=%g", n, loss))
		if err != nil {
			t.Fatal(err)
		}
		w, err := newWorld(sc, Options{Seed: uint64(k)})
		if err != nil {
			t.Fatal(err)
		}
		s := w.sites[1]
		for i, m := range s.machines {
			m.boot()
			m.tickAt = 1 << 62 // nothing but gossip happens here
			if torn > 0 {
				m.part = i % 2
			}
		}
		s.q = queue{}
		s.pulling = false
		d := &docs{version: 2, trust: w.org.first.trust}
		var took []float64
		learn := func(m *machine) {
			if m.head == d {
				return
			}
			m.head, m.disk.docs = d, d
			took = append(took, time.Duration(s.now).Seconds())
			m.spread(d)
		}
		learn(s.machines[0])
		for s.q.len() > 0 && len(took) < n && s.now < int64(300*time.Second) {
			e := s.q.pop()
			s.now = e.at
			if s.now >= int64(torn) {
				for _, m := range s.machines {
					m.part = 0
				}
			}
			switch x := e.what.(type) {
			case whisper:
				learn(e.m)
			case gossipRound:
				e.m.gossip()
			case func():
				x()
			}
		}
		slices.Sort(took)
		half, most = append(half, quantile(took, n, 0.5)), append(most, quantile(took, n, 0.95))
	}
	return half, most
}

// midmean is the mean of the middle half: it swings a good deal less than the median, and a rumour that never
// reached enough members counts for no more than any other late one.
func midmean(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	x = x[len(x)/4 : len(x)-len(x)/4]
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

func TestGossipModelSpreadsLikeMemberlist(t *testing.T) {
	for _, c := range []struct {
		n           int
		loss        float64
		torn        time.Duration
		rumours     int
		memberships int
	}{
		{32, 0, 0, soak(12, 15), soak(8, 16)}, {32, 0.2, 0, soak(12, 15), soak(8, 16)}, {32, 0, 3 * time.Second, soak(0, 80), 1},
		{128, 0, 0, soak(0, 30), 1}, {128, 0.2, 0, soak(0, 30), 1}, {128, 0, 3 * time.Second, soak(0, 30), 1},
	} {
		t.Run(fmt.Sprintf("%d-members-loss-%.1f-torn-%v", c.n, c.loss, c.torn), func(t *testing.T) {
			if c.rumours == 0 {
				t.Skip("a membership of this size takes minutes of a processor: PATCHMESH_SOAK=1 runs it")
			}
			// memberlist draws from a source that no test can seed, and the members of one membership keep their
			// places within the interval for ever: what a run says swings with the rumours and the memberships in it.
			within := float64(soak(30, 25)) / 100
			begun := time.Now()
			var realHalf, realMost []float64
			for range c.memberships {
				half, most := realSpread(t, c.n, c.rumours, c.loss, c.torn)
				realHalf, realMost = append(realHalf, half...), append(realMost, most...)
			}
			half, most := modelSpread(t, c.n, 400, c.loss, c.torn)
			t.Logf("half after %.3f s (memberlist %.3f), 95 %% after %.3f s (memberlist %.3f); took %v",
				midmean(half), midmean(realHalf), midmean(most), midmean(realMost), time.Since(begun).Round(time.Millisecond))
			for _, x := range [][2]float64{{midmean(half), midmean(realHalf)}, {midmean(most), midmean(realMost)}} {
				if diff := x[0] - x[1]; diff > within*x[1] || diff < -within*x[1] {
					t.Errorf("the model says %.3f s, memberlist %.3f s", x[0], x[1])
				}
			}
		})
	}
}
