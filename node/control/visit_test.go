//go:build unix

package control

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
)

// load is a carrier that gives and takes; what it does not say is nil and must not be called.
type load struct {
	api.Carrier
	given []byte
	taken bytes.Buffer
}

func (l *load) Cargo(context.Context, api.CargoQuery) (*api.Cargo, error) {
	return nil, api.Errorf(api.ClassRefused, "not for you").WithHint("ask somebody")
}

func (l *load) GiveChunks(_ context.Context, _ api.ChunkQuery, w io.Writer) error {
	_, err := w.Write(l.given)
	return err
}

func (l *load) TakeChunks(_ context.Context, r io.Reader) (*api.TakenChunks, error) {
	n, err := io.Copy(&l.taken, r)
	return &api.TakenChunks{FreshBytes: n}, err
}

func (l *load) TrustDocs(context.Context) (*api.TrustDocs, error) { return &api.TrustDocs{}, nil }

// served runs a carrier at the far end of a connection; over is closed when it has ended.
func served(t testing.TB, c api.Carrier) (near net.Conn, over chan struct{}) {
	near, far := net.Pipe()
	over = make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		defer close(over)
		ServeCarrier(ctx, far, c)
	}()
	return near, over
}

func TestCarrierSpeaksOverOneConnection(t *testing.T) {
	l := &load{given: bytes.Repeat([]byte("chunk"), 300_000)}
	near, over := served(t, l)
	c := CarrierAt(near)
	ctx := context.Background()
	for range 3 { // one after the other on the same connection
		var got bytes.Buffer
		if err := c.GiveChunks(ctx, api.ChunkQuery{}, &got); err != nil || !bytes.Equal(got.Bytes(), l.given) {
			t.Fatalf("%d bytes, %v", got.Len(), err)
		}
		if a, err := c.TakeChunks(ctx, bytes.NewReader(l.given)); err != nil || a.FreshBytes != int64(len(l.given)) {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if l.taken.Len() != 3*len(l.given) {
		t.Errorf("%d bytes arrived", l.taken.Len())
	}
	_, err := c.Cargo(ctx, api.CargoQuery{})
	if api.ClassOf(err) != api.ClassRefused || !strings.Contains(err.Error(), "not for you") {
		t.Errorf("a refusal arrives as %v", err)
	}
	_ = near.Close()
	<-over
	if _, err := c.TrustDocs(ctx); api.ClassOf(err) != api.ClassUnreachable {
		t.Errorf("after the end: %v", err)
	}
}

// A visitor finds the methods of a carrier, and nothing else that a node does for people.
func TestVisitorFindsNoOtherRoute(t *testing.T) {
	s := &counting{}
	l := struct {
		api.Service
		api.Carrier
	}{s, &load{}}
	for _, path := range []string{"/approve", "/status", "/node", "/invite", "/import", "/revoke", "/store/drop", "/doctor", "/events", "/sign"} {
		near, over := served(t, l)
		if err := near.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest(http.MethodPost, "http://patchmesh"+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		h := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil }}}
		resp, err := h.Do(r)
		if err != nil || resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %+v, %v", path, resp, err)
		}
		_ = near.Close()
		<-over
	}
	if a, o := s.counts(); a+o != 0 {
		t.Errorf("%d calls reached the node", a+o)
	}
}

// FuzzVisitor: whatever a visitor sends, the end of the connection ends its service, and nobody panics.
func FuzzVisitor(f *testing.F) {
	f.Add([]byte("POST /trust/docs HTTP/1.1\r\nHost: patchmesh\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("POST /bundle/take-chunks HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"))
	f.Add([]byte("POST /approve HTTP/1.1\r\nHost: p\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	f.Add([]byte{0x16, 3, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		near, over := served(t, &load{given: []byte("x")})
		go func() { _, _ = io.Copy(io.Discard, near) }()
		_ = near.SetWriteDeadline(time.Now().Add(10 * time.Second))
		_, _ = near.Write(b)
		_ = near.Close()
		select {
		case <-over:
		case <-time.After(20 * time.Second):
			t.Fatalf("%q holds the service", b)
		}
	})
}
