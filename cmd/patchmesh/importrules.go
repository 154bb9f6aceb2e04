package main

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"patchmesh/node/api"
)

// ruleFiles are the files that hold the rules of an import.
type ruleFiles struct {
	applicable, installed, probe, ends, licence string

	hooks hookFiles
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
	f.StringVar(&r.AsksUser, "asks-user", "", "whether its installer asks somebody: never, maybe or always (default: unknown); what may ask gets no deadline")
	f.BoolVar(&r.NotRemovable, "not-removable", false, "it cannot be taken off again: no approval to remove it is signed")
	f.StringArrayVar(&r.References, "reference", nil, "advisory or knowledge base number that describes it; may be repeated")
	f.StringArrayVar(&r.Languages, "language", nil, "language that it is for, like de; may be repeated")
	f.StringVar(&p.licence, "licence", "", "file with its licence: no rule proposes what has one, somebody must have read it")
	f.StringArrayVar(&r.Prerequisites, "prerequisite", nil, "id of an update that must be there before it; may be repeated")
}

// maxRuleFile is more than any rule within its limits.
const maxRuleFile = 256 << 10

// maxLicenceFile is what a descriptor may hold of one.
const maxLicenceFile = 128 << 10

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
		b, err := readBounded(x.path, maxRuleFile)
		if err != nil {
			return err
		}
		if len(b) > maxRuleFile {
			return api.Errorf(api.ClassUsage, "%s is longer than the %s that a rule may have", x.path, api.Size(maxRuleFile))
		}
		if !json.Valid(b) {
			return api.Errorf(api.ClassUsage, "%s is no rule in JSON", x.path)
		}
		*x.into = b
	}
	if p.licence == "" {
		return nil
	}
	b, err := readBounded(p.licence, maxLicenceFile)
	if len(b) > maxLicenceFile {
		return api.Errorf(api.ClassUsage, "the licence in %s is longer than %s", p.licence, api.Size(maxLicenceFile))
	}
	r.Licence = strings.ReplaceAll(string(b), "\r\n", "\n")
	return err
}

// readBounded reads a file that somebody named, and one byte more than most at the most.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, api.Errorf(api.ClassNotFound, "no file %s", path)
	}
	if err != nil {
		return nil, api.Errorf(api.ClassFailed, "%v", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, api.Errorf(api.ClassFailed, "%v", err)
	}
	return b, nil
}
