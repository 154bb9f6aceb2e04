package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// eventRoutes gives the event log and the sync log their paths, where a service has them.
func eventRoutes(m *http.ServeMux, s api.Service) {
	if l, ok := s.(api.EventLogger); ok {
		m.Handle("POST /log/events", handle(l.Events))
	}
	if l, ok := s.(api.SyncLogger); ok {
		m.Handle("POST /log/syncs", handle(l.Syncs))
	}
}

// Events implements api.EventLogger.
func (c *client) Events(ctx context.Context, q api.EventQuery) (*api.EventLog, error) {
	return call[api.EventLog](ctx, c, "log/events", q)
}

// Syncs implements api.SyncLogger.
func (c *client) Syncs(ctx context.Context, q api.SyncQuery) (*api.SyncLog, error) {
	return call[api.SyncLog](ctx, c, "log/syncs", q)
}

var (
	_ api.EventLogger = (*client)(nil)
	_ api.SyncLogger  = (*client)(nil)
)
