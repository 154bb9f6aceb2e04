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
	d.ProbeSeconds, d.MaxRunSeconds, d.Restart, d.Exclusive = r.ProbeSeconds, r.MaxRunSeconds, r.Restart, r.Exclusive
	d.Disruptive, d.Withdrawn = r.Disruptive, r.Withdrawn
	d.AsksUser, d.References, d.Languages, d.Licence = r.AsksUser, r.References, r.Languages, r.Licence
	_, undone := d.InstallerArgs["remove-args"]
	d.Removable = !r.NotRemovable && (d.Installer != "script" || undone) // what a script did, only a script undoes
	d.Mitigates, d.MitigationEnds = policy.UpdateID(r.Mitigates), r.MitigationEnds.UTC()
	if r.Mitigates == "" != r.MitigationEnds.IsZero() {
		return api.Errorf(api.ClassUsage, "a mitigation names the update that it stands for and when it ends").WithHint("--mitigates UPDATE --mitigation-ends 2026-12-31")
	}
	d.Before, d.After = (*policy.Hook)(r.Before), (*policy.Hook)(r.After)
	for _, h := range []*policy.Hook{d.Before, d.After} {
		if h == nil {
			continue
		}
		if err := h.Check(); err != nil {
			return api.Errorf(api.ClassUsage, "%v", err).WithHint("a script of at most %d bytes that begins with #!/bin/sh or the like, or --hook-interpreter PATH", policy.MaxHookBytes)
		}
	}
	if r.Version != "" {
		d.Version = r.Version
	}
	for _, x := range r.Prerequisites {
		u, err := policy.ParseUpdateID(x)
		if err != nil {
			return api.Errorf(api.ClassUsage, "prerequisite: %v", err)
		}
		d.Prerequisites = append(d.Prerequisites, u)
	}
	return nil
}
