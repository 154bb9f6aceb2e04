package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The settings that say when and where from a machine is served, and who is told.
const (
	SetMissedWindow  = "missed-window"
	SetEscalateAfter = "escalate-after"
	SetQuietHours    = "quiet-hours"
	SetUndisturbing  = "install-undisturbing"
	SetMinBattery    = "min-battery"
	SetWake          = "wake"
	SetAtShutdown    = "install-at-shutdown"
	SetNotify        = "notify"
	SetInternet      = "internet"
	SetSources       = "sources"
	SetReportTo      = "report-to"
	SetMetered       = "metered"
)

// The values of SetNotify, the one that tells least first.
const (
	NotifyNone        = "none"
	NotifyRestartOnly = "restart-only"
	NotifyAll         = "all"
)

// The values of SetMetered, the strictest first.
const (
	MeteredNever     = "never"
	MeteredPeersOnly = "peers-only"
	MeteredAllow     = "allow"
)

// Values of several settings.
const (
	valueNone  = "none"
	valueAny   = "any"
	valueNever = "never"
	missedNext = "next"
	missedNow  = "now"
)

// MaxShutdownRun is the most that policy may give installs at shutdown: service managers do not wait for ever, nor do
// people.
const MaxShutdownRun = 30 * time.Minute

// Bounds of these settings.
const (
	maxEscalate      = 30
	maxMissedDelay   = 24 * time.Hour
	leastShutdownRun = 10 * time.Second
	maxListed        = 8
)

var (
	notifyValues  = []string{NotifyNone, NotifyRestartOnly, NotifyAll}
	meteredValues = []string{MeteredNever, MeteredPeersOnly, MeteredAllow}
)

var clientInfos = []SettingInfo{
	{SetMissedWindow, missedNext, "what a machine does that was off in a maintenance window: wait for the next one (next), install at once (now), or so long after it was started, like 15m", checkMissed, byMissed},
	{SetEscalateAfter, valueNone, "after how many maintenance windows that passed without it an update is no longer bound to them (1 to 30), or none", noneOr(checkCount(1, maxEscalate)), noneStrictest(byMore)},
	{SetQuietHours, valueNone, "when people are spared, in the machine's own time, like 08:00-18:00: nothing is installed, nobody is told anything and nothing restarts then, but what is expedited or past its deadline", noneOr(checkHours), noneLoosest},
	{SetUndisturbing, "no", "yes: what is declared to disturb nobody (import --disruptive no) waits for no maintenance window and no quiet hours", checkYesNo, byNo},
	{SetMinBattery, valueNever, "how full a battery must be, in percent, for an install to begin while the machine runs on it; never: none begins", neverOr(checkCount(0, 100)), neverStrictest(byMore)},
	{SetWake, "no", "yes: 'patchmesh notices' tells when a machine that sleeps should be awake for a maintenance window, for whatever sets its clock", checkYesNo, byNo},
	{SetAtShutdown, valueNone, "what waits for a maintenance window may be installed when the machine is shut down, if it needs no longer than this, like 5m", noneOr(within(leastShutdownRun, MaxShutdownRun)), noneStrictest(byShorter)},
	{SetNotify, NotifyRestartOnly, "who uses the machine is told of nothing (none), of restarts (restart-only), or of updates too (all)", oneOf(notifyValues), nil},
	{SetInternet, MeteredAllow, "never: nothing is fetched from web hosts of vendors, only from machines and media of this mesh", oneOf([]string{valueNever, MeteredAllow}), byPlace([]string{valueNever, MeteredAllow})},
	{SetSources, valueAny, "the web hosts from which payloads may be fetched, with commas between them, or any that the update names", anyOr(checkHosts), anyLoosest(narrower)},
	{SetReportTo, valueAny, "the seeds that reports are handed to, by peer id with commas between them, or any", anyOr(checkPeers), nil},
	{SetMetered, MeteredPeersOnly, "what a metered link is used for: never, peers-only (no WAN, neighbours still), allow", oneOf(meteredValues), byPlace(meteredValues)},
}

// client is what plans and machines need of these settings.
type client struct {
	missedNext    bool          // what was missed waits for the next window
	missedDelay   time.Duration // else so long after the start of the machine
	escalateAfter int           // 0: never
	quietHours    string        // empty: none
	undisturbing  bool
	minBattery    int // percent; above 100: none is enough
	wake          bool
	atShutdown    time.Duration // 0: nothing is installed then
	notify        string
	internet      bool
	sources       []string // empty: any
	reportTo      []string // empty: any
	metered       string   // empty: nobody has said
}

