package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// eventRoutes gives the event log its path, where a service has one.
func eventRoutes(m *http.ServeMux, s api.Service) {
	if l, ok := s.(api.EventLogger); ok {
		m.Handle("POST /log/events", handle(l.Events))
	}
}

// Events implements api.EventLogger.
func (c *client) Events(ctx context.Context, q api.EventQuery) (*api.EventLog, error) {
	return call[api.EventLog](ctx, c, "log/events", q)
}

var _ api.EventLogger = (*client)(nil)
