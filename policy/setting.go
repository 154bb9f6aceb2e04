package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Setting is one signed value of client policy: how machines of a group behave. A machine goes by the one of
// its deepest group; where two of them are equally deep, by the stricter.
type Setting struct {
	Name  string `json:"name"`
	Group string `json:"group"`
	Value string `json:"value"`
}

// The settings.
const (
	SetAutomation      = "automation"
	SetScanInterval    = "scan-interval"
	SetScanAfterNews   = "scan-after-news"
	SetWindowsRequired = "windows-required"
	SetDefaultRun      = "default-run"
	SetPostponeTimes   = "postpone-times"
	SetPostponeFor     = "postpone-for"
	SetMediaImport     = "media-import"
	SetRevisions       = "approve-revisions"
	SetDeclines        = "decline-obsolete"
	setDeadline        = "deadline-" // and a severity
)

// Automation is how much a machine does by itself; the values are those that WSUS clients know by number.
type Automation string

// From nothing to everything.
const (
	AutomationOff            Automation = "off"
	AutomationDetect         Automation = "detect"          // looks and reports, changes nothing
	AutomationNotifyDownload Automation = "notify-download" // 2: asks the user before it fetches
	AutomationServerManual   Automation = "server-manual"   // 7: fetches, and leaves it to whoever looks after the server
	AutomationDownloadNotify Automation = "download-notify" // 3: fetches, and asks the user before it installs
	AutomationScheduled      Automation = "scheduled"       // 4: installs as approvals and windows say
	AutomationLocalChoice    Automation = "local-choice"    // 5: the machine's own file says which, but not off
)

var automations = []Automation{
	AutomationOff, AutomationDetect, AutomationNotifyDownload, AutomationServerManual, AutomationDownloadNotify, AutomationScheduled, AutomationLocalChoice,
}

var automationNumbers = map[string]Automation{
	"2": AutomationNotifyDownload, "3": AutomationDownloadNotify, "4": AutomationScheduled, "5": AutomationLocalChoice, "7": AutomationServerManual,
}

// SettingInfo tells people what a setting is.
type SettingInfo struct {
	Name    string
	Default string
	Text    string

	check    func(string) error
	stricter func(a, b string) int // negative: a is stricter; nil: no value is stricter than another
}

// SettingInfos are all settings, in the order in which people read them.
var SettingInfos = slices.Concat(updateInfos, filterInfos, switchInfos, listInfos, carryInfos, restartInfos, remindInfos, stallInfos(), clientInfos, limitInfos, gateInfos)

var updateInfos = []SettingInfo{
	{SetAutomation, string(AutomationScheduled), "how much a machine does by itself: off, detect, notify-download (2), download-notify (3), scheduled (4), local-choice (5), server-manual (7)", checkAutomation, byAutomation},
	{SetScanInterval, "22h", "how often a machine looks whether its updates are there; each up to a fifth earlier, so that not all look at once", within(time.Hour, 7*day), nil},
	{SetScanAfterNews, "5m", "when approvals have changed a machine looks at all of its updates once more, at a moment of its own within this time; none: it does not. What is newly approved waits for none of it", noneOr(within(time.Second, day)), nil},
	{SetWindowsRequired, "no", "yes: a machine that no maintenance window addresses is never changed", checkYesNo, byYes},
	{SetDefaultRun, "30m", "what an update is taken to need in a window when its descriptor does not say", within(time.Minute, day), byLonger},
	{SetPostponeTimes, "0", "how often a user may postpone an update", checkTimes, byFewer},
	{SetPostponeFor, "24h", "how long a user may postpone an update each time; never past its deadline", within(time.Minute, 30*day), byShorter},
	{SetMediaImport, "no", "yes: 'patchmesh bundle watch' feeds a machine from a medium that is put in, and writes the way back, without being asked", checkYesNo, byNo},
	{setDeadline + "critical", "none", "deadline of critical updates whose approval names none, counted from it; a new mesh begins with 168h", noneOr(within(time.Hour, 1000*day)), nil},
	{setDeadline + "important", "none", "deadline of important updates whose approval names none; a new mesh begins with 336h", noneOr(within(time.Hour, 1000*day)), nil},
	{setDeadline + "moderate", "none", "deadline of moderate updates whose approval names none; a new mesh begins with 720h", noneOr(within(time.Hour, 1000*day)), nil},
	{setDeadline + "low", "none", "deadline of updates of low severity whose approval names none; a new mesh begins with 2160h", noneOr(within(time.Hour, 1000*day)), nil},
	graceInfo,
}

const maxSettings = 5000

func checkAutomation(s string) error {
	if _, ok := automationNumbers[s]; !ok && !slices.Contains(automations, Automation(s)) {
		return fmt.Errorf("automation %.40q: %w", s, ErrFormat)
	}
	return nil
}

