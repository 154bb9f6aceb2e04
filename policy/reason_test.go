package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The closed list, as people read it in the list of features, section 4.
const closedList = `host-offline host-reimaged host-silent host-revoked agent-stopped agent-outdated disk-short disk-error memory-short
net-no-peer net-no-report-path net-site-unknown net-timeout net-refused net-proxy-auth net-metered peer-none-holds
peer-all-refused peer-banned wan-budget-spent wan-lease-wait media-incomplete media-damaged trust-bad-signature
trust-unknown-key trust-rollback-epoch trust-stale trust-bad-chunk policy-hold policy-deferred policy-declined
policy-local-hold policy-conflict policy-window-none policy-window-too-short policy-user-postponed policy-ring-not-reached
orch-waiting dep-missing dep-other-update-first dep-exclusive-pending compat-arch compat-os compat-edition installer-missing
installer-exit installer-timeout installer-locked-file installer-denied restart-pending restart-blocked verify-not-detected
probe-failed rolled-back-auto rolled-back-admin cancelled-user unknown-first-scan trust-ageing trust-floor-rebuilt clock-behind
net-vpn host-battery host-busy policy-class policy-not-approved policy-brake policy-deadline-window orch-stopped net-peers-only`

func TestEveryReasonTellsPeopleWhatToDo(t *testing.T) {
	codes := strings.Fields(closedList)
	for _, c := range codes {
		i, ok := Reason(c).Info()
		if !ok {
			t.Errorf("%s is missing", c)
			continue
		}
		if i.Text == "" || i.NextStep == "" || !slices.Contains([]string{"admin", "user", "machine", "network", "update", "nobody"}, i.Owner) {
			t.Errorf("%s: %+v", c, i)
		}
	}
	for r := range reasons {
		if !slices.Contains(codes, string(r)) {
			t.Errorf("%s is not on the closed list", r)
		}
	}
	if _, ok := Reason("made-up").Info(); ok {
		t.Error("a made-up reason is known")
	}
}

func TestEveryRefusalHasAReason(t *testing.T) {
	for _, err := range []error{
		ErrFormat, ErrTooLarge, ErrHash, ErrBadSignature, ErrUnknownKey, ErrThreshold, ErrRollback, ErrExpired, ErrOrg, ErrWeakKey,
	} {
		r := ReasonOf(fmt.Errorf("wrapped: %w", err))
		if _, ok := r.Info(); !ok {
			t.Errorf("%v: reason %q", err, r)
		}
	}
	if ReasonOf(nil) != "" || ReasonOf(fmt.Errorf("anything else")) != "" {
		t.Error("a reason for what is no refusal")
	}
}

func TestStatesKeepTheirRanks(t *testing.T) {
	const ranks = `10 offered, 20 deferred, 21 held, 30 waiting-content, 40 downloading, 50 downloaded, 60 waiting-window,
61 waiting-orchestration, 62 waiting-other-install, 63 waiting-prerequisite, 64 waiting-user, 65 restart-needed-first,
70 installing, 80 restart-pending, 85 verifying, 90 installed, 91 removed, 92 rolled-back, -1 failed-download,
-2 failed-verify, -3 failed-install, -4 failed-restart, -5 failed-rollback, -6 cancelled, -9 stalled`
	n := 0
	for row := range strings.SplitSeq(ranks, ",") {
		var rank int
		var name string
		if _, err := fmt.Sscan(row, &rank, &name); err != nil {
			t.Fatal(err)
		}
		if State(rank).String() != name {
			t.Errorf("%d is %q, not %q", rank, State(rank), name)
		}
		n++
	}
	if n != len(stateNames) {
		t.Errorf("%d states in the table, %d in the program", n, len(stateNames))
	}
}
