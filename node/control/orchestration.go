package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// orchestrationRoutes gives the methods of api.Orchestrator their paths, where a service has them.
func orchestrationRoutes(m *http.ServeMux, s api.Service) {
	if v, ok := s.(api.Orchestrator); ok {
		m.Handle("POST /orchestrations", handle(v.Orchestrations))
		m.Handle("POST /orchestration", handle(v.SetOrchestration))
	}
}

// Orchestrations implements api.Orchestrator.
func (c *client) Orchestrations(ctx context.Context, q api.OrchestrationQuery) (*api.Orchestrations, error) {
	return call[api.Orchestrations](ctx, c, "orchestrations", q)
}

// SetOrchestration implements api.Orchestrator.
func (c *client) SetOrchestration(ctx context.Context, r api.OrchestrationRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "orchestration", r, r.Passphrase)
}

var _ api.Orchestrator = (*client)(nil)
