package policy

import (
	"slices"
	"strings"
	"time"
)

// An update whose approval names no deadline has one by its severity. A new mesh begins with the table below, signed in
// its first manifest as settings for all machines: it can be read with 'policy show', changed, and taken back, and a
// mesh that was begun without one keeps to what it says.
//
// The numbers are between what others ask for: 7 days are what Microsoft's update deadline for quality updates is set
// to where nobody sets it, CISA's directive BOD 19-02 gives 15 days for critical and 30 for high severity, BOD 22-01 two
// weeks for what is being exploited, and the British Cyber Essentials 14 days for critical and high. Who has low severity
// open for longer than a quarter has forgotten it.
//
// A deadline delays nothing: what nothing holds back is installed at once, as ever. It ends the waiting for users and
// for quiet hours, and opens no window.
var usualDeadlines = []Setting{
	{setDeadline + "critical", GroupAll, "168h"}, {setDeadline + "important", GroupAll, "336h"},
	{setDeadline + "low", GroupAll, "2160h"}, {setDeadline + "moderate", GroupAll, "720h"},
}

// UsualDeadlines is the table, in the order of a manifest.
func UsualDeadlines() []Setting { return slices.Clone(usualDeadlines) }

// onlyDeadlines says whether a manifest's settings are no more than deadlines for all machines.
func (m *Manifest) onlyDeadlines() bool {
	return !slices.ContainsFunc(m.Settings, func(s Setting) bool {
		return s.Group != GroupAll || !strings.HasPrefix(s.Name, setDeadline) || s.Name == SetDeadlineGrace
	})
}

// withDeadlines is what a machine goes by that was told no more than deadlines.
func (m *Manifest) withDeadlines() settings {
	set := defaults
	set.deadlines = make(map[string]time.Duration, len(m.Settings))
	for _, s := range m.Settings {
		if life := duration(s.Value); life > 0 { // of "none" 0
			set.deadlines[strings.TrimPrefix(s.Name, setDeadline)] = life
		}
	}
	return set
}

// DeadlineSetting is the setting that gives updates of a severity their deadline on machines of a group, as far as one
// can say without knowing them: of the group, or of the nearest around it. The zero value: none does.
func (m *Manifest) DeadlineSetting(severity, group string) Setting {
	name := setDeadline + severity
	around := map[string]int{GroupAll: 0}
	if group != GroupAll {
		around = m.depths([]string{group})
	}
	best, at := Setting{}, -1
	for _, s := range m.Settings {
		if depth, is := around[s.Group]; is && s.Name == name && depth > at {
			best, at = s, depth
		}
	}
	if best.Value == valueNone {
		return Setting{}
	}
	return best
}

// DeadlineBySeverity says which setting gave a verdict its deadline, as it counts on the machine.
func (m *Manifest) DeadlineBySeverity(severity string, mach Machine) (e Effective, is bool) {
	for _, e := range m.Effectives(mach) {
		if e.Name == setDeadline+severity && e.Value != valueNone {
			return e, true
		}
	}
	return Effective{}, false
}
