package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// The settings of restarts.
const (
	SetRestart         = "restart"
	SetRestartDelay    = "restart-delay"
	SetRestartSpread   = "restart-spread"
	SetRestartDeadline = "restart-deadline"
	SetActiveHours     = "active-hours"
)

// The values of SetRestart, the strictest first.
const (
	RestartNever       = "never"         // people restart their machines themselves
	RestartWithoutUser = "when-no-users" // while nobody is signed in
	RestartAlways      = "always"
)

var restartValues = []string{RestartNever, RestartWithoutUser, RestartAlways}

// restartRun is what a restart is taken to need of a maintenance window.
const restartRun = 10 * time.Minute

// restartInfos are the settings of restarts, for people.
var restartInfos = []SettingInfo{
	{SetRestart, RestartNever, "whether a machine restarts by itself when an update asks for it: never, when-no-users, always", oneOf(restartValues), byPlace(restartValues)},
	{SetRestartDelay, "15m", "how long people at the machine are warned before it restarts", within(0, day), byLonger},
	{SetRestartSpread, "1h", "machines that are to restart begin one after the other over so long", within(0, 7*day), nil},
	{SetRestartDeadline, "none", "how long after an update asked for it a restart waits no more for users, active hours and what blocks it; never outside the windows", noneOr(within(time.Hour, 60*day)), nil},
	{SetActiveHours, "none", "when people work, in the machine's own time, like 08:00-18:00: it does not restart then", noneOr(checkHours), noneLoosest},
}

func oneOf(values []string) func(string) error {
	return func(s string) error {
		for _, v := range values {
			if s == v {
				return nil
			}
		}
		return fmt.Errorf("%.40q is none of %s: %w", s, strings.Join(values, ", "), ErrFormat)
	}
}

func byPlace(values []string) func(a, b string) int {
	place := func(s string) int {
		for i, v := range values {
			if s == v {
				return i
			}
		}
		return -1
	}
	return func(a, b string) int { return place(a) - place(b) }
}

func checkHours(s string) error {
	_, _, err := parseHours(s)
	return err
}

// parseHours reads 08:00-18:00 as minutes of the day. The end may lie beyond midnight, as in 22:00-06:00.
func parseHours(s string) (from, until int, err error) {
	a, b, ok := strings.Cut(s, "-")
	for _, x := range []struct {
		text string
		into *int
	}{{a, &from}, {b, &until}} {
		t, terr := time.Parse("15:04", x.text)
		if terr != nil {
			ok = false
		}
		*x.into = t.Hour()*60 + t.Minute()
	}
	if !ok || from == until {
		return 0, 0, fmt.Errorf("active hours %.40q are not like 08:00-18:00: %w", s, ErrFormat)
	}
	return from, until, nil
}

// PendingRestart is what a machine knows of a restart that it needs. The zero value: none is needed.
type PendingRestart struct {
	Pending    bool       `json:"pending,omitempty"`
	Since      time.Time  `json:"since,omitzero"`     // when it was asked for
	Why        string     `json:"why,omitempty"`      // one line for people
	Updates    []UpdateID `json:"updates,omitempty"`  // those that asked for it
	Users      int        `json:"users,omitempty"`    // signed in now
	Blockers   []string   `json:"blockers,omitempty"` // what keeps the machine from being restarted
	Impossible string     `json:"impossible,omitempty"`

	// What the one who gives the orders remembers of them; nothing of it is believed from elsewhere.
	OrderedAt time.Time `json:"-"` // the last order that was carried out
	Failures  int       `json:"-"` // orders after which the machine did not restart
}

// RestartGrace is how long after its warning a restart may take to come about.
const RestartGrace = 30 * time.Minute

// asks says whether an update waits for the restart.
func (p PendingRestart) asks(u UpdateID) bool {
	if !p.Pending {
		return false
	}
	for _, o := range p.Updates {
		if o == u {
			return true
		}
	}
	return false
}

// AwaitsRestart says whether an update was brought in and is complete only after a restart.
func (m Machine) AwaitsRestart(u UpdateID) bool { return m.Restart.asks(u) }

// RestartPlan is what is to be done about a pending restart.
type RestartPlan struct {
	Due    bool          // restart now, after a warning of Delay
	Delay  time.Duration // how long people are warned
	Reason Reason        // of what it waits for
	Detail string
	Failed bool      // it was ordered, and did not come about
	Silent bool      // nobody at the machine is told, see SetNotify
	Until  time.Time // when the answer may change by itself; zero: when somebody does something
}

// PlanRestart decides about a pending restart. It is asked in the order of what cannot be overridden: signed
// holds, expired approvals, policy, the machine's turn and its windows; then what a deadline overrides:
// active hours, users, and programs that block it.
func (m *Manifest) PlanRestart(mach Machine, stale bool, now time.Time) RestartPlan {
	plan := m.planRestart(mach, stale, now)
	if plan.Failed = mach.Restart.Pending && mach.Restart.Failures > 0; plan.Failed && plan.Reason == ReasonRestartPending {
		plan.Reason, plan.Detail = ReasonRestartBlocked, "it was told to restart and did not; "+plan.Detail
	}
	return plan
}

