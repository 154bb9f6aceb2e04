package origin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// file is what the vendor's host serves in these tests.
var file = func() []byte {
	b := make([]byte, 100_000)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(b)
	return b
}()

const from, size = 30_000, 5_000

func part(u string) Part { return Part{URL: u, SizeBytes: int64(len(file)), From: from} }

func quick() Config {
	return Config{Wait: 2 * time.Second, Window: 200 * time.Millisecond, MinBytes: 1000}
}

func fetchPart(t *testing.T, r *Ranged, p Part) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	buf := make([]byte, size)
	err := r.Fetch(ctx, p, buf)
	return buf, err
}

// honest serves the file as http.ServeContent does, which knows ranges and If-Range.
func honest(tag string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		if tag != "" {
			w.Header().Set("ETag", tag)
		}
		http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(file))
	}
}

func TestRangedBringsParts(t *testing.T) {
	var asked sync.Map
	h := honest(`"v1"`)
	u := serve(t, func(w http.ResponseWriter, q *http.Request) {
		asked.Store(q.Header.Get("Range"), q.Header.Get("If-Range")+"|"+q.Header.Get("Accept-Encoding"))
		h(w, q)
	}) + "/pool/x.deb?build=7"
	r := NewRanged(quick(), nil)
	defer r.Close()
	for _, p := range []Part{{u, nil, int64(len(file)), 0}, {u, nil, int64(len(file)), from}, {u, nil, int64(len(file)), int64(len(file)) - size}} {
		b, err := fetchPart(t, r, p)
		if err != nil || !bytes.Equal(b, file[p.From:p.From+size]) {
			t.Errorf("from %d: %v", p.From, err)
		}
	}
	if v, _ := asked.Load("bytes=0-4999"); v != "|identity" {
		t.Errorf("first request: %v", v)
	}
	if v, _ := asked.Load("bytes=30000-34999"); v != `"v1"|identity` {
		t.Errorf("the version was not asked for: %v", v)
	}
	for host, c := range r.Counts() {
		if c.Bytes != 3*size || c.Failed != 0 || !strings.Contains(u, host) {
			t.Errorf("%s: %+v", host, c)
		}
	}
}

// A whole file that is one chunk may come as such.
func TestRangedTakesASmallFileWhole(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file[:size]) })
	r := NewRanged(quick(), nil)
	defer r.Close()
	if b, err := fetchPart(t, r, Part{u, nil, size, 0}); err != nil || !bytes.Equal(b, file[:size]) {
		t.Error(err)
	}
}

// The vendor publishes another file under the same URL between two parts.
func TestRangedNoticesAnotherVersion(t *testing.T) {
	var tag atomic.Value
	tag.Store(`"v1"`)
	u := serve(t, func(w http.ResponseWriter, q *http.Request) { honest(tag.Load().(string))(w, q) })
	r := NewRanged(quick(), nil)
	defer r.Close()
	if _, err := fetchPart(t, r, part(u)); err != nil {
		t.Fatal(err)
	}
	tag.Store(`"v2"`)
	if _, err := fetchPart(t, r, part(u)); !errors.Is(err, ErrChanged) {
		t.Errorf("another version: %v", err)
	}
	if _, err := fetchPart(t, r, part(u)); err != nil { // the new version may be the right one: hashes say so
		t.Errorf("after that: %v", err)
	}
}

// reply is one dishonest answer. Its body is what follows the header.
type reply struct {
	name   string
	status string
	header []string
	body   string
	want   error // nil: any error
}

