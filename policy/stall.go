package policy

import "time"

// Each state of an update that something should move on from has a time budget: a machine that stays in it for
// longer is stalled. The budgets are settings, so that a site behind a slow link can have longer ones.
var stallBudgets = []struct {
	state State
	most  string // default
}{
	{StateWaitingContent, "72h"},
	{StateDownloading, "24h"},
	{StateWaitingOrchestration, "72h"},
	{StateWaitingOtherInstall, "24h"},
	{StateWaitingPrerequisite, "168h"},
	{StateRestartNeededFirst, "168h"},
	{StateInstalling, "6h"},
	{StateRestartPending, "168h"},
	{StateVerifying, "2h"},
}

// setStalled and the name of a state are the setting of its budget.
const setStalled = "stalled-"

// stallInfos are the rows of the table of settings.
func stallInfos() []SettingInfo {
	var out []SettingInfo
	for _, b := range stallBudgets {
		text := "how long an update may be " + b.state.String() + " before it counts as stalled; none: for ever"
		out = append(out, SettingInfo{setStalled + b.state.String(), b.most, text, noneOr(within(time.Minute, 1000*day)), nil})
	}
	return out
}

// Budgets are how long a machine's updates may stay in a state; one that is not listed may for ever.
type Budgets map[State]time.Duration

// Budgets are those of a machine.
func (m *Manifest) Budgets(mach Machine) Budgets {
	b := Budgets{}
	for _, e := range m.Effectives(mach) {
		for _, s := range stallBudgets {
			if e.Name == setStalled+s.state.String() && e.Value != "none" {
				b[s.state] = duration(e.Value)
			}
		}
	}
	return b
}

// Stalled says whether an update that entered its state at since has been in it for too long. since in the future,
// as a clock that was set back makes it, is no stall.
func (b Budgets) Stalled(s State, since, now time.Time) bool {
	most, has := b[s]
	return has && !since.IsZero() && now.Sub(since) > most
}

// ParseState reads a state by its name.
func ParseState(name string) (State, bool) {
	for s, n := range stateNames { // one at most: order does not matter
		if n == name {
			return s, true
		}
	}
	return 0, false
}
