package apply

import (
	"context"
	"maps"
	"time"

	"patchmesh/content"
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
	related := r.relatedTo(m, d)
	if len(related) == 0 { // nothing hangs together, as with most updates: a plan of thousands is spared
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
	for _, k := range related {
		forThis := here[k.desc.Update].Descriptor == k.id
		first := k.alone && here[k.desc.Update].Verb == policy.VerbRemove
		if k.desc.Update != d.Mitigates && !(forThis && (first || k.chained)) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), mitigationLook)
		got, err := r.cfg.Hands.Detect(ctx, k.desc)
		cancel()
		if err != nil {
			continue
		}
		mach.Detected[k.desc.Update] = policy.Detection{Present: got.Present, Version: got.Version}
	}
	return mach
}

// related is another update on which the verdict for one may hang.
type related struct {
	id      content.ID
	desc    *policy.Descriptor
	chained bool // see chainOf
	alone   bool // one of the two must be alone
}

// relatedTo finds them among what is approved for any machine, in its order. Whether a description is what its name
// says is asked of those alone that count: to find out costs more than all the rest.
func (r *Role) relatedTo(m *policy.Manifest, d *policy.Descriptor) []related {
	chain := r.chainOf(m, d)
	var out []related
	for i := range m.Approvals {
		a := &m.Approvals[i]
		other := r.cfg.Shelf.Describe(a.Descriptor)
		if other == nil || a.Listed() || other.Update != a.Update || other.Update == d.Update {
			continue
		}
		k := related{id: a.Descriptor, desc: other, chained: chain[other.Update], alone: other.Exclusive == "yes" || d.Exclusive == "yes"}
		if (k.chained || k.alone || other.Update == d.Mitigates) && other.ID() == a.Descriptor {
			out = append(out, k)
		}
	}
	return out
}

// chainOf lists what d needs, and all that replaces that or d itself, directly or by way of others.
func (r *Role) chainOf(m *policy.Manifest, d *policy.Descriptor) map[policy.UpdateID]bool {
	newer := map[policy.UpdateID][]policy.UpdateID{}
	for i := range m.Approvals {
		if other := r.cfg.Shelf.Describe(m.Approvals[i].Descriptor); other != nil {
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
