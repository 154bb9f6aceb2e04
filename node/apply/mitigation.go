package apply

import (
	"context"
	"maps"
	"time"

	"patchmesh/policy"
)

// mitigated looks by itself whether the update that a mitigation stands for is installed: the caller's word
// must not take off what protects the machine.
func (r *Role) mitigated(m *policy.Manifest, d *policy.Descriptor, want Order) policy.Machine {
	mach := r.machine()
	if d.Mitigates == "" || want == Detect {
		return mach
	}
	for _, a := range m.Approvals {
		other := r.cfg.Shelf.Describe(a.Descriptor)
		if a.Update != d.Mitigates || other == nil || other.ID() != a.Descriptor || other.Update != d.Mitigates {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), mitigationLook)
		got, err := r.cfg.Hands.Detect(ctx, other)
		cancel()
		if err != nil {
			continue // not known: the mitigation stays
		}
		mach.Detected = maps.Clone(mach.Detected)
		if mach.Detected == nil {
			mach.Detected = map[policy.UpdateID]policy.Detection{}
		}
		mach.Detected[d.Mitigates] = policy.Detection{Present: got.Present, Version: got.Version}
	}
	return mach
}

// mitigationLook bounds the look at the other update.
const mitigationLook = time.Minute
