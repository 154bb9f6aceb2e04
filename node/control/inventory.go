package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// surveyRoutes gives the methods of api.Surveyor their paths, where a service has them.
func surveyRoutes(m *http.ServeMux, s api.Service) {
	if v, ok := s.(api.Surveyor); ok {
		m.Handle("POST /inventory", handle(v.Inventory))
		m.Handle("POST /scan", handle(v.Scan))
		m.Handle("POST /groups", handle(v.Groups))
		m.Handle("POST /group", handle(v.SetGroup))
		m.Handle("POST /claim", handle(v.Claim))
	}
}

// Inventory implements api.Surveyor.
func (c *client) Inventory(ctx context.Context, q api.InventoryQuery) (*api.Inventories, error) {
	return call[api.Inventories](ctx, c, "inventory", q)
}

// Scan implements api.Surveyor.
func (c *client) Scan(ctx context.Context, r api.ScanRequest) (*api.Scanned, error) {
	return call[api.Scanned](ctx, c, "scan", r)
}

// Groups implements api.Surveyor.
func (c *client) Groups(ctx context.Context, q api.GroupsQuery) (*api.Groups, error) {
	return call[api.Groups](ctx, c, "groups", q)
}

// SetGroup implements api.Surveyor.
func (c *client) SetGroup(ctx context.Context, r api.GroupRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "group", r, r.Passphrase)
}

// Claim implements api.Surveyor.
func (c *client) Claim(ctx context.Context, r api.ClaimRequest) (*api.Claimed, error) {
	return call[api.Claimed](ctx, c, "claim", r)
}

var _ api.Surveyor = (*client)(nil)
