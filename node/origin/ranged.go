package origin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What a ranged fetch may end with, beside those of a whole file.
var (
	// ErrChanged: the file there is not the one that was signed: another size, or another version than a
	// moment before.
	ErrChanged = errors.New("the file at the host is another one")
	// ErrNoRanges: the host sends whole files only.
	ErrNoRanges = errors.New("the host does not send parts of files")
	// ErrProxyAuth: the proxy wants to know who asks.
	ErrProxyAuth = errors.New("the proxy wants a password")
)

// Part is a range of one file. All of it comes from signed documents, never from a peer.
type Part struct {
	URL       string
	Hosts     []string // to which redirects may lead, beside the URL's own
	SizeBytes int64    // of the whole file
	From      int64    // of the first byte
}

// Pace slows reading down; see transport.Pace.
type Pace interface {
	Wait(stop <-chan struct{}) bool
	Took(n int)
}

// maxConnsPerHost bounds what is open at one web host: a guest does not take all chairs.
const maxConnsPerHost = 4

// maxTags bounds the remembered versions of files.
const maxTags = 256

// Ranged fetches parts of files. It is safe for concurrent use.
type Ranged struct {
	cfg  Config
	pace Pace // may be nil
	t    *http.Transport

	mu      sync.Mutex
	tags    map[string]string // version of the file at a URL, for If-Range
	proxies map[string]bool   // host:port of the proxies in use
	counts  map[string]*HostCount
}

// HostCount is what one host has given.
type HostCount struct {
	Bytes, Failed int64
	Last          error // of the last failure; nil: none since the last success
}

// NewRanged makes one. TLS is of version 1.2 at least; certificates are judged by the system's roots.
func NewRanged(cfg Config, pace Pace) *Ranged {
	if cfg.Window <= 0 {
		cfg.Window = 5 * time.Second // somebody else can be asked for the same bytes
	}
	cfg = cfg.withDefaults()
	r := &Ranged{cfg: cfg, pace: pace, tags: map[string]string{}, proxies: map[string]bool{}, counts: map[string]*HostCount{}}
	r.t = cfg.transport()
	r.t.MaxConnsPerHost = maxConnsPerHost
	r.t.MaxIdleConnsPerHost = maxConnsPerHost
	r.t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.Roots}
	r.t.DialContext = r.dial
	proxy := r.t.Proxy
	r.t.Proxy = func(q *http.Request) (*url.URL, error) {
		u, err := proxy(q)
		if u != nil {
			r.mu.Lock()
			r.proxies[proxyAddr(u)] = true
			r.mu.Unlock()
		}
		return u, err
	}
	r.t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
		if resp.StatusCode == http.StatusProxyAuthRequired {
			return ErrProxyAuth
		}
		return nil
	}
	return r
}

// Close gives idle connections back.
func (r *Ranged) Close() { r.t.CloseIdleConnections() }

// ParseFile checks the URL of a file. ErrURL for anything but http or https without secrets.
func ParseFile(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%.200q: %w", text, ErrURL)
	case u.User != nil:
		return nil, fmt.Errorf("the URL holds a user name or password, which would end up in logs: %w", ErrURL)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Opaque != "", u.Fragment != "" || strings.Contains(text, "#"):
		return nil, fmt.Errorf("%.200q is no file of an http or https host: %w", text, ErrURL)
	}
	return u, nil
}

// Fetch fills buf with the bytes of the file that begin at p.From. It reads no more of the answer than
// that. Nothing of an answer is believed: the caller verifies the bytes.
func (r *Ranged) Fetch(ctx context.Context, p Part, buf []byte) error {
	u, err := ParseFile(p.URL)
	if err != nil {
		return err
	}
	err = r.fetch(ctx, u, p, buf)
	r.count(u.Host, len(buf), err)
	if err != nil {
		return fmt.Errorf("bytes %d-%d of %s: %w", p.From, p.From+int64(len(buf))-1, u.Redacted(), err)
	}
	return nil
}

