package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// storeRoutes gives the methods of api.Storekeeper, api.Bookkeeper and api.Auditor their paths, where a service has them.
func storeRoutes(m *http.ServeMux, s api.Service) {
	if k, ok := s.(api.Storekeeper); ok {
		m.Handle("POST /store", handle(func(ctx context.Context, _ struct{}) (*api.Store, error) { return k.Store(ctx) }))
		m.Handle("POST /store/verify", handle(func(ctx context.Context, _ struct{}) (*api.StoreVerified, error) { return k.StoreVerify(ctx) }))
		m.Handle("POST /store/pin", handle(k.StorePin))
		m.Handle("POST /store/drop", handle(k.StoreDrop))
	}
	if b, ok := s.(api.Bookkeeper); ok {
		m.Handle("POST /provenance", handle(func(ctx context.Context, n names) (*api.Provenance, error) {
			return b.Provenance(ctx, n.Update, n.Machine)
		}))
		m.Handle("POST /bytes", handle(b.BytesReport))
	}
	if a, ok := s.(api.Auditor); ok {
		m.Handle("POST /ledger", handle(a.Ledger))
	}
}

// Store implements api.Storekeeper.
func (c *client) Store(ctx context.Context) (*api.Store, error) {
	return call[api.Store](ctx, c, "store", struct{}{})
}

// StoreVerify implements api.Storekeeper.
func (c *client) StoreVerify(ctx context.Context) (*api.StoreVerified, error) {
	return call[api.StoreVerified](ctx, c, "store/verify", struct{}{})
}

// StorePin implements api.Storekeeper.
func (c *client) StorePin(ctx context.Context, r api.PinRequest) (*api.Pinned, error) {
	return call[api.Pinned](ctx, c, "store/pin", r)
}

// StoreDrop implements api.Storekeeper.
func (c *client) StoreDrop(ctx context.Context, r api.DropRequest) (*api.Dropped, error) {
	return call[api.Dropped](ctx, c, "store/drop", r)
}

// Provenance implements api.Bookkeeper.
func (c *client) Provenance(ctx context.Context, update, machine string) (*api.Provenance, error) {
	return call[api.Provenance](ctx, c, "provenance", names{update, machine})
}

// BytesReport implements api.Bookkeeper.
func (c *client) BytesReport(ctx context.Context, q api.BytesQuery) (*api.BytesReport, error) {
	return call[api.BytesReport](ctx, c, "bytes", q)
}

// Ledger implements api.Auditor.
func (c *client) Ledger(ctx context.Context, q api.LedgerQuery) (*api.Ledger, error) {
	return call[api.Ledger](ctx, c, "ledger", q)
}

var (
	_ api.Auditor     = (*client)(nil)
	_ api.Storekeeper = (*client)(nil)
	_ api.Bookkeeper  = (*client)(nil)
)