// TestSWAN is suite S-WAN: what a man in the middle, a broken proxy or a host that was taken over may
// answer to the request for a part. Every case ends in an error of its kind, quickly, without a byte more
// than the part, and nothing but the signed hosts is ever touched.
func TestSWAN(t *testing.T) {
	cases := swanReplies()
	if len(cases) < 150 {
		t.Fatalf("%d cases", len(cases))
	}
	var now atomic.Pointer[reply]
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var sent atomic.Int64
	go answer(ln, &now, &sent)
	u := "http://" + ln.Addr().String() + "/x.deb"
	for _, c := range cases {
		now.Store(&c)
		sent.Store(0)
		r := NewRanged(quick(), nil)
		began := time.Now()
		b, err := fetchPart(t, r, part(u))
		r.Close()
		if err == nil {
			t.Errorf("%s: taken, %d bytes", c.name, len(b))
		}
		if c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("%s took %v", c.name, d)
		}
		if n := sent.Load(); n > 4<<20 { // what the kernel's buffers took
			t.Errorf("%s: %d bytes were taken", c.name, n)
		}
	}
	t.Logf("%d cases", len(cases))
}

// answer speaks to every connection as the present case says.
func answer(ln net.Listener, now *atomic.Pointer[reply], sent *atomic.Int64) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = c.Read(make([]byte, 4096))
			r := now.Load()
			fmt.Fprintf(c, "HTTP/1.1 %s\r\n%s\r\n\r\n", r.status, strings.Join(append(r.header, "Connection: close"), "\r\n"))
			switch r.body {
			case "endless":
				for b := make([]byte, 64<<10); ; {
					n, err := c.Write(b)
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			case "silent":
				_, _ = c.Read(make([]byte, 1)) // until the other side gives up
			case "trickle":
				for range 200 {
					if _, err := c.Write([]byte("x")); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			default:
				n, _ := c.Write([]byte(r.body))
				sent.Add(int64(n))
			}
		}()
	}
}