func (r *Ranged) fetch(ctx context.Context, u *url.URL, p Part, buf []byte) error {
	if len(buf) == 0 || p.From < 0 || p.From+int64(len(buf)) > p.SizeBytes {
		return fmt.Errorf("%d bytes of %d: %w", len(buf), p.SizeBytes, ErrURL)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrURL, err)
	}
	q.Header.Set("Accept-Encoding", "identity")
	q.Header.Set("User-Agent", r.cfg.Agent)
	q.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", p.From, p.From+int64(len(buf))-1))
	tag := r.tag(p.URL)
	if tag != "" {
		q.Header.Set("If-Range", tag)
	}
	if r.pace != nil && !r.pace.Wait(ctx.Done()) {
		return ctx.Err()
	}
	c := http.Client{Transport: r.t, CheckRedirect: redirects(u, p.Hosts)}
	resp, err := c.Do(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := r.checkPart(resp, p, len(buf), tag); err != nil {
		return err
	}
	return r.read(ctx, stop, resp, buf)
}

// read takes the bytes at the pace that is set, and ends with an answer that trickles. Waiting for the
// pace is not the host's fault and does not count as trickling.
func (r *Ranged) read(ctx context.Context, stop context.CancelCauseFunc, resp *http.Response, buf []byte) error {
	w := watch(r.cfg, resp.Body, stop)
	defer w.end()
	for n := 0; n < len(buf); {
		if r.pace != nil {
			began := time.Now()
			w.pause()
			if !r.pace.Wait(ctx.Done()) {
				return ctx.Err()
			}
			w.resume(time.Since(began) > 10*time.Millisecond)
		}
		m, err := w.Read(buf[n:min(len(buf), n+readPiece)])
		if r.pace != nil {
			r.pace.Took(m)
		}
		n += m
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, ErrSlow):
			return fmt.Errorf("%d bytes so far: %w", n, ErrSlow)
		case n == len(buf):
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("%d bytes of %d: %w", n, len(buf), ErrTruncated)
		case err != nil:
			return err
		}
	}
	return nil // whatever follows is not read: its connection ends with this answer
}

// readPiece is how much is read between two looks at the pace.
const readPiece = 32 << 10

// checkPart accepts an answer that is exactly the range of exactly the file that was signed.
func (r *Ranged) checkPart(resp *http.Response, p Part, n int, tag string) error {
	whole := int64(n) == p.SizeBytes
	switch s := resp.StatusCode; {
	case s == http.StatusPartialContent:
	case s == http.StatusOK && whole:
	case s == http.StatusOK && tag != "":
		r.forget(p.URL)
		return fmt.Errorf("the whole file instead of a part of version %.80q: %w", tag, ErrChanged)
	case s == http.StatusOK:
		return ErrNoRanges
	case s == http.StatusRequestedRangeNotSatisfiable, s == http.StatusPreconditionFailed:
		r.forget(p.URL)
		return fmt.Errorf("status %d: %w", s, ErrChanged)
	case s == http.StatusNotFound, s == http.StatusForbidden, s == http.StatusGone:
		return fmt.Errorf("status %d: %w", s, ErrNotFound)
	case s == http.StatusProxyAuthRequired:
		return ErrProxyAuth
	default:
		return fmt.Errorf("status %d", s)
	}
	if err := checkEncoding(resp); err != nil {
		return err
	}
	if resp.ContentLength >= 0 && resp.ContentLength != int64(n) {
		return fmt.Errorf("%d bytes are announced instead of %d: %w", resp.ContentLength, n, ErrRefused)
	}
	if resp.StatusCode == http.StatusPartialContent {
		if err := checkContentRange(resp.Header.Values("Content-Range"), p, n); err != nil {
			return err
		}
	}
	r.remember(p.URL, resp, tag)
	return r.sameVersion(p.URL, resp, tag)
}

// checkContentRange accepts the one form "bytes FROM-TO/SIZE" with the numbers that were asked for.
// A part of parts (multipart/byteranges) has none and is refused with it.
func checkContentRange(values []string, p Part, n int) error {
	if len(values) != 1 {
		return fmt.Errorf("%d Content-Range headers: %w", len(values), ErrRefused)
	}
	text, ok := strings.CutPrefix(values[0], "bytes ")
	span, size, ok2 := strings.Cut(text, "/")
	from, to, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return fmt.Errorf("Content-Range %.80q: %w", values[0], ErrRefused)
	}
	var at [3]int64
	for i, s := range []string{from, to, size} {
		v, err := strconv.ParseUint(s, 10, 63)
		if err != nil || strconv.FormatUint(v, 10) != s {
			return fmt.Errorf("Content-Range %.80q: %w", values[0], ErrRefused)
		}
		at[i] = int64(v)
	}
	switch {
	case at[2] != p.SizeBytes:
		return fmt.Errorf("a file of %d bytes instead of %d: %w", at[2], p.SizeBytes, ErrChanged)
	case at[0] != p.From || at[1] != p.From+int64(n)-1:
		return fmt.Errorf("bytes %d-%d instead of %d-%d: %w", at[0], at[1], p.From, p.From+int64(n)-1, ErrRefused)
	}
	return nil
}

