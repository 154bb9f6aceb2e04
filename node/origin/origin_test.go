package origin

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

func get(t *testing.T, base, file string, limit int) ([]byte, error) {
	t.Helper()
	c := New(Config{})
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return c.Get(ctx, base, file, limit)
}

func TestGetBringsAFile(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.EscapedPath() != "/meta/1.a%2Fb%3F.json" || r.Header.Get("Accept-Encoding") != "identity" || r.Method != http.MethodGet {
			http.Error(w, r.URL.EscapedPath(), http.StatusTeapot)
			return
		}
		fmt.Fprint(w, "bytes")
	})
	for _, base := range []string{"/meta", "/meta/", "/meta//"} {
		if b, err := get(t, url+base, "1.a%2Fb%3F.json", 5); string(b) != "bytes" || err != nil {
			t.Errorf("%s: %q, %v", base, b, err)
		}
	}
}

func TestStatusSaysWhatIsThere(t *testing.T) {
	for status, want := range map[int]error{
		http.StatusOK: nil, http.StatusNotFound: ErrNotFound, http.StatusForbidden: ErrNotFound, http.StatusGone: ErrNotFound,
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if _, err := get(t, url, "x", 10); !errors.Is(err, want) {
			t.Errorf("status %d: %v, want %v", status, err, want)
		}
	}
	for _, status := range []int{201, 204, 206, 300, 304, 400, 401, 418, 429, 500, 503} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if _, err := get(t, url, "x", 10); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

// Every way to say more than may be: announced, chunked, without end, with a lie about the length.
func TestNoMoreThanTheLimitIsRead(t *testing.T) {
	var sent atomic.Int64
	for name, h := range map[string]http.HandlerFunc{
		"one byte more, announced": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 101)) },
		"one byte more, chunked": func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = w.Write(make([]byte, 101))
		},
		"without end": func(w http.ResponseWriter, _ *http.Request) {
			for b := make([]byte, 64<<10); ; {
				n, err := w.Write(b)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		},
		"2^63-1 announced": func(w http.ResponseWriter, _ *http.Request) { raw(w, "Content-Length: 9223372036854775807", "x") },
	} {
		url := serve(t, h)
		b, err := get(t, url, "x", 100)
		if !errors.Is(err, ErrTooLarge) || b != nil {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	// What the kernel's buffers took before the connection was closed, and no more.
	if sent.Load() > 64<<20 {
		t.Errorf("%d bytes were taken from an endless file", sent.Load())
	}
	if b, err := get(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 100)) }), "x", 100); len(b) != 100 || err != nil {
		t.Errorf("just at the limit: %d bytes, %v", len(b), err)
	}
}

// raw answers with a header that net/http would not write.
func raw(w http.ResponseWriter, header, body string) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s\r\nConnection: close\r\n\r\n%s", header, body)
}

func TestHostileHeaders(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		want   error
	}{
		"cut off":               {"Content-Length: 50", ErrTruncated},
		"cut off in a chunk":    {"Transfer-Encoding: chunked", ErrTruncated},
		"gzip":                  {"Content-Encoding: gzip\r\nContent-Length: 4", ErrRefused},
		"an unknown encoding":   {"Content-Encoding: zstd, identity\r\nContent-Length: 4", ErrRefused},
		"two encodings":         {"Content-Encoding: identity\r\nContent-Encoding: br\r\nContent-Length: 4", ErrRefused},
		"negative length":       {"Content-Length: -1", nil},
		"two lengths":           {"Content-Length: 4\r\nContent-Length: 5", nil},
		"a header without end":  {"X: " + strings.Repeat("x", 256<<10), nil},
		"headers without end":   {strings.Repeat("X: y\r\n", 64<<10) + "Z: z", nil},
		"no HTTP in the header": {"\x00\x01\x02", nil},
	} {
		body := "data"
		if c.header == "Transfer-Encoding: chunked" {
			body = "ff\r\ndata"
		}
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { raw(w, c.header, body) })
		b, err := get(t, url, "x", 100)
		if err == nil || b != nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: %q, %v, want %v", name, b, err, c.want)
		}
	}
	if b, err := get(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		raw(w, "Content-Encoding: identity\r\nContent-Length: 4", "data")
	}), "x", 100); string(b) != "data" || err != nil {
		t.Errorf("identity: %q, %v", b, err)
	}
}

// A bomb that net/http itself would unpack is not asked for and not taken.
func TestBombIsNotUnpacked(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 1<<20))
	_ = z.Close()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	if b, err := get(t, url, "x", 2<<20); !errors.Is(err, ErrRefused) || b != nil {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
}