func (m *Manifest) planRestart(mach Machine, stale bool, now time.Time) RestartPlan {
	p := mach.Restart
	if !p.Pending {
		return RestartPlan{}
	}
	in := m.belongs(mach).in
	set := m.settingsFor(in, mach)
	wait := func(r Reason, until time.Time, format string, args ...any) RestartPlan {
		return RestartPlan{Reason: r, Until: until, Detail: fmt.Sprintf(format, args...)}
	}
	if h, held := m.holdsFor(belonging{in: in}, mach, now).on(AllUpdates, 0); held {
		return wait(ReasonPolicyHold, h.ExpiresAt, "hold %s: %s", h.ID, h.Reason)
	}
	switch {
	case p.Impossible != "":
		return wait(ReasonRestartBlocked, time.Time{}, "%s", p.Impossible)
	case stale:
		return wait(ReasonTrustStale, time.Time{}, "the approvals have expired and were not renewed")
	case set.restart == RestartNever:
		return wait(ReasonRestartPending, time.Time{}, "somebody has to restart the machine: policy leaves it to people")
	}
	if begins := p.OrderedAt.Add(set.restartDelay); !p.OrderedAt.IsZero() && now.Before(begins.Add(RestartGrace)) {
		return wait(ReasonRestartPending, begins.Add(RestartGrace), "it restarts at %s; people were warned", begins.UTC().Format(time.RFC3339))
	}
	if turn := p.Since.Add(set.restartTurn(mach.ID, p.Since)); now.Before(turn) {
		return wait(ReasonRestartPending, turn, "the turn of this machine to restart comes at %s", turn.UTC().Format(time.RFC3339))
	}
	if c := m.calendarFor(in, mach); len(c.windows) > 0 || set.windowsRequired {
		open, never := c.fit(restartRun+set.restartDelay, now)
		if never != "" {
			return wait(never, time.Time{}, "no maintenance window of this machine is open long enough to restart in")
		}
		if now.Before(open.from) {
			return wait(ReasonRestartPending, open.from, "it restarts in the maintenance window that opens at %s", open.from.UTC().Format(time.RFC3339))
		}
	}
	if set.restartDeadline == 0 || now.Before(p.Since.Add(set.restartDeadline)) {
		if r, waits := set.restartWaits(mach, now); waits {
			if set.restartDeadline > 0 {
				r.Until = earlier(r.Until, p.Since.Add(set.restartDeadline))
			}
			return r
		}
	}
	return RestartPlan{Due: true, Delay: set.restartDelay, Silent: set.notify == NotifyNone, Reason: ReasonRestartPending, Detail: "it restarts after a warning of " + spell(set.restartDelay)}
}

// restartTurn spreads the machines that were asked at one moment: the same for one machine and one restart.
func (s settings) restartTurn(machine string, since time.Time) time.Duration {
	if s.restartSpread < time.Second {
		return 0
	}
	sum := sha256.Sum256([]byte("restart\x00" + machine + "\x00" + since.UTC().Format(time.RFC3339)))
	return time.Duration(binary.BigEndian.Uint64(sum[:8])%uint64(s.restartSpread/time.Second)) * time.Second
}

// restartWaits is what people at the machine are spared.
func (s settings) restartWaits(mach Machine, now time.Time) (RestartPlan, bool) {
	if r, waits := s.restartTime(mach.Zone, now); waits {
		return r, true
	}
	for _, hours := range []string{s.activeHours, s.quietHours} {
		if end, active := activeUntil(hours, mach.Zone, now); active {
			return RestartPlan{Reason: ReasonRestartPending, Until: end, Detail: fmt.Sprintf("people work here at %s; it restarts afterwards", hours)}, true
		}
	}
	if s.restart == RestartWithoutUser && mach.Restart.Users > 0 {
		return RestartPlan{Reason: ReasonRestartBlocked, Detail: fmt.Sprintf("%d user(s) are signed in", mach.Restart.Users)}, true
	}
	if len(mach.Restart.Blockers) > 0 {
		return RestartPlan{Reason: ReasonRestartBlocked, Detail: "blocked by " + strings.Join(mach.Restart.Blockers, "; ")}, true
	}
	return RestartPlan{}, false
}

// activeUntil says whether an instant lies within the hours of its day, and when they end.
func activeUntil(hours string, zone *time.Location, now time.Time) (end time.Time, active bool) {
	from, until, err := parseHours(hours)
	if err != nil {
		return time.Time{}, false // checked when the manifest was read
	}
	if zone == nil {
		zone = time.UTC
	}
	today := civilOf(now.In(zone))
	if until < from {
		until += 24 * 60
	}
	for _, day := range []civil{today - 1, today} { // hours beyond midnight began yesterday
		begin, stop := instant(day, from/60, from%60, zone), instant(day+civil(until/(24*60)), until%(24*60)/60, until%60, zone)
		if !now.Before(begin) && now.Before(stop) {
			return stop, true
		}
	}
	return time.Time{}, false
}

// RestartDelay is how long people at a machine are warned before it restarts.
func (m *Manifest) RestartDelay(mach Machine) time.Duration {
	return m.settingsFor(m.belongs(mach).in, mach).restartDelay
}
