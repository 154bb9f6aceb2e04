package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// whatIfRoutes gives the method of api.Prophet its path, where a service has it. It is for admins: what it
// tells is who lacks what.
func whatIfRoutes(m *http.ServeMux, s api.Service) {
	if p, ok := s.(api.Prophet); ok {
		m.Handle("POST /what-if", handle(p.WhatIf))
	}
}

// WhatIf implements api.Prophet.
func (c *client) WhatIf(ctx context.Context, r api.ApproveRequest) (*api.Prospect, error) {
	r.Passphrase = ""
	return call[api.Prospect](ctx, c, "what-if", r)
}

var _ api.Prophet = (*client)(nil)
