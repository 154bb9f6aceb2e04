package apply

import (
	"context"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// goingDownLook is how long the service manager may take to answer.
const goingDownLook = 10 * time.Second

// forShutdown are the facts that an order for the time of a shutdown is judged by. That the machine is being shut
// down is not the caller's word: who may speak here could else install at any hour what waits for a window.
func (r *Role) forShutdown(m policy.Machine) (policy.Machine, error) {
	ctx, cancel := context.WithTimeout(context.Background(), goingDownLook)
	defer cancel()
	if r.cfg.GoingDown == nil || !r.cfg.GoingDown(ctx) {
		return m, refused(policy.ReasonPolicyDeferred, "%s: the machine is not being shut down, as far as its service manager says", InstallAtShutdown)
	}
	m.ShuttingDown = policy.MaxShutdownRun // how much of it is left only the caller knows; what is signed is less
	return m, nil
}

// approvedToBring finds the descriptor of a payload that may be brought now, in whatever way it is to be installed.
func (r *Role) approvedToBring(id content.ID) (*policy.Descriptor, error) {
	d, err := r.approved(id, Install)
	if err != nil {
		if down, derr := r.approved(id, InstallAtShutdown); derr == nil {
			return down, nil
		}
	}
	return d, err
}
