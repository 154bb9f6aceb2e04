package node

import (
	"patchmesh/node/api"
	"patchmesh/policy"
)

// carriedOut says whether a machine has done what an approval asks for: an update that is only to be fetched ahead is
// done when it is there, and one that is to be taken off when it is gone.
func carriedOut(action policy.Action, u api.Update) bool {
	switch action {
	case policy.ActionRemove:
		return u.State == policy.StateRemoved.String()
	case policy.ActionStageOnly:
		return u.State == policy.StateDownloaded.String() || u.State == policy.StateInstalled.String()
	}
	return u.State == policy.StateInstalled.String()
}
