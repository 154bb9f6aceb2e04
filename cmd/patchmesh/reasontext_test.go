package main

import (
	"strings"
	"testing"

	"patchmesh/node/api"
)

// R-M1, R-G3: people read that a machine without an update is mitigated, and that one with it has something newer, which its
// state does not tell.
func TestRM1StatusSaysMitigated(t *testing.T) {
	for want, u := range map[string]api.Update{
		"mitigated policy-hold (KI-1)":         {State: "held", Compliance: "mitigated", Reason: "policy-hold", Detail: "KI-1"},
		"superseded-present":                   {State: "installed", Compliance: "superseded-present"},
		"policy-hold":                          {State: "held", Compliance: "required", Reason: "policy-hold"},
		"(" + strings.Repeat("ü", 60) + "...)": {State: "waiting-window", Compliance: "required", Detail: strings.Repeat("ü", 61)},
		"":                                     {State: "installed", Compliance: "installed"},
	} {
		if got := reasonText(u); got != want {
			t.Errorf("%+v: %q, want %q", u, got, want)
		}
	}
}
