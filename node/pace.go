package node

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/rate"
)

// limits keeps the rates of this node as the timetable says: of what is signed for it and what its command line says
// the lower at each instant, and where neither says anything of that instant the default.
type limits struct {
	n      *Node
	set    rate.Limits // of the command line
	stated atomic.Pointer[statedLimits]
	pace   [rate.Classes][rate.Directions]*transport.Pace
	usual  atomic.Bool // towards other sites the default for lines holds, since nobody set a limit
	wifi   atomic.Bool // this machine is on Wi-Fi
	wake   transport.Bell
	mu     sync.Mutex // held while rates are set: what is set last is what holds
}

// wifiUp is what a machine on Wi-Fi sends to others at most, together, where nobody set a limit: what it gives to a machine
// on the same air crosses it twice, and everybody there shares it. A quarter of what one access point of today
// carries, and no less than most lines that feed a branch.
const wifiUp = rate.Rate(50e6 / 8)

// held is the rate of one class and direction at an instant.
type held struct {
	rate  rate.Rate
	until time.Time // when it may change; zero: never
	from  string    // who says so; empty: nobody, there is no limit
	group string    // of what is signed
	why   string    // of a default
}

// at is what holds at an instant, and who says so.
func (l *limits) at(c rate.Class, d rate.Direction, now time.Time) held {
	var h held
	var set bool
	if h.rate, set, h.until = l.set.At(c, d, now); set {
		h.from = api.LimitFlag
	}
	signed, stated := l.stated.Load().rate(c, d).at(c, d, now)
	if stated && (!set || !lowerRate(h.rate, signed.rate)) {
		h.rate, h.from, h.group = signed.rate, signed.from, signed.group
	}
	if h.until = sooner(h.until, signed.until); !set && !stated {
		h.byDefault(c, d, l.wifi.Load())
	}
	return h
}

// byDefault is what holds where nobody has said anything. See policy.UsualSiteUp for why nothing bounds what comes.
func (h *held) byDefault(c rate.Class, d rate.Direction, wifi bool) {
	switch {
	case d == rate.Up && c != rate.WAN && wifi:
		h.rate, h.from, h.why = wifiUp, api.LimitDefault, LinkWiFi
	case d == rate.Up && c == rate.Site:
		h.rate, h.from = policy.UsualSiteUp, api.LimitDefault
	}
}

func lowerRate(a, b rate.Rate) bool { return a != rate.Unlimited && (b == rate.Unlimited || a < b) }

// sooner is the earlier of two instants, of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// linkChanged takes over whether this machine is on Wi-Fi.
func (l *limits) linkChanged(wifi bool) {
	l.wifi.Store(wifi)
	l.apply(l.n.cfg.Now())
}

func newLimits(n *Node) *limits {
	l := &limits{n: n, set: n.cfg.Limits, wake: transport.NewBell()}
	for c := range l.pace {
		for d := range l.pace[c] {
			l.pace[c][d] = transport.NewPace()
		}
	}
	l.apply(n.cfg.Now())
	return l
}

// lookEvery bounds the time until the clock on the wall is looked at again, and what is signed for this machine: the one
// may be set, and the groups that machines work out themselves may change.
const lookEvery = 30 * time.Second

// run follows the timetable and what is signed, and tells the core of both.
func (l *limits) run(ctx context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	told := false
	gates := l.n.cfg.gates().event() // as the core begins
	last := swarm.RatesChanged{}     // as the core begins
	for c := range last.Down {
		last.Down[c] = rate.Unlimited
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-l.wake:
			told = false // the roster may state another budget
		}
		if l.look() {
			l.n.tuneStore()
			told = false
		}
		if g := l.gates().event(); g != gates {
			gates = g
			l.n.events.send(g)
		}
		if !told { // by this goroutine alone: of two words about the budget the older one must not come last
			l.n.tellBudget()
			told = true
		}
		now := l.n.cfg.Now()
		next := l.apply(now)
		if e := l.event(now); e != last {
			last = e
			l.n.events.send(e)
		}
		wait := lookEvery
		if d := next.Sub(now); !next.IsZero() && d < wait {
			wait = max(d, 10*time.Millisecond)
		}
		t.Reset(wait)
	}
}

// poke has what is signed looked at now.
func (l *limits) poke() {
	l.wake.Ring()
}

// look takes over what is signed for this machine; true if that is something else than before.
func (l *limits) look() bool {
	if l.n.believer != nil && l.n.believer.current().Manifest() == nil { // lost: what was known holds until it is back
		return false
	}
	now := l.n.statedLimits()
	if was := l.stated.Load(); was != nil && maps.Equal(was.all, now) || was == nil && len(now) == 0 {
		return false
	}
	l.stated.Store(readStated(now))
	return true
}

// apply sets the rates of this instant and says when they may change.
func (l *limits) apply(now time.Time) (next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range rate.Classes {
		for d := range rate.Directions {
			h := l.at(c, d, now)
			l.pace[c][d].Set(h.rate)
			next = sooner(next, h.until)
			if c == rate.Site && d == rate.Up {
				l.usual.Store(h.from == api.LimitDefault && h.why == "")
			}
		}
	}
	return next
}

func (l *limits) event(now time.Time) swarm.RatesChanged {
	var e swarm.RatesChanged
	for c := range rate.Classes {
		e.Down[c] = l.at(c, rate.Down, now).rate
	}
	return e
}

// of is the pace of the link to a peer; nil: there is none. Between this machine and one of another site in its own subnet
// there is no line, so the default for lines is not theirs; a limit that somebody set is one for all of them together.
func (l *limits) of(p transport.Peer, d rate.Direction) *transport.Pace {
	c := l.n.linkClass(p)
	if c == rate.Site && d == rate.Up && p.SameSubnet && l.usual.Load() {
		return nil
	}
	return l.pace[c][d]
}

// linkClass says what lies between this machine and a peer.
func (n *Node) linkClass(p transport.Peer) rate.Class {
	switch {
	case p.Site == n.member.Site:
		return rate.LAN
	case p.Seed || n.seed != nil:
		return rate.WAN
	}
	return rate.Site
}

// info tells people what holds now; a limit that never applies is left out.
func (l *limits) info(now time.Time) []api.Limit {
	out := []api.Limit{}
	moved := l.moved()
	for c := range rate.Classes {
		for d := range rate.Directions {
			h := l.at(c, d, now)
			if h.rate == rate.Unlimited && h.until.IsZero() {
				continue
			}
			out = append(out, api.Limit{
				Class: c.String(), Dir: d.String(), BytesPerSec: max(int64(h.rate), 0), Off: h.rate == 0, Unlimited: h.rate == rate.Unlimited, Until: h.until,
				WaitedSeconds: l.pace[c][d].Waited().Seconds(), Why: h.why, From: h.from, Group: h.group, NowBytesPerSec: moved[c][d],
			})
		}
	}
	return out
}

// moved is what sessions have moved per second over the last while, by class and direction.
func (l *limits) moved() (out [rate.Classes][rate.Directions]int64) {
	for _, k := range l.n.contacts.open() {
		c := l.n.linkClass(k.Peer)
		out[c][rate.Down] += int64(k.in.bytesPerSec)
		out[c][rate.Up] += int64(k.out.bytesPerSec)
	}
	return out
}
