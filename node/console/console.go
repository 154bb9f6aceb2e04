package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"patchmesh/content/durable"
	"patchmesh/node/api"
)

// Source is what is shown.
type Source interface {
	Status(ctx context.Context, q api.StatusQuery) (*api.Fleet, error)
	Explain(ctx context.Context, update, machine string) (*api.Explanation, error)
}

// Config of a console. All fields are needed.
type Config struct {
	Listen string // IP:PORT, loopback
	File   string // where the link is kept, for the user of the node alone
	Source Source
	Log    *slog.Logger
}

// Limits of what one run takes on.
const (
	maxConns       = 32
	maxAnswers     = 2 // made at once: the status of a large fleet is work
	maxHeaderBytes = 16 << 10
	maxNameBytes   = 256
	readTime       = 5 * time.Second
	answerTime     = 20 * time.Second
	writeTime      = 30 * time.Second
	idleTime       = 15 * time.Second
)

// FileName is the file of the link in a data folder.
const FileName = "console.json"

// Link is what the file holds.
type Link struct {
	URL string `json:"url"` // with the token behind the #
}

// CheckListen refuses every address from which somebody else than this computer could come. Port 0 is one that the
// system chooses.
func CheckListen(addr string) error {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("console address %q, want IP:PORT", addr)
	}
	if !a.Addr().IsLoopback() || a.Addr().Zone() != "" || a.Addr().Is4In6() {
		return fmt.Errorf("console address %s is not of this computer alone: it speaks without encryption, so only 127.0.0.1 or [::1] will do, as in --console 127.0.0.1:%d (from elsewhere then: ssh -L %d:127.0.0.1:%d SEED)",
			addr, a.Port(), a.Port(), a.Port())
	}
	return nil
}

// Console answers on one address.
type Console struct {
	cfg    Config
	hosts  []string // what a request may call us
	token  [32]byte // hash of it
	policy string   // of the page
	slots  chan struct{}
	read   time.Duration // for a request
}

// Open listens, makes a token and keeps the link. Serve follows.
func Open(cfg Config) (*Console, net.Listener, error) {
	if err := CheckListen(cfg.Listen); err != nil {
		return nil, nil, err
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("console: %w", err)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	token := base64.RawURLEncoding.EncodeToString(secret)
	c := newConsole(cfg, ln.Addr().String(), token)
	b, err := json.Marshal(Link{URL: "http://" + c.hosts[0] + "/#" + token})
	if err == nil {
		err = durable.Replace(cfg.File, b)
	}
	if err != nil {
		_ = ln.Close()
		return nil, nil, fmt.Errorf("console: keep its link in %s: %w", filepath.Base(cfg.File), err)
	}
	return c, ln, nil
}

func newConsole(cfg Config, addr, token string) *Console {
	c := &Console{cfg: cfg, hosts: []string{addr}, token: sha256.Sum256([]byte(token)), policy: pagePolicy(page), slots: make(chan struct{}, maxAnswers), read: readTime}
	if host, found := strings.CutSuffix(addr, ":80"); found {
		c.hosts = append(c.hosts, host) // browsers leave the usual port out
	}
	return c
}

// Serve answers until ctx ends.
func (c *Console) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler: c, ReadHeaderTimeout: c.read, ReadTimeout: c.read, WriteTimeout: writeTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeaderBytes,
		BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(c.cfg.Log.Handler(), slog.LevelDebug),
	}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(&bounded{Listener: ln, slots: make(chan struct{}, maxConns)}); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("console: %w", err)
	}
	return nil
}

//go:embed page.html
var page []byte

