package main

import (
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"patchmesh/node/api"
)

// ruleFiles are the files that hold the rules of an import.
type ruleFiles struct {
	applicable, installed, probe, ends string
	hooks                              hookFiles
}

func (p *ruleFiles) flags(f *pflag.FlagSet, r *api.ImportRules) {
	p.hooks.flags(f)
	f.StringVar(&p.applicable, "applicable", "", "file with the rule that says whether the update is for a machine")
	f.StringVar(&p.installed, "installed", "", "file with the rule that says whether it is there (needed for a script)")
	f.StringVar(&p.probe, "probe", "", "file with the rule that must hold after the install, else it is rolled back")
	f.IntVar(&r.ProbeSeconds, "probe-seconds", 0, "how long the probe may take to hold (default 30)")
	f.IntVar(&r.MaxRunSeconds, "max-run-seconds", 0, "how long the installation may take")
	f.StringVar(&r.Version, "version-is", "", "version, where the file does not say it (an .msi with a product-code)")
	f.StringVar(&r.Mitigates, "mitigates", "", "id of the update that this one stands in for; it is taken off once that one is installed")
	f.StringVar(&p.ends, "mitigation-ends", "", "day on which a mitigation is taken off at the latest, like 2026-12-31")
	f.BoolVar(&r.Withdrawn, "withdrawn", false, "its vendor has taken it back: rules propose it no more, see 'patchmesh rules'")
	f.StringVar(&r.Restart, "restart", "", "whether it needs a restart: never, maybe or always (default: unknown)")
	f.StringVar(&r.Exclusive, "exclusive", "", "yes: it must be installed alone")
	f.StringVar(&r.Disruptive, "disruptive", "", "no: it stops no service, asks nobody and restarts nothing, so that policy may let it go at once; yes")
	f.StringArrayVar(&r.Prerequisites, "prerequisite", nil, "id of an update that must be there before it; may be repeated")
}

// maxRuleFile is more than any rule within its limits.
const maxRuleFile = 256 << 10

func (p *ruleFiles) read(r *api.ImportRules) error {
	if err := p.hooks.read(r); err != nil {
		return err
	}
	if p.ends != "" {
		day, err := time.Parse(time.DateOnly, p.ends)
		if err != nil {
			return api.Errorf(api.ClassUsage, "--mitigation-ends %q is no day like 2026-12-31", p.ends)
		}
		r.MitigationEnds = day.UTC()
	}
	for _, x := range []struct {
		path string
		into *json.RawMessage
	}{{p.applicable, &r.Applicable}, {p.installed, &r.Installed}, {p.probe, &r.Probe}} {
		if x.path == "" {
			continue
		}
		f, err := os.Open(x.path)
		if os.IsNotExist(err) {
			return api.Errorf(api.ClassNotFound, "no file %s", x.path)
		}
		if err != nil {
			return api.Errorf(api.ClassFailed, "%v", err)
		}
		b, err := io.ReadAll(io.LimitReader(f, maxRuleFile+1))
		_ = f.Close()
		if err != nil {
			return api.Errorf(api.ClassFailed, "%v", err)
		}
		if len(b) > maxRuleFile || !json.Valid(b) {
			return api.Errorf(api.ClassUsage, "%s is no rule in JSON", x.path)
		}
		*x.into = b
	}
	return nil
}
