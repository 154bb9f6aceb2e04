//go:build unix

package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// FuzzRoutes: any request that gets past the caller's credentials. The service is asked at most once,
// only by POST on a path that there is, only with a whole JSON object; everything else is told so and
// reaches nothing. On the status socket no request gives an order.
func FuzzRoutes(f *testing.F) {
	for _, path := range append([]string{"/", "/status/", "//approve", "/approve?x", "/%61pprove", "/nothing"}, readOnly...) {
		f.Add("POST", path, "", []byte(`{}`))
	}
	f.Add("POST", "/approve", "", []byte(`{"update":"u","passphrase":"p"}`))
	f.Add("POST", "/import", `{"id":"u","size_bytes":3}`, []byte("abc"))
	f.Add("GET", "/approve", "", []byte(`{"update":"u"}`))
	f.Add("POST", "/hold", "", []byte(`{"update":"u"}{}`))
	f.Add("POST", "/release", "", []byte(`null`))
	s := &counting{}
	all := routes(s)
	f.Fuzz(func(t *testing.T, method, path, header string, body []byte) {
		u, err := url.Parse(path)
		if err != nil || !strings.HasPrefix(u.Path, "/") {
			return
		}
		for name, handler := range map[string]http.Handler{"admin": all, "status": questions(all)} {
			r := (&http.Request{Method: method, URL: u, Host: "patchmesh", Header: http.Header{importHeader: {header}}, Body: io.NopCloser(bytes.NewReader(body))}).WithContext(context.Background())
			asked, ordered := s.counts()
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			nowAsked, nowOrdered := s.counts()
			asked, ordered = nowAsked-asked, nowOrdered-ordered
			if asked+ordered > 1 || asked+ordered == 1 && method != http.MethodPost || ordered > 0 && name == "status" {
				t.Fatalf("%s: %s %s: %d questions, %d orders", name, method, path, asked, ordered)
			}
			if ordered == 1 && u.Path != "/import" && !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
				t.Fatalf("%s: %q gave an order", path, body)
			}
		}
	})
}

// answering is a node that says anything.
type answering struct {
	status int
	body   []byte
}

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Status: http.StatusText(a.status), Body: io.NopCloser(bytes.NewReader(a.body)), Request: r}, nil
}

// FuzzAnswer: what stands behind the socket may be anything. A command gets an answer or an error that
// can be shown to people, never both and never neither.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"machines":[]}`))
	f.Add(400, []byte(`{"class":"refused","what":"no","hint":"ask"}`))
	f.Add(400, []byte(`{}`))
	f.Add(400, []byte(`null`))
	f.Add(200, []byte(`null`))
	f.Add(500, []byte(``))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		via := &http.Client{Transport: answering{status, body}}
		c := &client{admin: via, status: via}
		fleet, err := c.Status(context.Background(), api.StatusQuery{})
		if (fleet == nil) == (err == nil) {
			t.Fatalf("%d %q: %+v, %v", status, body, fleet, err)
		}
		var e *api.Error
		if errors.As(err, &e) && strings.TrimSpace(e.Error()) == "" {
			t.Fatalf("%d %q: an error that says nothing", status, body)
		}
	})
}
