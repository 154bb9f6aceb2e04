package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// attendRoutes gives the methods of api.Attendant their paths, where a service has them.
func attendRoutes(m *http.ServeMux, s api.Service) {
	if v, ok := s.(api.Attendant); ok {
		m.Handle("POST /notices", handle(v.Notices))
		m.Handle("POST /shutdown", handle(v.AtShutdown))
	}
}

// Notices implements api.Attendant.
func (c *client) Notices(ctx context.Context, q api.NoticesQuery) (*api.Notices, error) {
	return call[api.Notices](ctx, c, "notices", q)
}

// AtShutdown implements api.Attendant.
func (c *client) AtShutdown(ctx context.Context, r api.ShutdownRequest) (*api.ShutdownDone, error) {
	return call[api.ShutdownDone](ctx, c, "shutdown", r)
}