// redirects lets a redirect lead to the URL's own host or to one that was signed beside it, never from
// TLS to plain, never with a password: a host that was taken over must not be able to send machines of
// the inside to other addresses of the inside.
func redirects(from *url.URL, hosts []string) func(*http.Request, []*http.Request) error {
	return func(q *http.Request, via []*http.Request) error {
		to := q.URL
		switch {
		case len(via) > maxRedirects:
			return fmt.Errorf("more than %d redirects: %w", maxRedirects, ErrRefused)
		case to.User != nil, to.Scheme != "http" && to.Scheme != "https", via[len(via)-1].URL.Scheme == "https" && to.Scheme != "https":
			return fmt.Errorf("a redirect to %.200q: %w", to.Redacted(), ErrRefused)
		case strings.EqualFold(to.Host, from.Host) && to.Scheme == from.Scheme:
			return nil
		case slices.ContainsFunc(append([]string{from.Hostname()}, hosts...), func(h string) bool { return hostIs(to, h) }):
			return nil
		}
		return fmt.Errorf("a redirect from %s to %.200q, which was not signed: %w", from.Host, to.Host, ErrRefused)
	}
}

// hostIs compares a URL with "name" (then its port is that of its scheme) or "name:port".
func hostIs(u *url.URL, host string) bool {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	name, want, err := net.SplitHostPort(host)
	if err != nil {
		name, want = host, map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return strings.EqualFold(u.Hostname(), strings.Trim(name, "[]")) && port == want
}

// dial opens a connection. A name that leads to this machine itself, to the link or to nobody is not
// followed: who controls the name of a vendor must not reach services that trust their own machine. A
// literal address stands in a signed document or in the administrator's environment.
func (r *Ranged) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: r.cfg.Wait}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	proxy := r.proxies[addr]
	r.mu.Unlock()
	if net.ParseIP(host) == nil && !proxy {
		d.Control = controlOutside
	}
	return d.DialContext(ctx, network, addr)
}

func proxyAddr(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// outside says whether an address may be what a name stands for.
func outside(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	host, _, _ = strings.Cut(host, "%")
	ip := net.ParseIP(host)
	if ip == nil || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return fmt.Errorf("the name stands for %s: %w", host, ErrRefused)
	}
	return nil
}

// count books what a host has given.
func (r *Ranged) count(host string, n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.counts[host]
	if c == nil {
		if len(r.counts) >= maxTags {
			clear(r.counts)
		}
		c = &HostCount{}
		r.counts[host] = c
	}
	c.Last = err
	if err != nil {
		c.Failed++
	} else {
		c.Bytes += int64(n)
	}
}

// Counts is what each host has given, by host and port.
func (r *Ranged) Counts() map[string]HostCount {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]HostCount{}
	for h, c := range r.counts {
		out[h] = *c
	}
	return out
}

func (r *Ranged) tag(u string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tags[u]
}

func (r *Ranged) forget(u string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tags, u)
}

// remember keeps the version of a file: a strong entity tag, else its date. A weak tag is no use for
// ranges (RFC 9110, 13.1.5).
func (r *Ranged) remember(u string, resp *http.Response, before string) {
	if before != "" {
		return
	}
	tag := versionOf(resp)
	r.mu.Lock()
	defer r.mu.Unlock()
	if tag != "" && r.tags[u] == "" {
		if len(r.tags) >= maxTags {
			clear(r.tags)
		}
		r.tags[u] = tag
	}
}

func versionOf(resp *http.Response) string {
	if t := resp.Header.Get("ETag"); len(t) >= 2 && len(t) <= 256 && t[0] == '"' && t[len(t)-1] == '"' {
		return t
	}
	if d := resp.Header.Get("Last-Modified"); resp.Header.Get("ETag") == "" {
		if _, err := time.Parse(http.TimeFormat, d); err == nil {
			return d
		}
	}
	return ""
}

// sameVersion refuses a part of another version than the one that was asked for.
func (r *Ranged) sameVersion(u string, resp *http.Response, tag string) error {
	if now := versionOf(resp); tag != "" && now != "" && now != tag {
		r.forget(u)
		return fmt.Errorf("version %.80q instead of %.80q: %w", now, tag, ErrChanged)
	}
	return nil
}
