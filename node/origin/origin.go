package origin

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// What a fetch may end with, beside errors of the network and of the writer.
var (
	ErrNotFound  = errors.New("the host does not have it")
	ErrTooLarge  = errors.New("larger than it may be")
	ErrTruncated = errors.New("the answer ends too early")
	ErrRefused   = errors.New("the answer is not one to be taken")
	ErrSlow      = errors.New("the host is too slow")
	ErrURL       = errors.New("not a URL that may be fetched from")
)

// maxRedirects on one fetch; each leads to the same host.
const maxRedirects = 3

// Config of a Client. The zero value has the defaults.
type Config struct {
	// Wait bounds the time until a connection stands, and again until the header of the answer is
	// there. Default 20 s.
	Wait time.Duration
	// Window and MinBytes: fewer bytes than MinBytes within a Window end the fetch. Default 4 KiB
	// within 10 s; an honest line of 64 kbit/s carries 80 KiB in that time.
	Window   time.Duration
	MinBytes int64
	// Agent is sent as User-Agent. Default "patchmesh".
	Agent string
	// Roots are the certificate authorities that count. Nil: those of the system. Ranged only.
	Roots *x509.CertPool
	// Proxy finds the proxy for a request. Nil: as the environment says.
	Proxy func(*http.Request) (*url.URL, error)
}

// Client fetches files. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
}

// New makes a client.
func New(cfg Config) *Client {
	cfg = cfg.withDefaults()
	return &Client{cfg: cfg, http: &http.Client{Transport: cfg.transport(), CheckRedirect: sameHost}}
}

func (cfg Config) withDefaults() Config {
	if cfg.Wait <= 0 {
		cfg.Wait = 20 * time.Second
	}
	if cfg.Window <= 0 {
		cfg.Window = 10 * time.Second
	}
	if cfg.MinBytes <= 0 {
		cfg.MinBytes = 4 << 10
	}
	if cfg.Agent == "" {
		cfg.Agent = "patchmesh"
	}
	return cfg
}

func (cfg Config) transport() *http.Transport {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: cfg.Wait}).DialContext,
		TLSHandshakeTimeout:    cfg.Wait,
		ResponseHeaderTimeout:  cfg.Wait,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    2,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // a decompressed answer has no known size
		ForceAttemptHTTP2:      true,
	}
	if cfg.Proxy != nil {
		t.Proxy = cfg.Proxy
	}
	return t
}

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// sameHost refuses redirects to anywhere else: a host that was taken over must not be able to send
// machines of the inside to other addresses of the inside.
func sameHost(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects: %w", maxRedirects, ErrRefused)
	}
	if from := via[0].URL; r.URL.Scheme != from.Scheme || r.URL.Host != from.Host || r.URL.User != nil {
		return fmt.Errorf("a redirect from %s to %.200q: %w", from.Host, r.URL.Host, ErrRefused)
	}
	return nil
}

// ParseBase checks a base URL and ends it with a slash. ErrURL for anything but a plain folder of an
// http or https host.
func ParseBase(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", fmt.Errorf("%.200q: %w", text, ErrURL)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return "", fmt.Errorf("%.200q is neither http:// nor https://: %w", text, ErrURL)
	case u.User != nil:
		return "", fmt.Errorf("the URL holds a user name or password, which would end up in logs: %w", ErrURL)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", fmt.Errorf("%.200q has a query or a fragment: %w", text, ErrURL)
	}
	base := strings.TrimRight(u.String(), "/") + "/"
	// What is written is what is read again later: a zone that is no text would be another host then, or none.
	if again, err := url.Parse(base); err != nil || again.String() != base || again.Host != u.Host {
		return "", fmt.Errorf("%.200q has no spelling of its own: %w", text, ErrURL)
	}
	return base, nil
}

// Get brings a file of at most limit bytes into memory.
func (c *Client) Get(ctx context.Context, base, file string, limit int) ([]byte, error) {
	var b bytes.Buffer
	if err := c.Download(ctx, base, file, int64(limit), &b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Download streams a file of at most limit bytes into w, which the caller throws away on any error.
func (c *Client) Download(ctx context.Context, base, file string, limit int64, w io.Writer) error {
	if err := c.download(ctx, base, file, limit, w); err != nil {
		return fmt.Errorf("get %.200s: %w", file, err)
	}
	return nil
}

func (c *Client) download(ctx context.Context, base, file string, limit int64, w io.Writer) error {
	base, err := ParseBase(base)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+file, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrURL, err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("User-Agent", c.cfg.Agent)
	resp, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := checkHeader(resp, limit); err != nil {
		return err
	}
	watched := watch(c.cfg, resp.Body, stop)
	defer watched.end()
	n, err := io.Copy(w, io.LimitReader(watched, limit+1))
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrSlow):
		return fmt.Errorf("%d bytes so far: %w", n, ErrSlow)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%d bytes of %d: %w", n, resp.ContentLength, ErrTruncated)
	case err != nil:
		return err
	case n > limit:
		return fmt.Errorf("more than %d bytes: %w", limit, ErrTooLarge)
	}
	return nil
}

func checkHeader(resp *http.Response, limit int64) error {
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusForbidden, http.StatusGone:
		return fmt.Errorf("status %d: %w", resp.StatusCode, ErrNotFound)
	default:
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	if err := checkEncoding(resp); err != nil {
		return err
	}
	if resp.ContentLength > limit {
		return fmt.Errorf("%d bytes are announced, at most %d may be: %w", resp.ContentLength, limit, ErrTooLarge)
	}
	return nil
}

// checkEncoding refuses whatever would have to be unpacked.
func checkEncoding(resp *http.Response) error {
	for _, e := range resp.Header.Values("Content-Encoding") {
		if e != "" && !strings.EqualFold(e, "identity") {
			return fmt.Errorf("encoded as %.40q, which was not asked for: %w", e, ErrRefused)
		}
	}
	return nil
}
