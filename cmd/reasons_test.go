package cmd

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"patchmesh/policy"
)

// closedReasons is the closed list of causes. Tools and people rely on the names.
var closedReasons = strings.Fields(`
host-offline host-reimaged host-silent agent-stopped agent-outdated disk-short disk-error memory-short net-no-peer net-no-report-path
net-site-unknown net-timeout net-refused net-proxy-auth net-metered peer-none-holds peer-all-refused peer-banned wan-budget-spent
wan-lease-wait media-incomplete media-damaged trust-bad-signature trust-unknown-key trust-rollback-epoch trust-stale trust-bad-chunk
policy-hold policy-deferred policy-declined policy-local-hold policy-conflict policy-window-none policy-window-too-short
policy-user-postponed policy-ring-not-reached orch-waiting dep-missing dep-other-update-first dep-exclusive-pending compat-arch compat-os
compat-edition installer-missing installer-exit installer-timeout installer-locked-file installer-denied restart-pending restart-blocked
verify-not-detected probe-failed rolled-back-auto rolled-back-admin cancelled-user unknown-first-scan`)

// R-G8: every cause has an owner, a text and a next step, and something in the program gives it.
func TestRG8EveryReasonHasOwnerTextNextStepAndAGiver(t *testing.T) {
	b, err := os.ReadFile(repo + "/policy/reason.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{} // code to constant
	for _, m := range regexp.MustCompile(`(Reason\w+)\s+Reason = "([a-z-]+)"`).FindAllStringSubmatch(string(b), -1) {
		names[m[2]] = m[1]
	}
	var text strings.Builder
	for _, f := range readTree(t, repo) {
		if !strings.HasSuffix(f.path, "_test.go") && f.path != "policy/reason.go" && !strings.Contains(f.path, "test/") {
			text.WriteString(f.text)
		}
	}
	all := text.String()
	listed := regexp.MustCompile(`(?m)^\t"([a-z-]+)":\s+\{`).FindAllStringSubmatch(string(b), -1)
	if len(listed) < len(closedReasons) {
		t.Fatalf("%d causes in the table, %d in the closed list", len(listed), len(closedReasons))
	}
	for _, code := range closedReasons {
		info, known := policy.Reason(code).Info()
		if !known {
			t.Errorf("%s is not in the table", code)
		}
		if !slices.Contains([]string{"admin", "user", "machine", "network", "update", "nobody"}, info.Owner) || len(info.Text) < 10 || info.NextStep == "" {
			t.Errorf("%s: %+v", code, info)
		}
	}
	for _, m := range listed {
		code := m[1]
		given := strings.Contains(all, `"`+code+`"`) || names[code] != "" && regexp.MustCompile(names[code]+`\b`).MatchString(all)
		if !given {
			t.Errorf("nothing gives %s", code)
		}
	}
	for code, name := range names {
		if _, known := policy.Reason(code).Info(); !known {
			t.Errorf("%s (%s) is given, and the table does not know it", name, code)
		}
	}
}
