package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// proposerRoutes gives the methods of api.Proposer their paths, where a service has them.
func proposerRoutes(m *http.ServeMux, s api.Service) {
	if p, ok := s.(api.Proposer); ok {
		m.Handle("POST /approval-rules", handle(p.ApprovalRules))
		m.Handle("POST /approval-rule", handle(p.SetApprovalRule))
		m.Handle("POST /propose", handle(p.Propose))
	}
}

// ApprovalRules implements api.Proposer.
func (c *client) ApprovalRules(ctx context.Context, q api.RulesQuery) (*api.Rules, error) {
	return call[api.Rules](ctx, c, "approval-rules", q)
}

// SetApprovalRule implements api.Proposer.
func (c *client) SetApprovalRule(ctx context.Context, r api.RuleRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "approval-rule", r, r.Passphrase)
}

// Propose implements api.Proposer.
func (c *client) Propose(ctx context.Context, r api.ProposeRequest) (*api.Published, error) {
	return call[api.Published](ctx, c, "propose", r)
}

var _ api.Proposer = (*client)(nil)
