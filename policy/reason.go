package policy

// Reason is a code from a closed list: the cause attached to a state.
type Reason string

// ReasonInfo is what a reason means to people.
type ReasonInfo struct {
	Owner    string // admin, user, machine, network, update, nobody
	Text     string
	NextStep string
	CanFix   bool // the agent heals it by itself, given time
}

// Reasons that the program gives by name; the table below holds all of them.
const (
	ReasonDiskShort          Reason = "disk-short"
	ReasonDiskError          Reason = "disk-error"
	ReasonMemoryShort        Reason = "memory-short"
	ReasonAgentStopped       Reason = "agent-stopped"
	ReasonNetNoPeer          Reason = "net-no-peer"
	ReasonNetSiteUnknown     Reason = "net-site-unknown"
	ReasonNetTimeout         Reason = "net-timeout"
	ReasonNetRefused         Reason = "net-refused"
	ReasonNetNoReportPath    Reason = "net-no-report-path"
	ReasonPeerNoneHolds      Reason = "peer-none-holds"
	ReasonPeerBanned         Reason = "peer-banned"
	ReasonWanLeaseWait       Reason = "wan-lease-wait"
	ReasonWanBudgetSpent     Reason = "wan-budget-spent"
	ReasonTrustBadSignature  Reason = "trust-bad-signature"
	ReasonTrustUnknownKey    Reason = "trust-unknown-key"
	ReasonTrustRollbackEpoch Reason = "trust-rollback-epoch"
	ReasonTrustStale         Reason = "trust-stale"
	ReasonTrustAgeing        Reason = "trust-ageing"
	ReasonTrustFloorRebuilt  Reason = "trust-floor-rebuilt"
	ReasonClockBehind        Reason = "clock-behind"
	ReasonTrustBadChunk      Reason = "trust-bad-chunk"
	ReasonMediaIncomplete    Reason = "media-incomplete"
	ReasonMediaDamaged       Reason = "media-damaged"
	ReasonPolicyHold         Reason = "policy-hold"
	ReasonPolicyBrake        Reason = "policy-brake"
	ReasonPolicyDeferred     Reason = "policy-deferred"
	ReasonPolicyDeclined     Reason = "policy-declined"
	ReasonPolicyClass        Reason = "policy-class"
	ReasonNotApproved        Reason = "policy-not-approved"
	ReasonPolicyConflict     Reason = "policy-conflict"
	ReasonLocalHold          Reason = "policy-local-hold"
	ReasonUserPostponed      Reason = "policy-user-postponed"
	ReasonExclusive          Reason = "dep-exclusive-pending"
	ReasonRingNotReached     Reason = "policy-ring-not-reached"
	ReasonWindowNone         Reason = "policy-window-none"
	ReasonWindowTooShort     Reason = "policy-window-too-short"
	ReasonWindowLate         Reason = "policy-deadline-window"
	ReasonDepOtherFirst      Reason = "dep-other-update-first"
	ReasonDepMissing         Reason = "dep-missing"
	ReasonCompatArch         Reason = "compat-arch"
	ReasonCompatOS           Reason = "compat-os"
	ReasonCompatEdition      Reason = "compat-edition"
	ReasonProbeFailed        Reason = "probe-failed"
	ReasonRolledBackAuto     Reason = "rolled-back-auto"
	ReasonRolledBackAdmin    Reason = "rolled-back-admin"
	ReasonAgentOutdated      Reason = "agent-outdated"
	ReasonInstallerMissing   Reason = "installer-missing"
	ReasonInstallerExit      Reason = "installer-exit"
	ReasonInstallerTimeout   Reason = "installer-timeout"
	ReasonInstallerDenied    Reason = "installer-denied"
	ReasonVerifyNotDetected  Reason = "verify-not-detected"
	ReasonRestartPending     Reason = "restart-pending"
	ReasonRestartBlocked     Reason = "restart-blocked"
	ReasonCancelledUser      Reason = "cancelled-user"
	ReasonUnknownFirstScan   Reason = "unknown-first-scan"
	ReasonHostSilent         Reason = "host-silent"
	ReasonHostOffline        Reason = "host-offline"
	ReasonHostRevoked        Reason = "host-revoked"
	ReasonHostBattery        Reason = "host-battery"
	ReasonHostBusy           Reason = "host-busy"
	ReasonNetMetered         Reason = "net-metered"
	ReasonNetProxyAuth       Reason = "net-proxy-auth"
	ReasonNetVPN             Reason = "net-vpn"
	ReasonNetPeersOnly       Reason = "net-peers-only"
	ReasonPeerAllRefused     Reason = "peer-all-refused"
	ReasonOrchWaiting        Reason = "orch-waiting"
	ReasonOrchStopped        Reason = "orch-stopped"
)