func TestRedirectsStayOnTheHost(t *testing.T) {
	var touched atomic.Bool
	var rounds atomic.Int64
	inside := serve(t, func(w http.ResponseWriter, _ *http.Request) { touched.Store(true); fmt.Fprint(w, "secret") })
	var own string
	own = serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, inside+"/latest/meta-data", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/user":
			http.Redirect(w, r, strings.Replace(own, "http://", "http://a:b@", 1)+"/there", http.StatusFound)
		case "/tls":
			http.Redirect(w, r, strings.Replace(own, "http:", "https:", 1)+"/there", http.StatusFound)
		case "/round":
			rounds.Add(1)
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/once":
			http.Redirect(w, r, "/there", http.StatusMovedPermanently)
		default:
			fmt.Fprint(w, "here")
		}
	})
	for _, path := range []string{"away", "user", "tls", "round", "file"} {
		if b, err := get(t, own, path, 100); !errors.Is(err, ErrRefused) || b != nil {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	if n := rounds.Load(); n > maxRedirects+1 {
		t.Errorf("%d rounds were gone", n)
	}
	if touched.Load() {
		t.Error("another host was asked")
	}
	if b, err := get(t, own, "once", 100); string(b) != "here" || err != nil {
		t.Errorf("once: %q, %v", b, err)
	}
}

func TestOnlyPlainFoldersOfTheWebAreBases(t *testing.T) {
	for _, bad := range []string{
		"", "example.org", "ftp://example.org/", "file:///etc", "http://", "http:///x", "https://user:secret@example.org/", "http://user@example.org/",
		"http://example.org/?x", "http://example.org/?", "http://example.org/#f", "http://exa mple.org/", "javascript:alert(1)", "http://[::1", "\x7f", "gopher://h/",
	} {
		if got, err := ParseBase(bad); !errors.Is(err, ErrURL) {
			t.Errorf("%q: %q, %v", bad, got, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells a password: %v", err)
		}
		if _, err := get(t, bad, "x", 10); !errors.Is(err, ErrURL) {
			t.Errorf("get from %q: %v", bad, err)
		}
	}
	for in, want := range map[string]string{"http://h": "http://h/", "https://h:8443/a/b": "https://h:8443/a/b/", "http://[::1]:80/": "http://[::1]:80/"} {
		if got, err := ParseBase(in); got != want || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	if _, err := get(t, "http://h", "a\nb", 10); !errors.Is(err, ErrURL) {
		t.Errorf("a file with a line break: %v", err)
	}
}

// A host that trickles loses, whatever limit is left; one that is slow but steady does not.
func TestTricklingHostIsLeft(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	trickle := func(every time.Duration, n int) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < 1000; i++ {
				if _, err := w.Write(make([]byte, n)); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				select {
				case <-time.After(every):
				case <-r.Context().Done():
					return
				case <-stop:
					return
				}
			}
		})
	}
	c := New(Config{Window: 300 * time.Millisecond, MinBytes: 1 << 10})
	defer c.Close()
	began := time.Now()
	err := c.Download(context.Background(), trickle(20*time.Millisecond, 1), "x", 1<<30, io.Discard)
	if !errors.Is(err, ErrSlow) || time.Since(began) > 20*time.Second {
		t.Fatalf("%v after %v", err, time.Since(began))
	}
	steady := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 8 {
			_, _ = w.Write(make([]byte, 64<<10))
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond) // paces what is sent; nothing is awaited
		}
	})
	var got bytes.Buffer
	if err := New(Config{Window: 5 * time.Second, MinBytes: 1 << 10}).Download(context.Background(), steady, "x", 1<<30, &got); err != nil || got.Len() != 512<<10 {
		t.Fatalf("steady: %d bytes, %v", got.Len(), err)
	}
}

// A host that takes the connection and says nothing costs no more than the wait.
func TestSilentHostIsLeft(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := New(Config{Wait: 200 * time.Millisecond})
	began := time.Now()
	if _, err := c.Get(context.Background(), "http://"+l.Addr().String(), "x", 10); err == nil || time.Since(began) > 20*time.Second {
		t.Fatalf("%v after %v", err, time.Since(began))
	}
}

func TestCallerCanGiveUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	if _, err := New(Config{}).Get(ctx, url, "x", 10); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriterThatFailsEndsTheFetch(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "bytes") })
	if err := New(Config{}).Download(context.Background(), url, "x", 10, full{}); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("%v", err)
	}
}

func FuzzParseBase(f *testing.F) {
	f.Add("https://example.org/a")
	f.Add("http://[::1%25x]:1/..//?#")
	f.Fuzz(func(t *testing.T, text string) {
		base, err := ParseBase(text)
		if err != nil {
			return
		}
		again, err := ParseBase(base)
		if err != nil || again != base || !strings.HasPrefix(base, "http") || !strings.HasSuffix(base, "/") {
			t.Fatalf("%q gives %q, then %q, %v", text, base, again, err)
		}
	})
}

// FuzzAnswer lets a host say anything at all.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndata"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"))
	var answer []byte
	c := New(Config{Wait: 5 * time.Second})
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return ErrRefused }
	transport := c.http.Transport.(*http.Transport)
	transport.DisableKeepAlives = true
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func(b []byte) {
			_, _ = theirs.Read(make([]byte, 4096))
			_, _ = theirs.Write(b)
			_ = theirs.Close()
		}(answer)
		return ours, nil
	}
	f.Cleanup(c.Close)
	f.Fuzz(func(t *testing.T, b []byte) {
		answer = b
		got, err := c.Get(context.Background(), "http://192.0.2.1", "x", 64)
		if len(got) > 64 || err != nil && got != nil {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	})
}
