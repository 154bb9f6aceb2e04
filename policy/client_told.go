package policy

import (
	"slices"
	"strings"
	"time"
)

// Habits are what a plan tells the machine beside its verdicts: how its group wants it to use its links and time.
type Habits struct {
	CountsMissed bool     // since when updates wait for their windows is to be kept, see Wait
	CountsMet    bool     // since when they are known is to be kept, see Machine.Met
	Metered      string   // what a metered link is for; empty: nobody has signed it
	ReportTo     []string // peer ids of the seeds that reports go to; empty: any
}

// habits reads them off the settings.
func (s settings) habits() Habits {
	return Habits{CountsMissed: !s.missedNext || s.escalateAfter > 0, CountsMet: s.grace > 0, Metered: s.metered, ReportTo: s.reportTo}
}

// WakeAt is when a machine should be awake for what waits for a maintenance window; zero if nothing does, or policy
// wakes nobody. The clock that can do it belongs to the system: whoever may set it asks for this time.
func (m *Manifest) WakeAt(mach Machine, plan Plan) time.Time {
	var at time.Time
	if !m.settingsFor(m.belongs(mach).in, mach).wake {
		return at
	}
	for _, v := range plan.Verdicts {
		if v.Await == StateWaitingWindow && v.Verb == VerbStage {
			at = earlier(at, v.Until)
		}
	}
	return at
}

// Web says which web hosts of vendors a machine may fetch from. The zero value: any.
type Web struct {
	Never bool
	Hosts []string // empty: any
}

// Web is what policy says of them on a machine.
func (m *Manifest) Web(mach Machine) Web {
	s := m.settingsFor(m.belongs(mach).in, mach)
	return Web{Never: !s.internet, Hosts: s.sources}
}

// Allows says whether a host may be asked, named as in a URL.
func (w Web) Allows(host string) bool {
	return !w.Never && (len(w.Hosts) == 0 || slices.Contains(w.Hosts, strings.ToLower(host)))
}

// Redirects are those of the hosts to which a redirect may lead that may be asked.
func (w Web) Redirects(hosts []string) []string {
	return slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return !w.Allows(h) })
}

// Notice is one thing that people who use a machine are told.
type Notice struct {
	Kind   string   `json:"kind"` // restart, asks, comes
	Update UpdateID `json:"update,omitempty"`
	Text   string   `json:"text"`
}

// The kinds of notices.
const (
	NoticeRestart = "restart" // the machine restarts, or waits to
	NoticeAsks    = "asks"    // an update waits for the user's word
	NoticeComes   = "comes"   // an update is installed, now or at a time that is known
)

// Notices are what policy has the people at a machine told now: nothing in its quiet hours but a restart that was
// ordered already, since that comes whether they read of it or not.
func (m *Manifest) Notices(mach Machine, plan Plan, restart RestartPlan, now time.Time) []Notice {
	s := m.settingsFor(m.belongs(mach).in, mach)
	_, quiet := activeUntil(s.quietHours, mach.Zone, now)
	var out []Notice
	if s.notify == NotifyNone {
		return nil
	}
	if mach.Restart.Pending && (!quiet || !mach.Restart.OrderedAt.IsZero()) {
		out = append(out, Notice{Kind: NoticeRestart, Text: "this machine needs a restart: " + restart.Detail})
	}
	if s.notify != NotifyAll || quiet {
		return out
	}
	for _, v := range plan.Verdicts {
		switch {
		case v.Offered():
			out = append(out, Notice{NoticeAsks, v.Update, string(v.Update) + ": " + v.Detail})
		case v.Verb == VerbInstall:
			out = append(out, Notice{NoticeComes, v.Update, string(v.Update) + " is being installed"})
		case v.Await == StateWaitingWindow && !v.Until.IsZero():
			out = append(out, Notice{NoticeComes, v.Update, string(v.Update) + " is to be installed from " + v.Until.UTC().Format(time.RFC3339)})
		}
	}
	return out
}