// swanReplies makes the table.
func swanReplies() []reply {
	body := string(file[from : from+size])
	length := func(n int) string { return "Content-Length: " + strconv.Itoa(n) }
	span := func(a, b, s any) string { return fmt.Sprintf("Content-Range: bytes %v-%v/%v", a, b, s) }
	right := span(from, from+size-1, len(file))
	var out []reply
	add := func(name, status string, want error, body string, header ...string) {
		out = append(out, reply{name, status, header, body, want})
	}
	// Status codes other than 206, with an otherwise perfect answer.
	for _, s := range []int{201, 202, 203, 204, 205, 226, 300, 301, 303, 304, 305, 307, 308, 400, 401, 402, 405, 406, 408, 409, 411, 413, 414, 417, 418, 421, 425, 429, 431, 451, 500, 501, 502, 503, 504, 507, 511, 599, 600, 999} {
		add(fmt.Sprintf("status %d", s), fmt.Sprintf("%d X", s), nil, body, right, length(size))
	}
	for _, s := range []int{403, 404, 410} {
		add(fmt.Sprintf("status %d", s), fmt.Sprintf("%d X", s), ErrNotFound, body, right, length(size))
	}
	for _, s := range []int{412, 416} {
		add(fmt.Sprintf("status %d", s), fmt.Sprintf("%d X", s), ErrChanged, body, right, length(size))
	}
	add("proxy authentication", "407 X", ErrProxyAuth, "", length(0))
	add("the whole file", "200 OK", ErrNoRanges, string(file), length(len(file)))
	add("the whole file, chunked", "200 OK", ErrNoRanges, "endless", "Transfer-Encoding: chunked")
	add("the part as if it were the whole", "200 OK", ErrNoRanges, body, length(size))
	// Content-Range.
	for name, h := range map[string]string{
		"of another place": span(from+1, from+size, len(file)), "of the beginning": span(0, size-1, len(file)), "shorter": span(from, from+size-2, len(file)),
		"longer": span(from, from+size, len(file)), "backwards": span(from+size-1, from, len(file)), "unknown size": span(from, from+size-1, "*"),
		"negative": span(-from, from+size-1, len(file)), "unsatisfied": "Content-Range: bytes */100000", "no unit": fmt.Sprintf("Content-Range: %d-%d/%d", from, from+size-1, len(file)),
		"other unit": fmt.Sprintf("Content-Range: items %d-%d/%d", from, from+size-1, len(file)), "leading zero": span("030000", from+size-1, len(file)),
		"plus sign": span("+30000", from+size-1, len(file)), "hexadecimal": span("0x7530", from+size-1, len(file)), "spaces": fmt.Sprintf("Content-Range: bytes %d - %d / %d", from, from+size-1, len(file)),
		"float": span("3e4", from+size-1, len(file)), "overflow": span(from, "18446744073709551616", len(file)), "2^63": span(from, "9223372036854775808", len(file)),
		"empty": "Content-Range:", "words": "Content-Range: bytes", "two spans": fmt.Sprintf("Content-Range: bytes %d-%d,0-1/%d", from, from+size-1, len(file)),
		"tail": fmt.Sprintf("Content-Range: bytes %d-%d/%d x", from, from+size-1, len(file)), "upper case": fmt.Sprintf("Content-Range: BYTES %d-%d/%d", from, from+size-1, len(file)),
	} {
		add("range "+name, "206 P", ErrRefused, body, h, length(size))
	}
	for name, s := range map[string]any{"one less": len(file) - 1, "one more": len(file) + 1, "zero": 0, "huge": int64(1) << 62, "the part": size} {
		add("file size "+name, "206 P", ErrChanged, body, span(from, from+size-1, s), length(size))
	}
	add("no range header", "206 P", ErrRefused, body, length(size))
	add("two range headers", "206 P", ErrRefused, body, right, right, length(size))
	add("two ranges that differ", "206 P", ErrRefused, body, right, span(0, size-1, len(file)), length(size))
	add("parts of parts", "206 P", ErrRefused, "--x\r\n"+right+"\r\n\r\n"+body+"\r\n--x--", "Content-Type: multipart/byteranges; boundary=x")
	// Encodings: compression tricks.
	for _, e := range []string{"gzip", "deflate", "br", "zstd", "compress", "x-gzip", "gzip, identity", "identity, gzip", "aes128gcm", "exi", "pack200-gzip", "GZIP", "*", "unknown", "identity;q=1"} {
		add("encoding "+e, "206 P", ErrRefused, body, right, length(size), "Content-Encoding: "+e)
	}
	add("two encodings", "206 P", ErrRefused, body, right, length(size), "Content-Encoding: identity", "Content-Encoding: gzip")
	for _, e := range []string{"gzip", "gzip, chunked", "deflate", "identity, chunked", "compress"} {
		add("transfer encoding "+e, "206 P", nil, body, right, "Transfer-Encoding: "+e)
	}
	// Lengths.
	for _, n := range []int{size - 1, size + 1, 0, 2 * size, len(file), 1 << 40} {
		add(fmt.Sprintf("length %d", n), "206 P", ErrRefused, body, right, length(n))
	}
	add("length 2^63-1", "206 P", ErrRefused, "endless", right, "Content-Length: 9223372036854775807")
	for _, n := range []string{"-1", "5000, 5000x", "0x1388", "5e3", "18446744073709551616", "abc"} {
		add("length "+n, "206 P", nil, body, right, "Content-Length: "+n)
	}
	add("two lengths", "206 P", nil, body, right, length(size), length(size+1))
	// Bodies.
	for _, n := range []int{0, 1, size / 2, size - 1} {
		add(fmt.Sprintf("cut after %d", n), "206 P", ErrTruncated, body[:n], right, length(size))
		add(fmt.Sprintf("cut after %d, no length", n), "206 P", ErrTruncated, body[:n], right)
		add(fmt.Sprintf("cut after %d in a chunk", n), "206 P", ErrTruncated, fmt.Sprintf("%x\r\n%s", size, body[:n]), right, "Transfer-Encoding: chunked")
	}
	add("chunks that are none", "206 P", nil, "zz\r\nxx", right, "Transfer-Encoding: chunked")
	add("a chunk of 2^64", "206 P", nil, "ffffffffffffffffff\r\nxx", right, "Transfer-Encoding: chunked")
	add("a chunk without end of size", "206 P", nil, strings.Repeat("0", 1<<20), right, "Transfer-Encoding: chunked")
	add("an extension without end", "206 P", nil, "1;"+strings.Repeat("x", 1<<20), right, "Transfer-Encoding: chunked")
	add("silence", "206 P", ErrSlow, "silent", right, length(size))
	add("a trickle", "206 P", ErrSlow, "trickle", right, length(size))
	// Redirects away: to other hosts, schemes and addresses of the inside.
	for _, to := range []string{
		"http://127.0.0.1:1/x.deb", "http://127.0.0.1/x.deb", "http://localhost/x.deb", "http://[::1]/x.deb", "http://169.254.169.254/latest/meta-data", "http://0.0.0.0/",
		"http://10.0.0.1/", "http://192.168.0.1/", "http://evil.example/x.deb", "https://evil.example/x.deb", "//evil.example/x.deb", "file:///etc/passwd", "ftp://evil.example/x",
		"gopher://evil.example/", "javascript:alert(1)", "data:text/plain,x", "http://user:pw@127.0.0.1/x", "http://127.0.0.1.evil.example/", "http://evil.example#@127.0.0.1/", "http://2130706433/",
		"http://0x7f000001/", "http://127.1/", "unix:/run/docker.sock", "http://127.0.0.1:99999/", "http://[fe80::1%25eth0]/", "http://[::ffff:127.0.0.1]/",
	} {
		for _, s := range []int{302, 308} {
			add(fmt.Sprintf("redirect %d to %s", s, to), fmt.Sprintf("%d X", s), nil, "", "Location: "+to, length(0))
		}
	}
	add("a redirect to nowhere", "302 X", nil, "", length(0))
	add("round and round", "302 X", ErrRefused, "", "Location: /again", length(0))
	// Broken headers.
	for name, h := range map[string]string{
		"without end": "X: " + strings.Repeat("x", 256<<10), "many": strings.Repeat("X: y\r\n", 32<<10) + "Z: z", "no colon": "nonsense", "control characters": "X\x01: y",
	} {
		add("header "+name, "206 P", nil, body, h, right, length(size))
	}
	return out
}

