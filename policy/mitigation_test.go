package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

// mitigating is a fix and what stands in for it, both approved for everybody.
func mitigating(ends time.Time) (*Manifest, func(content.ID) *Descriptor) {
	payload := content.Sum([]byte("x"))
	fix := &Descriptor{Update: "fix", Revision: 1, Installer: "file", Payload: payload}
	shut := &Descriptor{Update: "shut", Revision: 1, Installer: "script", Payload: payload, Mitigates: "fix", MitigationEnds: ends, Removable: true}
	m := &Manifest{Epoch: 1}
	all := map[content.ID]*Descriptor{}
	for _, d := range []*Descriptor{fix, shut} {
		id := content.Sum([]byte(d.Update))
		all[id] = d
		m.Approvals = append(m.Approvals, Approval{Update: d.Update, Revision: 1, Descriptor: id, Group: GroupAll, Action: ActionInstall})
	}
	return m, func(id content.ID) *Descriptor { return all[id] }
}

func TestRM1AMitigationComesAndIsLiftedOnceItsUpdateIsInstalled(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	ends := now.Add(30 * day)
	m, describe := mitigating(ends)
	for _, c := range []struct {
		name      string
		fix, shut Detection
		at        time.Time
		verb      Verb // of the mitigation
		fixIs     Compliance
	}{
		{"neither is there", Detection{}, Detection{}, now, VerbInstall, Required},
		{"the mitigation is there", Detection{}, Detection{Present: true}, now, VerbNone, Mitigated},
		{"the fix came", Detection{Present: true}, Detection{Present: true}, now, VerbRemove, Installed},
		{"the fix is there, the mitigation never was", Detection{Present: true}, Detection{}, now, VerbNone, Installed},
		{"whether the fix is there is not known", Detection{Err: ReasonDiskError}, Detection{Present: true}, now, VerbNone, ComplianceError},
		{"its end has come", Detection{}, Detection{Present: true}, ends, VerbRemove, Required},
		{"its end has come before it was there", Detection{}, Detection{}, ends, VerbNone, Required},
	} {
		mach := Machine{Installers: []string{"file", "script"}, Detected: map[UpdateID]Detection{"fix": c.fix, "shut": c.shut}}
		p := MakePlan(m, describe, mach, false, c.at)
		if p.Verdicts[1].Verb != c.verb || p.Verdicts[0].Compliance != c.fixIs {
			t.Errorf("%s: the mitigation is %q, the fix %q; want %q, %q", c.name, p.Verdicts[1].Verb, p.Verdicts[0].Compliance, c.verb, c.fixIs)
		}
		why := "not needed any more: fix is installed"
		if !c.at.Before(ends) {
			why = "has ended at 2026-04-01T09:00:00Z, and fix was not found installed: nothing stands in for it"
		}
		if v := p.Verdicts[1]; v.Verb == VerbRemove && (!v.Lift || !strings.Contains(v.Detail, why)) {
			t.Errorf("%s: taken off without saying why: %+v", c.name, v)
		}
		if c.at.Before(ends) && !c.fix.Present && !p.NextAt.Equal(ends) {
			t.Errorf("%s: the next look is at %s, want the end", c.name, p.NextAt)
		}
	}
}

func TestRM1AMitigationHasAnEndAndAWayBack(t *testing.T) {
	ends := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for _, d := range []Descriptor{
		{Mitigates: "fix", Removable: true}, {MitigationEnds: ends, Removable: true}, {Mitigates: "fix", MitigationEnds: ends},
		{Mitigates: "u", MitigationEnds: ends, Removable: true}, {Mitigates: "../x", MitigationEnds: ends, Removable: true},
	} {
		d.Update = "u"
		if err := d.checkMitigation(); !errors.Is(err, ErrFormat) && d.Mitigates != "../x" || err == nil {
			t.Errorf("%+v is taken: %v", d, err)
		}
	}
	d := Descriptor{Update: "u", Mitigates: "fix", MitigationEnds: ends, Removable: true}
	if err := d.checkMitigation(); err != nil {
		t.Error(err)
	}
}
