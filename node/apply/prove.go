package apply

import (
	"context"

	"patchmesh/content"
	"patchmesh/policy"
)

// Prover ends the trial of a new version of patchmesh. It is told the hash of the program that says that it
// is well, and compares it with its own.
type Prover interface{ Proved(sum [32]byte) error }

// Proved takes the node's word that its program is well. All that a node which lies can win is to stay as it
// is: which program runs was decided by the approvals before. Errors are *Error.
func (r *Role) Proved(_ context.Context, sum [32]byte) error {
	if r.cfg.Agent == nil {
		return refused(policy.ReasonPolicyDeclined, "nothing is on trial here")
	}
	if err := r.cfg.Agent.Proved(sum); err != nil {
		return refused(policy.ReasonAgentOutdated, "the agent on trial: %v", err)
	}
	return nil
}

// Proved tells the apply process that the program with this hash is well.
func (c *Client) Proved(ctx context.Context, sum [32]byte) error {
	return c.call(ctx, request{verb: verbProved, id: content.FromSHA256(sum)}, nil, nil, &struct{}{})
}
