package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
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
		w, err := policy.ParseWeekHours(window, time.Local)
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
	if share, ok := strings.CutSuffix(s, "%"); ok {
		return percentOf(share, c)
	}
	r, err := policy.ReadSpeed(s) // 0 is no limit: services that were installed by earlier versions say so, and must start
	if err == nil && r == 0 && (c != rate.WAN || d != rate.Down) {
		err = errors.New("only wan.down may be off")
	}
	return rate.Rate(r), err // policy.NoLimit is rate.Unlimited
}

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
