package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"patchmesh/node/api"
)

// maxCargoBody bounds documents and reports of one request, in base64; callers send more in parts.
const maxCargoBody = 128 << 20

// bundleRoutes gives the methods of api.Carrier their paths, where a service has them.
func bundleRoutes(m *http.ServeMux, s any) {
	c, ok := s.(api.Carrier)
	if !ok {
		return
	}
	m.Handle("POST /bundle/cargo", handle(c.Cargo))
	m.Handle("POST /bundle/docs", large(c.GiveDocs))
	m.Handle("POST /bundle/take-docs", large(c.TakeDocs))
	m.Handle("POST /bundle/return", handle(func(ctx context.Context, _ struct{}) (*api.Return, error) { return c.GiveReturn(ctx) }))
	m.Handle("POST /bundle/take-return", large(c.TakeReturn))
	m.Handle("POST /bundle/take-answers", large(func(ctx context.Context, l answersBody) (*api.TakenAnswers, error) { return c.TakeAnswers(ctx, l.List) }))
	m.Handle("POST /bundle/answers", handle(func(ctx context.Context, q api.CargoQuery) (*[]byte, error) {
		b, err := c.GiveAnswers(ctx, q)
		return &b, err
	}))
	m.Handle("POST /bundle/have", handle(func(ctx context.Context, q api.CargoQuery) (*[]byte, error) {
		b, err := c.LastHave(ctx, q)
		return &b, err
	}))
	m.HandleFunc("POST /bundle/chunks", func(w http.ResponseWriter, r *http.Request) {
		var q api.ChunkQuery
		if err := readJSON(http.MaxBytesReader(w, r.Body, maxBody), &q); err != nil {
			answer(w, nil, api.Errorf(api.ClassUsage, "request: %v", err))
			return
		}
		// An error after the first chunk cannot be said any more: the stream has no end then.
		first := &firstWrite{w: w}
		if err := c.GiveChunks(r.Context(), q, first); err != nil && !first.begun {
			answer(w, nil, err)
		}
	})
	m.HandleFunc("POST /bundle/take-chunks", func(w http.ResponseWriter, r *http.Request) {
		a, err := c.TakeChunks(r.Context(), r.Body)
		answer(w, a, err)
	})
}

// answersBody carries a list of renewals.
type answersBody struct {
	List []byte `json:"list"`
}

type firstWrite struct {
	w     http.ResponseWriter
	begun bool
}

func (f *firstWrite) Write(b []byte) (int, error) {
	f.begun = true
	return f.w.Write(b)
}

// large is handle for requests that carry documents.
func large[Q, A any](f func(context.Context, Q) (A, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := readJSON(http.MaxBytesReader(w, r.Body, maxCargoBody), &q); err != nil {
			answer(w, nil, api.Errorf(api.ClassUsage, "request: %v", err))
			return
		}
		a, err := f(r.Context(), q)
		answer(w, a, err)
	})
}

// Cargo implements api.Carrier.
func (c *client) Cargo(ctx context.Context, q api.CargoQuery) (*api.Cargo, error) {
	return call[api.Cargo](ctx, c, "bundle/cargo", q)
}

// GiveDocs implements api.Carrier.
func (c *client) GiveDocs(ctx context.Context, q api.DocQuery) (*api.CargoDocs, error) {
	return call[api.CargoDocs](ctx, c, "bundle/docs", q)
}

// TakeDocs implements api.Carrier.
func (c *client) TakeDocs(ctx context.Context, d api.CargoDocs) (*api.TakenDocs, error) {
	return call[api.TakenDocs](ctx, c, "bundle/take-docs", d)
}

// GiveReturn implements api.Carrier.
func (c *client) GiveReturn(ctx context.Context) (*api.Return, error) {
	return call[api.Return](ctx, c, "bundle/return", struct{}{})
}

// TakeReturn implements api.Carrier.
func (c *client) TakeReturn(ctx context.Context, r api.Return) (*api.TakenReturn, error) {
	return call[api.TakenReturn](ctx, c, "bundle/take-return", r)
}

// GiveAnswers implements api.Carrier.
func (c *client) GiveAnswers(ctx context.Context, q api.CargoQuery) ([]byte, error) {
	b, err := call[[]byte](ctx, c, "bundle/answers", q)
	if err != nil {
		return nil, err
	}
	return *b, nil
}

// TakeAnswers implements api.Carrier.
func (c *client) TakeAnswers(ctx context.Context, list []byte) (*api.TakenAnswers, error) {
	return call[api.TakenAnswers](ctx, c, "bundle/take-answers", answersBody{list})
}

// LastHave implements api.Carrier.
func (c *client) LastHave(ctx context.Context, q api.CargoQuery) ([]byte, error) {
	b, err := call[[]byte](ctx, c, "bundle/have", q)
	if err != nil {
		return nil, err
	}
	return *b, nil
}

// GiveChunks implements api.Carrier: the answer streams.
func (c *client) GiveChunks(ctx context.Context, q api.ChunkQuery, w io.Writer) error {
	b, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	r, err := request(ctx, "bundle/chunks", b)
	if err != nil {
		return err
	}
	resp, err := c.do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, resp.Body, make([]byte, copyBytes))
	return err
}

// copyBytes is how much of a stream is moved at once.
const copyBytes = 256 << 10

// TakeChunks implements api.Carrier: the body streams.
func (c *client) TakeChunks(ctx context.Context, body io.Reader) (*api.TakenChunks, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://patchmesh/bundle/take-chunks", struct{ io.Reader }{body})
	if err != nil {
		return nil, err
	}
	return send[api.TakenChunks](c, r)
}

var _ api.Carrier = (*client)(nil)