// Redirects within the host and to signed hosts are followed, and only those.
func TestRangedFollowsSignedRedirects(t *testing.T) {
	var touched atomic.Int64
	other := serve(t, func(w http.ResponseWriter, q *http.Request) { touched.Add(1); honest("")(w, q) })
	own := serve(t, func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/away":
			http.Redirect(w, q, other+"/x", http.StatusFound)
		case "/within":
			http.Redirect(w, q, "/x", http.StatusFound)
		default:
			honest("")(w, q)
		}
	})
	r := NewRanged(quick(), nil)
	defer r.Close()
	if _, err := fetchPart(t, r, part(own+"/within")); err != nil {
		t.Error(err)
	}
	if _, err := fetchPart(t, r, part(own+"/away")); !errors.Is(err, ErrRefused) || touched.Load() != 0 {
		t.Errorf("to a host that was not signed: %v, asked %d times", err, touched.Load())
	}
	p := part(own + "/away")
	p.Hosts = []string{"cdn.example.org", strings.TrimPrefix(other, "http://")}
	if b, err := fetchPart(t, r, p); err != nil || !bytes.Equal(b, file[from:from+size]) {
		t.Errorf("to a signed host: %v", err)
	}
	p.Hosts = []string{"127.0.0.1"} // that is port 80
	if _, err := fetchPart(t, r, p); !errors.Is(err, ErrRefused) {
		t.Errorf("to another port of a signed host: %v", err)
	}
}

