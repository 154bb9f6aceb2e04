package node

import (
	"encoding/json"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// addRules puts the rules of an import into its descriptor, after the checks that every machine does.
func addRules(d *policy.Descriptor, r api.ImportRules) error {
	for _, x := range []struct {
		name string
		text json.RawMessage
		into **policy.Condition
	}{{"applicable", r.Applicable, &d.Applicable}, {"installed", r.Installed, &d.Installed}, {"probe", r.Probe, &d.Probe}} {
		if len(x.text) == 0 {
			continue
		}
		c, err := policy.ParseCondition(x.text)
		if err != nil {
			return api.Errorf(api.ClassUsage, "the %s rule: %v", x.name, err).
				WithHint(`a rule is one condition, such as {"package":{"system":"deb","name":"openssl","version":{"below":"3.0.15"}}}`)
		}
		*x.into = c
	}
	d.ProbeSeconds, d.MaxRunSeconds = r.ProbeSeconds, r.MaxRunSeconds
	return nil
}
