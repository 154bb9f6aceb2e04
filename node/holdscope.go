package node

import (
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// narrowHold puts the predicate of a safeguard into a hold and says what is wrong with its scope.
func narrowHold(h *policy.Hold, r api.HoldScope, now time.Time) error {
	if !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt) {
		return api.Errorf(api.ClassUsage, "the hold would end at %s, which is over", r.ExpiresAt.UTC().Format(time.RFC3339))
	}
	m := r.Match
	if len(m.OS)+len(m.Arch)+len(m.Present)+len(m.Installer) > 0 || m.Query != nil {
		h.Match = &policy.HoldMatch{OS: m.OS, Arch: m.Arch, Installer: m.Installer, Query: m.Query}
		for _, u := range m.Present {
			h.Match.Present = append(h.Match.Present, policy.UpdateID(u))
		}
	}
	if h.Kind == policy.HoldSafeguard && h.Match == nil {
		return api.Errorf(api.ClassUsage, "a safeguard is for machines on which the update is known to do harm, and this one says of none what they have in common").
			WithHint("add a condition, like --if-arch arm64, --if-present driver-7 or --if '{\"machine\":{\"vendors\":[\"Lenovo\"]}}'; what is to stop everywhere is --kind pause")
	}
	if err := h.Validate(); err != nil {
		return api.Errorf(api.ClassUsage, "%v", err).
			WithHint("--kind pause, or safeguard with --if-os, --if-arch, --if-present, --if-installer or --if, or freeze for all with --for or --until")
	}
	return nil
}