// Info looks a reason up; ok is false for one that is not on the list.
func (r Reason) Info() (ReasonInfo, bool) {
	i, ok := reasons[r]
	return i, ok
}

var reasons = map[Reason]ReasonInfo{
	"host-offline":            {"machine", "the machine is switched off or not on the network", "switch it on; it catches up by itself", false},
	"host-reimaged":           {"machine", "the machine was set up anew", "nothing; it is scanned again", true},
	"host-revoked":            {"admin", "the machine was locked out of the mesh", "if it is welcome again: 'patchmesh revoke --undo MACHINE' on the seed", false},
	"host-silent":             {"machine", "nothing was heard from the machine for a while", "see whether it is on and patchmesh is running there", false},
	"agent-stopped":           {"machine", "patchmesh is not running on the machine", "start it there", false},
	"agent-outdated":          {"admin", "the machine's patchmesh is too old for this update", "update patchmesh there first", false},
	"disk-short":              {"machine", "the disk is too full", "free space on the machine; it goes on by itself", true},
	"disk-error":              {"machine", "the disk cannot be read or written", "check the disk", false},
	"memory-short":            {"machine", "memory is short", "close programs or wait", true},
	"net-no-peer":             {"network", "no machine of the site and no seed can be reached", "check cable, switch and firewall for the mesh port", true},
	"net-no-report-path":      {"network", "no machine of the site has a way to the seed", "give one machine of the site a way out, or carry reports on a stick", true},
	"net-site-unknown":        {"network", "there is no route to the seed from here", "nothing if the machine is meant to be without one", true},
	"net-timeout":             {"network", "the other side fell silent", "nothing; others are asked", true},
	"net-refused":             {"network", "the other side refused", "nothing; others are asked", true},
	"net-proxy-auth":          {"network", "the proxy wants to know who asks", "configure the proxy", false},
	"net-metered":             {"network", "the link is metered", "allow it by policy, or wait for another link", true},
	"net-vpn":                 {"network", "the link is a tunnel", "allow it ('patchmesh run --vpn'), or wait for another link", true},
	"net-peers-only":          {"admin", "by its settings the machine takes bytes from machines of its site alone", "nothing; or start it without --peers-only, or with other --sources", false},
	"host-battery":            {"machine", "the machine runs on battery", "plug it in", true},
	"host-busy":               {"machine", "the machine has other work to do", "wait", true},
	"peer-none-holds":         {"network", "no reachable machine holds the bytes yet", "see that one machine of the site may use the WAN", true},
	"peer-all-refused":        {"network", "every holder refused for now", "wait; see peers for their reasons", true},
	"peer-banned":             {"network", "the peer sent wrong bytes and is not asked any more", "look at that machine: its disk or somebody on it is lying", false},
	"wan-budget-spent":        {"admin", "the site's WAN budget is used up", "raise it or wait for the next period", true},
	"wan-lease-wait":          {"network", "another machine of the site fetches it over the WAN", "wait", true},
	"media-incomplete":        {"admin", "the stick does not hold everything", "export again", false},
	"media-damaged":           {"admin", "the stick is damaged", "export to another one", false},
	"trust-bad-signature":     {"admin", "a document or message was not signed as it must be", "find out who sent it; nothing of it was believed", false},
	"trust-unknown-key":       {"admin", "signed by a key that is not trusted here", "find out who sent it; nothing of it was believed", false},
	"trust-rollback-epoch":    {"admin", "older approvals than those trusted already were shown", "a seed restored from a backup must catch up; else look for an attacker", false},
	"trust-stale":             {"admin", "the approvals have not been renewed in time", "see that the seed runs and the site can hear it", true},
	"trust-ageing":            {"admin", "the approvals were not renewed for half of their life", "see that the seed runs and the site can hear it, before they expire", true},
	"trust-floor-rebuilt":     {"machine", "what this machine remembered of its trust was damaged; nothing new is installed until the mesh has confirmed it", "nothing; look at its disk if it happens again", true},
	"clock-behind":            {"machine", "the machine's clock is far behind times that are proven", "set the clock; until then expiry is judged by the proven time", true},
	"trust-bad-chunk":         {"network", "bytes did not match their signed hash", "nothing; they are fetched from somebody else", true},
	"policy-hold":             {"admin", "an admin has stopped this update", "release the hold when the cause is gone", false},
	"policy-brake":            {"admin", "the seed has stopped this update by itself, until approvers decide", "approvers: 'patchmesh sign' makes a hold of it, 'patchmesh hold except' lets it go on; it ends by itself", true},
	"policy-deferred":         {"admin", "by policy it is to begin later: it is approved for later, or people are spared now", "wait; --expedite, or an approval without --not-before, begins at once", true},
	"policy-declined":         {"admin", "no approval asks for it on this machine", "approve it for one of the machine's groups if it is wanted", false},
	"policy-not-approved":     {"admin", "nobody has decided about it for this machine, which only looks whether it has it", "approve it for a group if it is wanted, decline it if not", false},
	"policy-class":            {"admin", "this machine does not take updates of this kind", "'patchmesh policy show' says what it takes and who says so", false},
	"policy-local-hold":       {"machine", "the machine's own policy.json holds it back", "change that file on the machine", false},
	"policy-conflict":         {"admin", "approvals contradict each other", "see the losing approvals", false},
	"policy-window-none":      {"admin", "no maintenance window of the machine will open again", "define one with 'patchmesh windows set'", false},
	"policy-window-too-short": {"admin", "no maintenance window is long enough", "make one longer", false},
	"policy-deadline-window":  {"admin", "its deadline comes before a maintenance window of the machine opens", "open a window before it ('patchmesh windows set'), or approve it with --ignore-windows", false},
	"policy-user-postponed":   {"user", "the user has postponed it", "wait; the user goes on with 'patchmesh accept UPDATE', and the deadline ends it", true},
	"policy-ring-not-reached": {"admin", "its ring is not reached yet", "wait; on the seed 'patchmesh rings list' tells what its plan waits for, and 'patchmesh promote' goes on without", true},
	"orch-waiting":            {"nobody", "others go first", "wait; 'patchmesh orchestration show' tells who holds the slots and what is missing", true},
	"orch-stopped":            {"admin", "the orchestration has stopped: a member failed, did not come back, or all took too long", "see to what failed, then 'patchmesh orchestration reset NAME' on the seed; 'patchmesh orchestration show' names it", false},
	"dep-missing":             {"update", "it depends on something that is not installed", "approve what is missing too", false},
	"dep-other-update-first":  {"update", "another update replaces it or goes first", "nothing", true},
	"dep-exclusive-pending":   {"update", "an update that must be installed alone goes first", "wait", true},
	"compat-arch":             {"update", "it is for another processor architecture", "nothing", false},
	"compat-os":               {"update", "it is for another operating system", "nothing", false},
	"compat-edition":          {"update", "it is for another edition", "nothing", false},
	"installer-missing":       {"machine", "the machine cannot handle this kind of update", "install what is missing, or update patchmesh there", false},
	"installer-exit":          {"update", "the installer reported an error", "read the end of its log in 'patchmesh explain'; approving it again tries it again at once", true},
	"installer-timeout":       {"update", "the installer did not finish in time", "see what it waits for", true},
	"installer-locked-file":   {"machine", "a file in use could not be replaced", "close the program or restart", true},
	"installer-denied":        {"machine", "patchmesh may not change the system there", "run it with the rights it needs", false},
	"restart-pending":         {"machine", "a restart is due", "restart the machine", false},
	"restart-blocked":         {"machine", "a restart is blocked", "end what blocks it", false},
	"verify-not-detected":     {"update", "after installing it is not found on the machine", "check the update on a test machine", true},
	"probe-failed":            {"update", "the health check after installing failed", "check the update on a test machine", false},
	"rolled-back-auto":        {"update", "it was rolled back after a failed check", "check the update on a test machine; approving it again, or a newer revision, ends this", false},
	"rolled-back-admin":       {"admin", "an admin had it rolled back", "nothing", false},
	"cancelled-user":          {"nobody", "it was withdrawn", "nothing", true},
	"unknown-first-scan":      {"machine", "the machine has not been looked at yet", "wait a moment", true},
}
