package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/rate"
)

// ParseLimit reads CLASS.DIR=RATE[@WINDOW]: "wan.down=10Mbit", "lan.up=50%",
// "wan.down=2Mbit@Mon-Fri/08:00-18:00@Europe/Berlin", "wan.down=off@08:00-18:00". A percentage is of the
// speed of this machine's network interface, and of the LAN only: nobody knows how fast a WAN is.
func ParseLimit(text string) (rate.Limit, error) {
	var l rate.Limit
	name, value, ok := strings.Cut(text, "=")
	class, dir, dotted := strings.Cut(name, ".")
	if !ok || !dotted {
		return l, fmt.Errorf("limit %q is not CLASS.DIR=RATE", api.Clean(text))
	}
	classes, dirs := []string{"lan", "site", "wan"}, []string{"down", "up"}
	c, d := slices.Index(classes, class), slices.Index(dirs, dir)
	if c < 0 || d < 0 {
		return l, fmt.Errorf("limit %q: the class is lan, site or wan and the direction down or up", api.Clean(text))
	}
	l.Class, l.Dir = rate.Class(c), rate.Direction(d)
	speed, window, timed := strings.Cut(value, "@")
	if timed {
		w, err := rate.ParseWindow(window, time.Local, time.LoadLocation)
		if err != nil {
			return l, fmt.Errorf("limit %q: %w", api.Clean(text), err)
		}
		l.Window = &w
	}
	r, err := parseSpeed(speed, l.Class, l.Dir)
	if err != nil {
		return l, fmt.Errorf("limit %q: %w", api.Clean(text), err)
	}
	l.Rate = r
	return l, nil
}

func parseSpeed(s string, c rate.Class, d rate.Direction) (rate.Rate, error) {
	if strings.EqualFold(s, "off") {
		if c != rate.WAN || d != rate.Down {
			return 0, errors.New("only wan.down may be off")
		}
		return 0, nil
	}
	if share, ok := strings.CutSuffix(s, "%"); ok {
		return percentOf(share, c)
	}
	r, err := api.ParseRate(s)
	if err != nil {
		return 0, err
	}
	if r == 0 && (s == "0" || strings.EqualFold(s, "unlimited")) {
		return rate.Unlimited, nil
	}
	if r < minRate || rate.Rate(r) > rate.MaxRate {
		return 0, fmt.Errorf("%s is out of range; the least is %s", api.Rate(float64(r)), api.Rate(minRate))
	}
	return rate.Rate(r), nil
}

// minRate is the least limit: below it one chunk would take more than half an hour.
const minRate = 128

func percentOf(share string, c rate.Class) (rate.Rate, error) {
	var n int
	if _, err := fmt.Sscanf(share, "%d", &n); err != nil || n < 1 || n > 100 || fmt.Sprint(n) != share {
		return 0, errors.New("a percentage is 1% to 100%")
	}
	if c != rate.LAN {
		return 0, errors.New("a percentage is of the local network only; say how fast the others may be, as 10Mbit")
	}
	speed, ok := linkSpeed()
	if !ok {
		return 0, errors.New("the speed of the network interface is not known; say it as a rate, as 500Mbit")
	}
	return speed * rate.Rate(n) / 100, nil
}

// limits keeps the rates of this node as the timetable says.
type limits struct {
	n    *Node
	set  rate.Limits
	pace [rate.Classes][rate.Directions]*transport.Pace
	wifi atomic.Bool // this machine is on Wi-Fi
	mu   sync.Mutex  // held while rates are set: what is set last is what holds
}

// wifiUp is what a machine on Wi-Fi sends to others at most, together, where nobody set a limit: what it gives to a machine
// on the same air crosses it twice, and everybody there shares it. A quarter of what one access point of today
// carries, and no less than most lines that feed a branch.
const wifiUp = rate.Rate(50e6 / 8)

// at is the rate at an instant, until when it holds, and why where nobody set it.
func (l *limits) at(c rate.Class, d rate.Direction, now time.Time) (r rate.Rate, until time.Time, why string) {
	r, until = l.set.At(c, d, now)
	set := slices.ContainsFunc(l.set, func(x rate.Limit) bool { return x.Class == c && x.Dir == d })
	if !set && d == rate.Up && c != rate.WAN && l.wifi.Load() {
		return wifiUp, until, LinkWiFi
	}
	return r, until, ""
}

