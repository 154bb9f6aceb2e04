package api

import (
	"context"

	"patchmesh/policy"
)

// EvidenceRequest records one check of an update: business, restart or rollback.
type EvidenceRequest struct {
	Update   string `json:"update"`
	Revision int    `json:"revision,omitempty"` // that was tested; 0: the newest
	Check    string `json:"check"`
	Passed   bool   `json:"passed"`
	By       string `json:"by,omitempty"` // a name for people
	Note     string `json:"note,omitempty"`
}

// EvidenceQuery names one update.
type EvidenceQuery struct {
	Update string `json:"update"`
}

// Evidence is how the checks of an update stand. Checks holds all of them, Records what people have recorded.
type Evidence struct {
	Update   string                 `json:"update"`
	Revision int                    `json:"revision"`
	Checks   []policy.EvidenceState `json:"checks"`
	Records  []policy.Evidence      `json:"records"`
}

type callerKey struct{}

// WithCaller notes who asks; the local API does so with what the kernel says.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf says who asks; false where nobody knows.
func CallerOf(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}
