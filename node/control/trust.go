package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// maxTrustBody bounds the documents of AdoptTrust: 44 MiB at most, in base64.
const maxTrustBody = 64 << 20

// trustRoutes gives the methods of api.Truster their paths, where a service has them.
func trustRoutes(m *http.ServeMux, s any) {
	t, ok := s.(api.Truster)
	if !ok {
		return
	}
	m.Handle("POST /trust/docs", handle(func(ctx context.Context, _ struct{}) (*api.TrustDocs, error) { return t.TrustDocs(ctx) }))
	m.HandleFunc("POST /trust/adopt", func(w http.ResponseWriter, r *http.Request) {
		var d api.TrustDocs
		if err := readJSON(http.MaxBytesReader(w, r.Body, maxTrustBody), &d); err != nil {
			answer(w, nil, api.Errorf(api.ClassUsage, "request: %v", err))
			return
		}
		a, err := t.AdoptTrust(r.Context(), d)
		answer(w, a, err)
	})
}

// TrustDocs implements api.Truster.
func (c *client) TrustDocs(ctx context.Context) (*api.TrustDocs, error) {
	return call[api.TrustDocs](ctx, c, "trust/docs", struct{}{})
}

// AdoptTrust implements api.Truster.
func (c *client) AdoptTrust(ctx context.Context, d api.TrustDocs) (*api.TrustAdopted, error) {
	return call[api.TrustAdopted](ctx, c, "trust/adopt", d)
}

var _ api.Truster = (*client)(nil)
