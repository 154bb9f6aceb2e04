package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"patchmesh/node/api"
)

const (
	// maxBody bounds every request but the bytes of an import, and
	maxBody = 1 << 20
	// maxApprove of one that may name as many updates as can be approved together; an id has up to 128 characters.
	maxApprove = maxBody + api.MaxAlso*192
)

// importHeader carries the request of an import, whose body is the file.
const importHeader = "Patchmesh-Import"

// names are the two arguments of Explain.
type names struct {
	Update  string `json:"update"`
	Machine string `json:"machine"`
}

// routes gives every method of the service its path.
func routes(s api.Service) http.Handler {
	m := http.NewServeMux()
	m.Handle("POST /status", handle(s.Status))
	m.Handle("POST /explain", handle(func(ctx context.Context, n names) (*api.Explanation, error) {
		return s.Explain(ctx, n.Update, n.Machine)
	}))
	m.Handle("POST /node", handle(func(ctx context.Context, _ struct{}) (*api.NodeInfo, error) { return s.Node(ctx) }))
	m.Handle("POST /invite", handle(s.Invite))
	m.Handle("POST /enrol/requests", handle(s.EnrolRequests))
	m.Handle("POST /enrol/decide", handle(s.DecideEnrol))
	m.Handle("POST /enrol/answer", handle(s.AnswerEnrol))
	m.Handle("POST /trust/life", handle(s.TrustLife))
	m.Handle("POST /enrol/keys", handle(func(ctx context.Context, _ struct{}) (*api.EnrolKeys, error) { return s.EnrolKeys(ctx) }))
	m.Handle("POST /enrol/keys/change", handle(s.ChangeEnrolKeys))
	m.Handle("POST /approve", handleUpTo(maxApprove, s.Approve))
	m.Handle("POST /hold", handle(s.Hold))
	m.Handle("POST /release", handle(s.Release))
	m.Handle("POST /sign", handle(s.Sign))
	m.Handle("POST /revoke", handle(s.Revoke))
	m.Handle("POST /site", handle(s.Site))
	m.Handle("POST /window", handle(s.SetWindow))
	m.Handle("POST /windows", handle(s.Windows))
	m.Handle("POST /setting", handle(s.SetSetting))
	m.Handle("POST /policy", handle(s.Policy))
	m.Handle("POST /wish", handle(s.Wish))
	m.Handle("POST /ring-plan", handle(s.SetRings))
	m.Handle("POST /promote", handle(s.Promote))
	m.Handle("POST /rings", handle(s.Rings))
	m.Handle("POST /evidence", handle(s.Evidence))
	m.Handle("POST /evidence/record", handle(s.RecordEvidence))
	ceremonyRoutes(m, s)
	m.HandleFunc("POST /import", func(w http.ResponseWriter, r *http.Request) { importFile(s, w, r) })
	trustRoutes(m, s)
	storeRoutes(m, s)
	whatIfRoutes(m, s)
	surveyRoutes(m, s)
	attendRoutes(m, s)
	catalogueRoutes(m, s)
	doctorRoutes(m, s)
	bundleRoutes(m, s)
	eventRoutes(m, s)
	proposerRoutes(m, s)
	baselineRoutes(m, s)
	orchestrationRoutes(m, s)
	holdRoutes(m, s)
	return m
}

// handle makes a handler of a method that takes one request and gives one answer.
func handle[Q, A any](f func(context.Context, Q) (A, error)) http.Handler {
	return handleUpTo(maxBody, f)
}

// handleUpTo is handle for requests of at most that many bytes.
func handleUpTo[Q, A any](most int64, f func(context.Context, Q) (A, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := readJSON(http.MaxBytesReader(w, r.Body, most), &q); err != nil {
			answer(w, nil, api.Errorf(api.ClassUsage, "request: %v", err))
			return
		}
		a, err := f(r.Context(), q)
		answer(w, a, err)
	})
}

func importFile(s api.Service, w http.ResponseWriter, r *http.Request) {
	var q api.ImportRequest
	if err := readJSON(strings.NewReader(r.Header.Get(importHeader)), &q); err != nil {
		answer(w, nil, api.Errorf(api.ClassUsage, "import request: %v", err))
		return
	}
	a, err := s.Import(r.Context(), q, r.Body)
	answer(w, a, err)
}

// readJSON takes one JSON object of known fields, and nothing behind it.
func readJSON(r io.Reader, into any) error {
	d := json.NewDecoder(r)
	var object json.RawMessage
	if err := d.Decode(&object); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the request")
	}
	if object[0] != '{' { // null would pass for an empty request
		return errors.New("the request is no JSON object")
	}
	d = json.NewDecoder(bytes.NewReader(object))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// answer writes the result, or the error as api.Error with status 400.
func answer(w http.ResponseWriter, a any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		var e *api.Error
		if !errors.As(err, &e) {
			e = api.Errorf(api.ClassOf(err), "%v", err)
		}
		w.WriteHeader(http.StatusBadRequest)
		a = e
	}
	_ = json.NewEncoder(w).Encode(a) // fails only if the caller has gone away
}