func automation(s string) Automation {
	if a, ok := automationNumbers[s]; ok {
		return a
	}
	return Automation(s)
}

func byAutomation(a, b string) int {
	return cmp.Compare(slices.Index(automations, automation(a)), slices.Index(automations, automation(b)))
}

func checkYesNo(s string) error {
	if s != "yes" && s != "no" {
		return fmt.Errorf("%.40q is neither yes nor no: %w", s, ErrFormat)
	}
	return nil
}

func byYes(a, b string) int { return strings.Compare(b, a) }
func byNo(a, b string) int  { return strings.Compare(a, b) }

func within(least, most time.Duration) func(string) error {
	return func(s string) error {
		d, err := time.ParseDuration(s)
		if err != nil || d < least || d > most || d%time.Second != 0 {
			return fmt.Errorf("%.40q is no duration from %s to %s: %w", s, spell(least), spell(most), ErrFormat)
		}
		return nil
	}
}

func noneOr(check func(string) error) func(string) error {
	return func(s string) error {
		if s == "none" {
			return nil
		}
		return check(s)
	}
}

func duration(s string) time.Duration { d, _ := time.ParseDuration(s); return d }

func byShorter(a, b string) int { return cmp.Compare(duration(a), duration(b)) }
func byLonger(a, b string) int  { return byShorter(b, a) }

func checkTimes(s string) error { _, err := times(s); return err }

func times(s string) (int, error) {
	if s == "0" {
		return 0, nil
	}
	return ruleNumber(s, 1, 100)
}

func byFewer(a, b string) int {
	x, _ := times(a)
	y, _ := times(b)
	return cmp.Compare(x, y)
}

// Info finds a setting by name.
func (s Setting) info() (SettingInfo, error) {
	i := slices.IndexFunc(SettingInfos, func(o SettingInfo) bool { return o.Name == s.Name })
	if i < 0 {
		return SettingInfo{}, fmt.Errorf("no setting %.60q: %w", s.Name, ErrFormat)
	}
	return SettingInfos[i], nil
}

// Validate says what is wrong with a setting. ErrFormat.
func (s Setting) Validate() error {
	info, err := s.info()
	if err != nil {
		return err
	}
	return s.validate(info.check)
}

// ValidateStated is Validate for what was stated before, as in a machine's own file: what was right when it was written must not
// hold up the machine after an update of this program. ErrFormat.
func (s Setting) ValidateStated() error {
	info, err := s.info()
	if err != nil {
		return err
	}
	return s.validate(info.checkSigned)
}

func (s Setting) validate(check func(string) error) error {
	if err := checkName("group", s.Group); err != nil {
		return fmt.Errorf("setting %s: %w", s.Name, err)
	}
	if err := check(s.Value); err != nil {
		return fmt.Errorf("setting %s for group %s: %w", s.Name, s.Group, err)
	}
	return nil
}

// String says all of a setting in one line.
func (s Setting) String() string { return fmt.Sprintf("%s=%s for group %s", s.Name, s.Value, s.Group) }

func compareSettings(a, b Setting) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Group, b.Group))
}

// checkSettings lets settings that this version does not know pass: an older machine must not lose its
// approvals because a newer one can be told more. Known ones are checked to the letter.
func (m *Manifest) checkSettings() error {
	if len(m.Settings) > maxSettings {
		return fmt.Errorf("%d settings: %w", len(m.Settings), ErrTooLarge)
	}
	for i, s := range m.Settings {
		if err := checkName("setting", s.Name); err != nil {
			return err
		}
		if err := checkText("value of a setting", s.Value, 200); err != nil {
			return err
		}
		if info, err := s.info(); err == nil {
			if err := s.validate(info.checkSigned); err != nil {
				return err
			}
		} else if err := checkName("group", s.Group); err != nil {
			return err
		}
		if i > 0 && compareSettings(m.Settings[i-1], s) >= 0 {
			return fmt.Errorf("setting %s is out of order or double: %w", s.Name, ErrFormat)
		}
	}
	return nil
}

