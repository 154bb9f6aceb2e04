package apply

import (
	"context"
	"maps"
	"slices"
	"time"

	"patchmesh/policy"
)

// mitigated looks by itself at the other updates on which the verdict for this one hangs: the one that it stands
// for, if it is a mitigation, those that must be there before it, those that must be installed alone, and for such a one
// those that are removed first. The
// caller's word must not take off what protects the machine, nor turn the declared order round. What cannot be
// looked at counts as not there: the mitigation stays, and what needs the other one waits.
func (r *Role) mitigated(m *policy.Manifest, d *policy.Descriptor, want Order) policy.Machine {
	mach := r.machine()
	if want == Detect {
		return mach
	}
	here := map[policy.UpdateID]policy.Verdict{}
	for _, v := range policy.MakePlan(m, r.cfg.Shelf.Describe, mach, false, r.cfg.Now()).Verdicts {
		here[v.Update] = v
	}
	mach.Detected = maps.Clone(mach.Detected)
	if mach.Detected == nil {
		mach.Detected = map[policy.UpdateID]policy.Detection{}
	}
	for _, a := range m.Approvals {
		other := r.cfg.Shelf.Describe(a.Descriptor)
		if other == nil || a.Listed() || other.ID() != a.Descriptor || other.Update != a.Update || other.Update == d.Update {
			continue
		}
		forThis := here[other.Update].Descriptor == a.Descriptor
		if other.Update != d.Mitigates && !(forThis && settlesOrder(d, other, here[other.Update].Verb)) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), mitigationLook)
		got, err := r.cfg.Hands.Detect(ctx, other)
		cancel()
		if err != nil {
			continue
		}
		mach.Detected[other.Update] = policy.Detection{Present: got.Present, Version: got.Version}
	}
	return mach
}

// settlesOrder: whether d may go now hangs on whether the other one, of such a verdict, is there.
func settlesOrder(d, other *policy.Descriptor, verb policy.Verb) bool {
	needed := func(u policy.UpdateID) bool { return slices.Contains(d.Prerequisites, u) }
	return other.Exclusive == "yes" || d.Exclusive == "yes" && verb == policy.VerbRemove || needed(other.Update) || slices.ContainsFunc(other.Supersedes, needed)
}

// mitigationLook bounds the look at another update.
const mitigationLook = time.Minute
