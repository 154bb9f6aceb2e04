package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// catalogueRoutes gives the method of api.Cataloguer its path, where a service has it.
func catalogueRoutes(m *http.ServeMux, s api.Service) {
	if v, ok := s.(api.Cataloguer); ok {
		m.Handle("POST /catalogue", handle(v.Catalogue))
	}
}

// Catalogue implements api.Cataloguer.
func (c *client) Catalogue(ctx context.Context, q api.CatalogueQuery) (*api.Catalogue, error) {
	return call[api.Catalogue](ctx, c, "catalogue", q)
}
