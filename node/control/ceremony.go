package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// maxDraftBody bounds a draft or root that comes back with signatures, in base64.
const maxDraftBody = 256 << 20

// ceremonyRoutes gives the methods about keys and signatures their paths.
func ceremonyRoutes(m *http.ServeMux, s api.Service) {
	m.Handle("POST /trust", handle(func(ctx context.Context, _ struct{}) (*api.TrustState, error) { return s.TrustState(ctx) }))
	m.Handle("POST /draft", handle(s.Draft))
	m.Handle("POST /draft/export", handle(func(ctx context.Context, _ struct{}) (*api.DraftFiles, error) { return s.ExportDrafts(ctx) }))
	m.HandleFunc("POST /draft/import", func(w http.ResponseWriter, r *http.Request) {
		var f api.DraftFile
		if err := readJSON(http.MaxBytesReader(w, r.Body, maxDraftBody), &f); err != nil {
			answer(w, nil, api.Errorf(api.ClassUsage, "request: %v", err))
			return
		}
		p, err := s.ImportDraft(r.Context(), f)
		answer(w, p, err)
	})
	m.Handle("POST /grant", handle(s.Grant))
	m.Handle("POST /root/draft", handle(s.RootDraft))
	m.Handle("POST /root/adopt", handle(s.AdoptRoot))
	m.Handle("POST /log/approval", handle(s.ApprovalLog))
}

// TrustState implements api.Service.
func (c *client) TrustState(ctx context.Context) (*api.TrustState, error) {
	return call[api.TrustState](ctx, c, "trust", struct{}{})
}

// Draft implements api.Service.
func (c *client) Draft(ctx context.Context, q api.DraftQuery) (*api.DraftView, error) {
	return call[api.DraftView](ctx, c, "draft", q)
}

// ExportDrafts implements api.Service.
func (c *client) ExportDrafts(ctx context.Context) (*api.DraftFiles, error) {
	return call[api.DraftFiles](ctx, c, "draft/export", struct{}{})
}

// ImportDraft implements api.Service.
func (c *client) ImportDraft(ctx context.Context, f api.DraftFile) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "draft/import", f, f.Passphrase)
}

// Grant implements api.Service.
func (c *client) Grant(ctx context.Context, r api.GrantRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "grant", r, r.Passphrase)
}

// RootDraft implements api.Service.
func (c *client) RootDraft(ctx context.Context, r api.RootRequest) (*api.RootView, error) {
	return call[api.RootView](ctx, c, "root/draft", r)
}

// AdoptRoot implements api.Service.
func (c *client) AdoptRoot(ctx context.Context, f api.RootFile) (*api.RootView, error) {
	return callSecret[api.RootView](ctx, c, "root/adopt", f, f.Passphrase)
}

// ApprovalLog implements api.Service.
func (c *client) ApprovalLog(ctx context.Context, q api.LogQuery) (*api.ApprovalLog, error) {
	return call[api.ApprovalLog](ctx, c, "log/approval", q)
}