func TestRangedNeedsModernTLS(t *testing.T) {
	var plain atomic.Value
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/strip" {
			http.Redirect(w, q, plain.Load().(string)+"/x", http.StatusFound)
			return
		}
		honest("")(w, q)
	}))
	s.TLS = &tls.Config{MaxVersion: tls.VersionTLS13}
	s.StartTLS()
	defer s.Close()
	plain.Store(serve(t, honest("")))
	cfg := quick()
	if _, err := fetchPart(t, NewRanged(cfg, nil), part(s.URL+"/x")); err == nil {
		t.Error("a certificate of nobody was taken")
	}
	cfg.Roots = x509.NewCertPool()
	cfg.Roots.AddCert(s.Certificate())
	if _, err := fetchPart(t, NewRanged(cfg, nil), part(s.URL+"/x")); err != nil {
		t.Error(err)
	}
	stripped := part(s.URL + "/strip")
	stripped.Hosts = []string{strings.TrimPrefix(plain.Load().(string), "http://")}
	if _, err := fetchPart(t, NewRanged(cfg, nil), stripped); !errors.Is(err, ErrRefused) {
		t.Errorf("from TLS to plain: %v", err)
	}
	old := httptest.NewUnstartedServer(honest(""))
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	cfg.Roots.AddCert(old.Certificate())
	if _, err := fetchPart(t, NewRanged(cfg, nil), part(old.URL+"/x")); err == nil {
		t.Error("TLS 1.1 was taken")
	}
}

// A name that stands for an address of this machine or its link is not followed, a literal address is.
func TestRangedDoesNotFollowNamesInside(t *testing.T) {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(serve(t, honest("")), "http://"))
	r := NewRanged(quick(), nil)
	defer r.Close()
	if _, err := fetchPart(t, r, part("http://localhost:"+port+"/x")); !errors.Is(err, ErrRefused) {
		t.Errorf("localhost: %v", err)
	}
	if _, err := fetchPart(t, r, part("http://127.0.0.1:"+port+"/x")); err != nil {
		t.Errorf("a literal address: %v", err)
	}
	for _, a := range []string{"127.0.0.1:80", "[::1]:80", "169.254.169.254:80", "[fe80::1%eth0]:80", "224.0.0.1:80", "0.0.0.0:80", "[::]:80", "[::ffff:127.0.0.1]:80", "nonsense", "name:80"} {
		if outside(a) == nil {
			t.Errorf("%s may stand behind a name", a)
		}
	}
	for _, a := range []string{"10.1.2.3:443", "203.0.113.7:80", "[2001:db8::1]:443"} {
		if err := outside(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestRangedThroughAProxy(t *testing.T) {
	var asked atomic.Value
	proxy := serve(t, func(w http.ResponseWriter, q *http.Request) {
		asked.Store(q.URL.String())
		if q.Method == http.MethodConnect || q.URL.Host == "locked.example" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		honest("")(w, q)
	})
	cfg := quick()
	cfg.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
	r := NewRanged(cfg, nil)
	defer r.Close()
	if _, err := fetchPart(t, r, part("http://vendor.example/x.deb")); err != nil || asked.Load() != "http://vendor.example/x.deb" {
		t.Errorf("%v, the proxy was asked for %v", err, asked.Load())
	}
	for _, u := range []string{"https://vendor.example/x.deb", "http://locked.example/x.deb"} {
		if _, err := fetchPart(t, r, part(u)); !errors.Is(err, ErrProxyAuth) {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestParseFile(t *testing.T) {
	for _, bad := range []string{
		"", "vendor.example/x", "ftp://h/x", "file:///x", "http://", "http:///x", "https://u:secret@h/x", "http://u@h/x", "http://h/x#f", "http://h/x#", "http:h/x", "http://[::1", "\x7f", "http://h\x00/",
	} {
		if u, err := ParseFile(bad); !errors.Is(err, ErrURL) || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%q: %v, %v", bad, u, err)
		}
	}
	if u, err := ParseFile("https://vendor.example:8443/pool/a%20b.msi?sig=1"); err != nil || u.Port() != "8443" {
		t.Error(u, err)
	}
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 30000-34999/100000")
	f.Add("bytes */100000")
	f.Fuzz(func(t *testing.T, v string) {
		p := Part{SizeBytes: 100000, From: from}
		if checkContentRange([]string{v}, p, size) == nil && v != "bytes 30000-34999/100000" {
			t.Errorf("%q was taken", v)
		}
	})
}
