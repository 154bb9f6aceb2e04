package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// baselineRoutes gives the methods of api.Measurer their paths, where a service has them.
func baselineRoutes(m *http.ServeMux, s api.Service) {
	if v, ok := s.(api.Measurer); ok {
		m.Handle("POST /baselines", handle(v.Baselines))
		m.Handle("POST /baseline", handle(v.SetBaseline))
	}
}

// Baselines implements api.Measurer.
func (c *client) Baselines(ctx context.Context, q api.BaselineQuery) (*api.Baselines, error) {
	return call[api.Baselines](ctx, c, "baselines", q)
}

// SetBaseline implements api.Measurer.
func (c *client) SetBaseline(ctx context.Context, r api.BaselineRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "baseline", r, r.Passphrase)
}

var _ api.Measurer = (*client)(nil)
