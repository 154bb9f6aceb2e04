package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// holdRoutes gives the methods of api.HoldKeeper their paths, where a service has them.
func holdRoutes(m *http.ServeMux, s api.Service) {
	if v, ok := s.(api.HoldKeeper); ok {
		m.Handle("POST /holds", handle(v.Holds))
		m.Handle("POST /hold/except", handle(v.ExceptHold))
	}
}

// Holds implements api.HoldKeeper.
func (c *client) Holds(ctx context.Context, q api.HoldQuery) (*api.Holds, error) {
	return call[api.Holds](ctx, c, "holds", q)
}

// ExceptHold implements api.HoldKeeper.
func (c *client) ExceptHold(ctx context.Context, r api.ExceptionRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "hold/except", r, r.Passphrase)
}

var _ api.HoldKeeper = (*client)(nil)
