package node

import (
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
)

// R-M1, R-G8: the explanation of an update says that something stands in for it meanwhile.
func TestRM1AnExplanationSaysMitigated(t *testing.T) {
	for compliance, told := range map[string]bool{"mitigated": true, "superseded-present": true, "required": false} {
		e := &explanation{Explanation: api.Explanation{Update: "u"}}
		explainState(e, api.Machine{Online: true, LastReport: time.Now(), Updates: []api.Update{{Update: "u", State: "held", Compliance: compliance, Reason: "policy-hold"}}}, false, time.Now())
		if says := slices.ContainsFunc(e.Chain, func(f api.Fact) bool { return strings.Contains(f.Text, compliance) }); says != told {
			t.Errorf("%s: %+v", compliance, e.Chain)
		}
	}
}