// linkChanged takes over whether this machine is on Wi-Fi.
func (l *limits) linkChanged(wifi bool) {
	l.wifi.Store(wifi)
	l.apply(l.n.cfg.Now())
}

func newLimits(n *Node) *limits {
	l := &limits{n: n, set: n.cfg.Limits}
	for c := range l.pace {
		for d := range l.pace[c] {
			l.pace[c][d] = transport.NewPace()
		}
	}
	l.apply(n.cfg.Now())
	return l
}

// lookEvery bounds the time until the clock on the wall is looked at again: it may be set, and a machine
// may have been suspended.
const lookEvery = 30 * time.Second

// run follows the timetable.
func (l *limits) run(ctx context.Context) {
	if len(l.set) == 0 {
		return
	}
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := l.n.cfg.Now()
		next := l.apply(now)
		l.n.events.send(l.event(now))
		wait := lookEvery
		if d := next.Sub(now); !next.IsZero() && d < wait {
			wait = max(d, 10*time.Millisecond)
		}
		t.Reset(wait)
	}
}

// apply sets the rates of this instant and says when they may change.
func (l *limits) apply(now time.Time) (next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range rate.Classes {
		for d := range rate.Directions {
			r, until, _ := l.at(c, d, now)
			l.pace[c][d].Set(r)
			if next.IsZero() || !until.IsZero() && until.Before(next) {
				next = until
			}
		}
	}
	return next
}

func (l *limits) event(now time.Time) swarm.RatesChanged {
	var e swarm.RatesChanged
	for c := range rate.Classes {
		e.Down[c], _ = l.set.At(c, rate.Down, now)
	}
	return e
}

// of is the pace of the link to a peer.
func (l *limits) of(p transport.Peer, d rate.Direction) *transport.Pace {
	return l.pace[l.n.linkClass(p)][d]
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
	for c := range rate.Classes {
		for d := range rate.Directions {
			r, until, why := l.at(c, d, now)
			if r == rate.Unlimited && until.IsZero() {
				continue
			}
			out = append(out, api.Limit{
				Class: c.String(), Dir: d.String(), BytesPerSec: max(int64(r), 0), Off: r == 0, Unlimited: r == rate.Unlimited, Until: until,
				WaitedSeconds: l.pace[c][d].Waited().Seconds(), Why: why,
			})
		}
	}
	return out
}

// ParseBudget reads day=SIZE or month=SIZE, with the zone in which days begin: "month=20GB@Europe/Berlin".
func ParseBudget(texts []string) (b rate.Budget, err error) {
	for _, text := range texts {
		name, value, _ := strings.Cut(text, "=")
		size, zone, zoned := strings.Cut(value, "@")
		into := map[string]*int64{"day": &b.DayBytes, "month": &b.MonthBytes}[name]
		if into == nil {
			return b, fmt.Errorf("budget %q is not day=SIZE or month=SIZE", api.Clean(text))
		}
		if *into, err = api.ParseSize(size); err != nil {
			return b, fmt.Errorf("budget %q: %w", api.Clean(text), err)
		}
		if *into <= 0 {
			return b, fmt.Errorf("budget %q: nothing at all is 'wan.down=off' of --limit", api.Clean(text))
		}
		if !zoned {
			continue
		}
		z, err := time.LoadLocation(zone)
		if err != nil || zone == "" || zone == "Local" {
			return b, fmt.Errorf("budget %q: zone %q is not known", api.Clean(text), api.Clean(zone))
		}
		if b.Zone != nil && b.Zone.String() != z.String() {
			return b, fmt.Errorf("budget %q: one budget, one zone", api.Clean(text))
		}
		b.Zone = z
	}
	return b, nil
}

// knownReason keeps what peers say about themselves to the closed list: it is shown to people.
func knownReason(text string) policy.Reason {
	if text == "" {
		return ""
	}
	if _, ok := policy.Reason(text).Info(); !ok {
		return policy.ReasonNetRefused
	}
	return policy.Reason(text)
}
