package control

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"patchmesh/node/api"
)

// This file is api.Carrier between two machines: a laptop that goes round visits a node of a site and does there
// what the command line does with a medium. Both ends are hostile to each other: what is answered is bounded,
// and nothing but the methods of api.Carrier has a path.

// maxVisitAnswer bounds an answer of a visited node, in base64: the documents of one question, or the reports
// of a site.
const maxVisitAnswer = 96 << 20

// ServeCarrier answers a visitor on one connection until it ends, or ctx does. It closes the connection.
func ServeCarrier(ctx context.Context, conn net.Conn, c api.Carrier) {
	m := http.NewServeMux()
	trustRoutes(m, c)
	bundleRoutes(m, c)
	ln := &oneConn{conn: conn, over: make(chan struct{})}
	srv := &http.Server{
		Handler: m, ReadHeaderTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed || s == http.StateHijacked {
				_ = ln.Close()
			}
		},
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = srv.Serve(ln) // it ends with the connection
	_ = srv.Close()
}

// oneConn is a listener to which one connection comes.
type oneConn struct {
	conn net.Conn
	over chan struct{}

	mu    sync.Mutex
	given bool
	once  sync.Once
}

// Accept gives the connection, and then waits for its end.
func (l *oneConn) Accept() (net.Conn, error) {
	l.mu.Lock()
	first := !l.given
	l.given = true
	l.mu.Unlock()
	if first {
		return l.conn, nil
	}
	<-l.over
	return nil, net.ErrClosed
}

// Close lets Serve return.
func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.over) })
	return nil
}

// Addr is where the connection is.
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

// CarrierAt speaks to the node at the other end of a connection, of which the caller stays the owner. Once the
// connection has broken, every method is ClassUnreachable.
func CarrierAt(conn net.Conn) api.Carrier {
	var mu sync.Mutex
	used := false
	h := &http.Client{Transport: &http.Transport{
		MaxConnsPerHost: 1, MaxResponseHeaderBytes: 16 << 10, DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			if used {
				return nil, io.ErrClosedPipe
			}
			used = true
			return conn, nil
		},
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect }}
	return &client{status: h, admin: h, most: maxVisitAnswer, visit: true}
}

// errRedirect: whoever answers could name other places to send reports to.
var errRedirect = errors.New("the visited node answers with another address")

func visitOver(err error) error {
	return api.Errorf(api.ClassUnreachable, "the visit broke off: %v", err).WithHint("it goes on where it stopped when the two machines meet again")
}