// pagePolicy lets the page run its own script and style, named by their hashes, and speak to where it came from.
func pagePolicy(html []byte) string {
	hash := func(tag string) string {
		_, rest, _ := strings.Cut(string(html), "<"+tag+">")
		body, _, _ := strings.Cut(rest, "</"+tag+">")
		sum := sha256.Sum256([]byte(body))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; script-src " + hash("script") + "; style-src " + hash("style") +
		"; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

// headers go with every answer, refusals too.
func (c *Console) headers(h http.Header) {
	for k, v := range map[string]string{
		"Content-Security-Policy": c.policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp",
		"Cache-Control": "no-store",
	} {
		h.Set(k, v)
	}
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.headers(w.Header())
	if code, why := c.refuses(r); code != 0 {
		if code == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", http.MethodGet)
		}
		w.Header().Set("Connection", "close")
		http.Error(w, why, code)
		return
	}
	switch r.URL.Path {
	case "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	case "/status", "/explain":
		if !c.known(r) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the link of 'patchmesh console' opens this", http.StatusUnauthorized)
			return
		}
		c.answer(w, r)
	default:
		http.NotFound(w, r)
	}
}

// refuses says what is wrong with a request before anything of it is used; 0: nothing.
func (c *Console) refuses(r *http.Request) (code int, why string) {
	sites := r.Header.Values("Sec-Fetch-Site")
	origins := r.Header.Values("Origin")
	switch {
	case !c.ours(r.Host):
		return http.StatusMisdirectedRequest, "this address is not called that"
	case len(origins) > 1 || len(origins) == 1 && !c.ours(strings.TrimPrefix(origins[0], "http://")),
		len(origins) == 1 && !strings.HasPrefix(origins[0], "http://"):
		return http.StatusForbidden, "another origin asks"
	case len(sites) > 1 || len(sites) == 1 && sites[0] != "same-origin" && sites[0] != "none":
		return http.StatusForbidden, "another site asks"
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, "the console only shows"
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0 || r.Header.Get("Upgrade") != "":
		return http.StatusBadRequest, "a question has no body"
	}
	return 0, ""
}

func (c *Console) ours(host string) bool {
	for _, h := range c.hosts {
		if host == h {
			return true
		}
	}
	return false
}

// known: the token is in the header, once.
func (c *Console) known(r *http.Request) bool {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	token, is := strings.CutPrefix(values[0], "Bearer ")
	sum := sha256.Sum256([]byte(token))
	return is && subtle.ConstantTimeCompare(sum[:], c.token[:]) == 1
}

// answer makes one of the two documents, a few at a time.
func (c *Console) answer(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	facts, err := c.ask(ctx, r)
	if err != nil {
		fail(w, err)
		return
	}
	b, err := json.Marshal(facts)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

func (c *Console) ask(ctx context.Context, r *http.Request) (any, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, api.Errorf(api.ClassUsage, "the question cannot be read")
	}
	for k, v := range q {
		if len(v) != 1 || len(v[0]) > maxNameBytes || k != "machine" && k != "update" && k != "group" {
			return nil, api.Errorf(api.ClassUsage, "the question cannot be read")
		}
	}
	if r.URL.Path == "/explain" {
		if q.Get("update") == "" || q.Get("machine") == "" || q.Has("group") {
			return nil, api.Errorf(api.ClassUsage, "explain which update on which machine?")
		}
		return c.cfg.Source.Explain(ctx, q.Get("update"), q.Get("machine"))
	}
	return c.cfg.Source.Status(ctx, api.StatusQuery{Machine: q.Get("machine"), Update: q.Get("update"), Group: q.Get("group")})
}

// fail answers with the class of an error and what people may read of it.
func fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	switch api.ClassOf(err) {
	case api.ClassUsage:
		code = http.StatusBadRequest
	case api.ClassNotFound:
		code = http.StatusNotFound
	}
	http.Error(w, api.Clean(err.Error()), code)
}

// bounded lets only so many connections in at once. The next one is closed: to have it wait in line would let silent
// ones keep everybody out for as long as they like.
type bounded struct {
	net.Listener
	slots chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.slots <- struct{}{}:
			return &slotted{Conn: c, free: sync.OnceFunc(func() { <-b.slots })}, nil
		default:
			_ = c.Close()
		}
	}
}

// slotted is a connection that gives its place back when it is closed.
type slotted struct {
	net.Conn
	free func()
}

// Close implements net.Conn.
func (s *slotted) Close() error {
	s.free()
	return s.Conn.Close()
}
