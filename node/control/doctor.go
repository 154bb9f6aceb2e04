package control

import (
	"context"
	"net/http"

	"patchmesh/node/api"
)

// doctorRoutes gives the method of api.Doctor its path, where a service has it. It may mend, so it is for admins.
func doctorRoutes(m *http.ServeMux, s api.Service) {
	if d, ok := s.(api.Doctor); ok {
		m.Handle("POST /doctor", handle(d.Doctor))
	}
}

// Doctor implements api.Doctor.
func (c *client) Doctor(ctx context.Context, q api.DoctorQuery) (*api.Diagnosis, error) {
	return call[api.Diagnosis](ctx, c, "doctor", q)
}

var _ api.Doctor = (*client)(nil)
