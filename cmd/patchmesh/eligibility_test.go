package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// C-65: who gives and takes chunks is told to people and to programs, each refusal with its reason; nothing that a machine says of
// itself reaches the terminal as it is.
func TestC65EligibilityIsToldWithReasons(t *testing.T) {
	no := api.Eligible{Reason: "host-battery", Detail: "30 % left\x1b[2J", NextStep: "plug it in"}
	n := &api.NodeInfo{ID: "12D3KooWself", Name: "till-3", Site: "berlin",
		Abilities: []api.Ability{{What: "serve", Eligible: no}, {What: "far", Eligible: no}, {What: "fetch", Eligible: api.Eligible{OK: true}}, {What: "of a newer node", Eligible: no}},
		Peers:     []api.PeerInfo{{ID: "12D3KooWother", Name: "till-4\x1b[2J", Site: "berlin", Gives: api.Eligible{OK: true}, Takes: no}},
	}
	var out bytes.Buffer
	writeEligibility(&out, eligibilityOf(n))
	text := out.String()
	for _, want := range []string{"gives chunks to machines of its subnet: no: host-battery (30 % left", "next: plug it in", "takes chunks: yes", "of a newer node: no", "till-4"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %q", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Errorf("a machine speaks to the terminal: %q", text)
	}
	data := runNode(t)
	code, js, errOut := call("peers", "eligibility", "--json", "--data", data)
	var e eligibility
	if err := json.Unmarshal([]byte(js), &e); code != 0 || err != nil || len(e.Abilities) == 0 || !e.Abilities[0].OK || e.Peers == nil {
		t.Errorf("%d, %v, %s %s", code, err, js, errOut)
	}
}
