package policy

import (
	"fmt"
	"slices"
	"time"
)

// A mitigation is an update that stands in for another until that one can be installed: a service that is
// switched off, a port that is closed. It is approved and targeted like any update, has an end from the
// beginning, and is taken off by itself once the one that it stands for was found installed.

// checkMitigation: what stands in for another update can be taken off, and has an end.
func (d *Descriptor) checkMitigation() error {
	if d.Mitigates == "" && d.MitigationEnds.IsZero() {
		return nil
	}
	if _, err := ParseUpdateID(string(d.Mitigates)); err != nil {
		return fmt.Errorf("descriptor of %s: mitigates: %w", d.Update, err)
	}
	if d.Mitigates == d.Update || d.MitigationEnds.IsZero() || !d.Removable {
		return fmt.Errorf("descriptor of %s: a mitigation names another update, has an end and can be removed: %w", d.Update, ErrFormat)
	}
	return nil
}

// lifted says whether a mitigation is to be taken off, and why: what people read. That its end has come is no good news:
// the machine is open again where the update that it stands for is not there.
func (q *question) lifted() (why string, is bool) {
	d := q.desc
	if d == nil || d.Mitigates == "" || q.approval.Action != ActionInstall {
		return "", false
	}
	if seen, looked := q.machine.Detected[d.Mitigates]; looked && seen.Err == "" && seen.Present {
		return fmt.Sprintf("the mitigation is not needed any more: %s is installed", d.Mitigates), true
	}
	if !q.now.Before(d.MitigationEnds) {
		return fmt.Sprintf("the mitigation has ended at %s, and %s was not found installed: nothing stands in for it", d.MitigationEnds.UTC().Format(time.RFC3339), d.Mitigates), true
	}
	return "", false
}

// settleMitigated tells machines that are spared by a mitigation from those that are as they should be and
// those that are open.
func settleMitigated(asked []question, verdicts []Verdict) {
	for i := range asked {
		q := &asked[i]
		if q.desc == nil || q.desc.Mitigates == "" || q.lift != "" {
			continue
		}
		own := q.machine.Detected[q.approval.Update]
		i := slices.IndexFunc(verdicts, func(v Verdict) bool { return v.Update == q.desc.Mitigates })
		if i >= 0 && own.Present && own.Err == "" && verdicts[i].Compliance == Required {
			verdicts[i].Compliance = Mitigated
		}
	}
}
