package control

import (
	"context"

	"patchmesh/node/api"
)

// EnrolRequests implements api.Service.
func (c *client) EnrolRequests(ctx context.Context, q api.EnrolQuery) (*api.EnrolList, error) {
	return call[api.EnrolList](ctx, c, "enrol/requests", q)
}

// DecideEnrol implements api.Service.
func (c *client) DecideEnrol(ctx context.Context, d api.EnrolDecision) (*api.EnrolRequest, error) {
	return call[api.EnrolRequest](ctx, c, "enrol/decide", d)
}

// AnswerEnrol implements api.Service.
func (c *client) AnswerEnrol(ctx context.Context, r api.SealedRequest) (*api.SealedAnswer, error) {
	return call[api.SealedAnswer](ctx, c, "enrol/answer", r)
}

// EnrolKeys implements api.Service.
func (c *client) EnrolKeys(ctx context.Context) (*api.EnrolKeys, error) {
	return call[api.EnrolKeys](ctx, c, "enrol/keys", struct{}{})
}

// ChangeEnrolKeys implements api.Service.
func (c *client) ChangeEnrolKeys(ctx context.Context, r api.EnrolKeyChange) (*api.EnrolKeys, error) {
	return call[api.EnrolKeys](ctx, c, "enrol/keys/change", r)
}

// TrustLife implements api.Service.
func (c *client) TrustLife(ctx context.Context, r api.TrustLife) (*api.TrustLife, error) {
	return call[api.TrustLife](ctx, c, "trust/life", r)
}
