package apply

import (
	"context"
	"maps"
	"time"

	"patchmesh/policy"
)

// mitigated looks by itself at the other updates on which the verdict for this one hangs: the one that it stands
// for, if it is a mitigation, those that must be there before it and whatever replaces one of them or this one itself, and,
// if one of the two must be alone, those that are removed first. The
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
	chain := r.chainOf(m, d)
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
		first := here[other.Update].Verb == policy.VerbRemove && (other.Exclusive == "yes" || d.Exclusive == "yes")
		if other.Update != d.Mitigates && !(forThis && (first || chain[other.Update])) {
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

// chainOf lists what d needs, and all that replaces that or d itself, directly or by way of others.
func (r *Role) chainOf(m *policy.Manifest, d *policy.Descriptor) map[policy.UpdateID]bool {
	newer := map[policy.UpdateID][]policy.UpdateID{}
	for _, a := range m.Approvals {
		if other := r.cfg.Shelf.Describe(a.Descriptor); other != nil {
			for _, u := range other.Supersedes {
				newer[u] = append(newer[u], other.Update)
			}
		}
	}
	chain := map[policy.UpdateID]bool{}
	for todo := append([]policy.UpdateID{d.Update}, d.Prerequisites...); len(todo) > 0; {
		u := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !chain[u] {
			chain[u] = true
			todo = append(todo, newer[u]...)
		}
	}
	return chain
}

// mitigationLook bounds the look at another update.
const mitigationLook = time.Minute
