package policy

// State is how far an update has got on a machine; the names and ranks of features.md, section 4.
// Negative ranks are failures. The text is what the JSON carries.
type State int8

// The enforcement states.
const (
	StateOffered              State = 10
	StateDeferred             State = 20
	StateHeld                 State = 21
	StateWaitingContent       State = 30
	StateDownloading          State = 40
	StateDownloaded           State = 50
	StateWaitingWindow        State = 60
	StateWaitingOrchestration State = 61
	StateWaitingOtherInstall  State = 62
	StateWaitingPrerequisite  State = 63
	StateWaitingUser          State = 64
	StateRestartNeededFirst   State = 65
	StateInstalling           State = 70
	StateRestartPending       State = 80
	StateVerifying            State = 85
	StateInstalled            State = 90
	StateRemoved              State = 91
	StateRolledBack           State = 92
	StateFailedDownload       State = -1
	StateFailedVerify         State = -2
	StateFailedInstall        State = -3
	StateFailedRestart        State = -4
	StateFailedRollback       State = -5
	StateCancelled            State = -6
	StateStalled              State = -9
)

var stateNames = map[State]string{
	StateOffered: "offered", StateDeferred: "deferred", StateHeld: "held", StateWaitingContent: "waiting-content",
	StateDownloading: "downloading", StateDownloaded: "downloaded", StateWaitingWindow: "waiting-window",
	StateWaitingOrchestration: "waiting-orchestration", StateWaitingOtherInstall: "waiting-other-install",
	StateWaitingPrerequisite: "waiting-prerequisite", StateWaitingUser: "waiting-user",
	StateRestartNeededFirst: "restart-needed-first", StateInstalling: "installing", StateRestartPending: "restart-pending",
	StateVerifying: "verifying", StateInstalled: "installed", StateRemoved: "removed", StateRolledBack: "rolled-back",
	StateFailedDownload: "failed-download", StateFailedVerify: "failed-verify", StateFailedInstall: "failed-install",
	StateFailedRestart: "failed-restart", StateFailedRollback: "failed-rollback", StateCancelled: "cancelled", StateStalled: "stalled",
}

// String is the name that people and programs read.
func (s State) String() string { return stateNames[s] }

// Compliance is whether the machine is as the approvals want it.
type Compliance string

// The compliance states.
const (
	ComplianceUnknown Compliance = "unknown"
	NotApplicable     Compliance = "not-applicable"
	Required          Compliance = "required"
	Installed         Compliance = "installed"
	SupersededPresent Compliance = "superseded-present" // installed, and one that replaces it is too, or comes
	Conflict          Compliance = "conflict"
	ComplianceError   Compliance = "error"
	Mitigated         Compliance = "mitigated" // required, and something stands in for it meanwhile
)

// There says whether the update is on the machine.
func (c Compliance) There() bool { return c == Installed || c == SupersededPresent }