func readClient(all []Effective) client {
	c := client{}
	for _, e := range all {
		switch e.Name {
		case SetMissedWindow:
			c.missedNext, c.missedDelay = e.Value == missedNext, duration(e.Value) // of "now" 0
		case SetEscalateAfter:
			c.escalateAfter, _ = count(e.Value) // of "none" 0
		case SetQuietHours:
			if e.Value != valueNone {
				c.quietHours = e.Value
			}
		case SetUndisturbing:
			c.undisturbing = e.Value == "yes"
		case SetMinBattery:
			if c.minBattery = 101; e.Value != valueNever {
				c.minBattery, _ = count(e.Value)
			}
		case SetWake:
			c.wake = e.Value == "yes"
		case SetAtShutdown:
			c.atShutdown = duration(e.Value) // of "none" 0
		case SetNotify:
			c.notify = e.Value
		case SetInternet:
			c.internet = e.Value != valueNever
		case SetSources:
			c.sources = listed(e.Value)
		case SetReportTo:
			c.reportTo = listed(e.Value)
		case SetMetered:
			if e.Source != "default" { // else the machine's own word counts
				c.metered = e.Value
			}
		}
	}
	return c
}

func listed(s string) []string {
	if s == valueAny {
		return nil
	}
	return strings.Split(s, ",")
}

func count(s string) (int, error) {
	if s == "0" {
		return 0, nil
	}
	return ruleNumber(s, 1, 100)
}

func checkCount(least, most int) func(string) error {
	return func(s string) error {
		if n, err := count(s); err != nil || n < least || n > most {
			return fmt.Errorf("%.40q is no number from %d to %d: %w", s, least, most, ErrFormat)
		}
		return nil
	}
}

func byMore(a, b string) int {
	x, _ := count(a)
	y, _ := count(b)
	return cmp.Compare(y, x)
}

func checkMissed(s string) error {
	if s == missedNext || s == missedNow {
		return nil
	}
	return within(time.Minute, maxMissedDelay)(s)
}

// byMissed: to wait is stricter than to install, and longer than shorter; "now" is the shortest.
func byMissed(a, b string) int {
	rank := func(s string) time.Duration {
		if s == missedNext {
			return 2 * maxMissedDelay
		}
		return duration(s)
	}
	return cmp.Compare(rank(b), rank(a))
}

func neverOr(check func(string) error) func(string) error { return wordOr(valueNever, check) }
func anyOr(check func(string) error) func(string) error   { return wordOr(valueAny, check) }

func wordOr(word string, check func(string) error) func(string) error {
	return func(s string) error {
		if s == word {
			return nil
		}
		return check(s)
	}
}

// wordFirst orders a word before all other values if sign is negative, else behind them.
func wordFirst(word string, sign int, others func(a, b string) int) func(a, b string) int {
	return func(a, b string) int {
		switch {
		case a == word && b == word:
			return 0
		case a == word:
			return sign
		case b == word:
			return -sign
		}
		return others(a, b)
	}
}

func noneStrictest(others func(a, b string) int) func(a, b string) int {
	return wordFirst(valueNone, -1, others)
}
func neverStrictest(others func(a, b string) int) func(a, b string) int {
	return wordFirst(valueNever, -1, others)
}
func anyLoosest(others func(a, b string) int) func(a, b string) int {
	return wordFirst(valueAny, 1, others)
}

// noneLoosest: of two times of day neither is stricter unless it holds the other.
func noneLoosest(a, b string) int { return wordFirst(valueNone, 1, byHours)(a, b) }

// byHours: hours that hold all of the others are stricter.
func byHours(a, b string) int {
	switch x, y := minutesOf(a), minutesOf(b); {
	case x == y:
		return 0
	case x.holds(y):
		return -1
	case y.holds(x):
		return 1
	}
	return 0
}

type dayMinutes [24 * 60]bool

func minutesOf(hours string) (out dayMinutes) {
	from, until, err := parseHours(hours)
	if err != nil {
		return out
	}
	for m := from; m != until; m = (m + 1) % len(out) {
		out[m] = true
	}
	return out
}

func (a dayMinutes) holds(b dayMinutes) bool {
	for m := range a {
		if b[m] && !a[m] {
			return false
		}
	}
	return true
}

// narrower: a list whose entries are all of the other one is stricter.
func narrower(a, b string) int {
	x, y := listed(a), listed(b)
	within := func(inner, outer []string) bool {
		return !slices.ContainsFunc(inner, func(s string) bool { return !slices.Contains(outer, s) })
	}
	switch {
	case within(x, y) && within(y, x):
		return 0
	case within(x, y):
		return -1
	case within(y, x):
		return 1
	}
	return 0
}

func checkList(s string, one func(string) bool, what string) error {
	all := strings.Split(s, ",")
	for _, x := range all {
		if !one(x) {
			return fmt.Errorf("%.80q is no %s: %w", x, what, ErrFormat)
		}
	}
	if len(all) > maxListed {
		return fmt.Errorf("%d entries, at most %d: %w", len(all), maxListed, ErrFormat)
	}
	return nil
}

// checkHosts accepts what stands behind // in a URL: a host, and a port where it has one.
func checkHosts(s string) error {
	return checkList(s, func(x string) bool {
		return x != "" && len(x) <= maxHostBytes && !strings.ContainsAny(x, "/@?#\\*") && plainURL(x) && strings.ToLower(x) == x
	}, "host like mirror.example.org")
}

func checkPeers(s string) error {
	return checkList(s, func(x string) bool {
		return len(x) >= 8 && len(x) <= 128 && !strings.ContainsFunc(x, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		})
	}, "peer id")
}