// Effective is a setting as it counts on one machine.
type Effective struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`           // default, the name of a group, or local
	Signed string `json:"signed,omitempty"` // what the mesh says, where the machine's own file is stricter
	Text   string `json:"text"`
	// Ignored is what the machine's own file says without effect: it is not stricter than what is signed.
	Ignored string `json:"ignored,omitempty"`
}

// Effectives are all settings of a machine: the signed ones of its groups, and what its own file says. The
// file may only be stricter, but choose freely, other than off, where automation is left to it.
func (m *Manifest) Effectives(mach Machine) []Effective {
	return m.effectives(m.belongs(mach).in, mach)
}

func (m *Manifest) effectives(in map[string]int, mach Machine) []Effective {
	out := make([]Effective, 0, len(SettingInfos))
	for _, info := range SettingInfos {
		e := Effective{Name: info.Name, Value: info.Default, Source: "default", Text: info.Text}
		at := -1
		for _, s := range m.Settings {
			depth, addressed := in[s.Group]
			if s.Name != info.Name || !addressed || depth < at {
				continue
			}
			if join := info.joins(); depth == at && join != nil {
				if all := join(s.Value, e.Value); all != e.Value {
					e.Value, e.Source = all, alsoFrom(e.Source, s.Group)
				}
				continue
			}
			if depth == at && (info.stricter == nil || info.stricter(s.Value, e.Value) >= 0) {
				continue
			}
			e.Value, e.Source, at = s.Value, s.Group, depth
		}
		if info.Name == SetAutomation {
			e.Value = string(automation(e.Value))
		}
		e.local(info, mach.Local[info.Name])
		out = append(out, e)
	}
	return out
}

// alsoFrom names one group more as a source. Reports carry it, and a machine may be in thousands of groups.
func alsoFrom(source, group string) string {
	const most, more = 300, ", ..."
	switch {
	case strings.HasSuffix(source, more):
		return source
	case len(source) > most:
		return source + more
	}
	return source + ", " + group
}

// local applies the machine's own wish.
func (e *Effective) local(info SettingInfo, own string) {
	free := info.Name == SetAutomation && Automation(e.Value) == AutomationLocalChoice
	if free {
		e.Signed, e.Value = e.Value, string(AutomationScheduled)
	}
	if own == "" || info.check(own) != nil {
		return
	}
	defer func(said string) {
		if e.Source != "local" && e.Value != own {
			e.Ignored = said
		}
	}(own)
	if info.Name == SetAutomation {
		own = string(automation(own))
	}
	if join := info.joins(); join != nil {
		if all := join(own, e.Value); info.stricter(all, e.Value) < 0 {
			e.Signed, e.Value, e.Source = e.Value, all, "local"
		}
		return
	}
	switch {
	case free && own != string(AutomationOff) && own != string(AutomationLocalChoice):
		e.Value, e.Source = own, "local"
	case !free && info.stricter != nil && info.stricter(own, e.Value) < 0:
		e.Signed, e.Value, e.Source = e.Value, own, "local"
	}
}

// defaults are the settings of a machine that nobody has told anything.
var defaults = readSettings((&Manifest{}).Effectives(Machine{}))

// settingsFor reads the settings of a machine; most meshes have none, and plans are made often.
func (m *Manifest) settingsFor(in map[string]int, mach Machine) settings {
	if len(m.Settings) == 0 && len(mach.Local) == 0 {
		return defaults
	}
	if len(mach.Local) == 0 && m.onlyDeadlines() {
		return m.withDeadlines()
	}
	return readSettings(m.effectives(in, mach))
}

// settings is what plans need of the effective values.
type settings struct {
	automation      Automation
	windowsRequired bool
	defaultRun      time.Duration
	deadlines       map[string]time.Duration // by severity
	grace           time.Duration            // 0: none
	scanInterval    time.Duration
	scanAfterNews   time.Duration // 0: never
	postponeTimes   int
	postponeFor     time.Duration
	takeClasses     string
	takeProducts    string

	restart         string
	restartDelay    time.Duration
	restartSpread   time.Duration
	restartDeadline time.Duration // 0: none
	activeHours     string        // empty: none

	client
	reminding
}

func readSettings(all []Effective) settings {
	s := settings{deadlines: map[string]time.Duration{}, client: readClient(all), reminding: readReminding(all)}
	for _, e := range all {
		switch e.Name {
		case SetAutomation:
			s.automation = Automation(e.Value)
		case SetWindowsRequired:
			s.windowsRequired = e.Value == "yes"
		case SetDefaultRun:
			s.defaultRun = duration(e.Value)
		case SetScanInterval:
			if e.Source != "default" { // else the machine's own number counts
				s.scanInterval = duration(e.Value)
			}
		case SetScanAfterNews:
			s.scanAfterNews = duration(e.Value) // of "none" 0
		case SetPostponeTimes:
			s.postponeTimes, _ = times(e.Value)
		case SetTakeClasses:
			s.takeClasses = e.Value
		case SetTakeProducts:
			s.takeProducts = e.Value
		case SetDeadlineGrace:
			s.grace = duration(e.Value) // of "none" 0
		case SetPostponeFor:
			s.postponeFor = duration(e.Value)
		case SetRestart:
			s.restart = e.Value
		case SetRestartDelay:
			s.restartDelay = duration(e.Value)
		case SetRestartSpread:
			s.restartSpread = duration(e.Value)
		case SetRestartDeadline:
			s.restartDeadline = duration(e.Value) // of "none" 0
		case SetActiveHours:
			if e.Value != "none" {
				s.activeHours = e.Value
			}
		default:
			if severity, is := strings.CutPrefix(e.Name, setDeadline); is && e.Value != "none" {
				s.deadlines[severity] = duration(e.Value)
			}
		}
	}
	return s
}
