package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/node/api"
)

const (
	addr  = "127.0.0.1:7780"
	token = "the-token"
	evil  = `</script><script>alert(1)</script>`
)

// source counts how often it is asked.
type source struct{ asked atomic.Int64 }

func (s *source) Status(_ context.Context, q api.StatusQuery) (*api.Fleet, error) {
	s.asked.Add(1)
	if q.Machine == "nobody" {
		return nil, api.Errorf(api.ClassNotFound, "no machine %q", q.Machine)
	}
	return &api.Fleet{Org: "acme", Epoch: 7, Machines: []api.Machine{{Name: evil, Updates: []api.Update{}}}}, nil
}

func (s *source) Explain(_ context.Context, update, machine string) (*api.Explanation, error) {
	s.asked.Add(1)
	return &api.Explanation{Update: update, Machine: machine}, nil
}

func testConsole() (*Console, *source) {
	s := &source{}
	return newConsole(Config{Source: s, Log: slog.New(slog.DiscardHandler)}, addr, token), s
}

// paths are all that there is.
var paths = []string{"/", "/status", "/explain?update=u&machine=m"}

func ask(c *Console, method, path string, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = addr
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w
}

// S-WEB, R29, T29: whatever a page in an admin's browser can have that browser send to the console, nothing is told and
// nothing is even asked: rebinding, other origins, sites and schemes, forms and preflights, every method but one. Each
// shape against every path there is.
func TestSWEBEveryPathRefusesWhatABrowserOfAnAttackerSends(t *testing.T) {
	set := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	shapes := map[string]func(*http.Request){
		"rebinding":                   host("evil.example:7780"),
		"rebinding without a port":    host("evil.example"),
		"a name that begins like us":  host("127.0.0.1:7780.evil.example"),
		"a name that ends like us":    host("evil.127.0.0.1:7780"),
		"localhost, which may be one": host("localhost:7780"),
		"another port":                host("127.0.0.1:7781"),
		"no port":                     host("127.0.0.1"),
		"no host":                     host(""),
		"another way to write it":     host("127.1:7780"),
		"another origin":              set("Origin", "http://evil.example"),
		"an origin of another port":   set("Origin", "http://127.0.0.1:7781"),
		"an origin of another scheme": set("Origin", "https://"+addr),
		"an origin that is none":      set("Origin", "null"),
		"an empty origin":             set("Origin", ""),
		"two origins": func(r *http.Request) {
			r.Header["Origin"] = []string{"http://" + addr, "http://evil.example"}
		},
		"another site":    set("Sec-Fetch-Site", "cross-site"),
		"the same site":   set("Sec-Fetch-Site", "same-site"),
		"two sites":       func(r *http.Request) { r.Header["Sec-Fetch-Site"] = []string{"same-origin", "cross-site"} },
		"a socket":        func(r *http.Request) { r.Header.Set("Connection", "Upgrade"); r.Header.Set("Upgrade", "websocket") },
		"a body":          func(r *http.Request) { r.ContentLength, r.Body = 1, io.NopCloser(strings.NewReader("x")) },
		"an endless body": func(r *http.Request) { r.ContentLength, r.TransferEncoding = -1, []string{"chunked"} },
	}
	for _, m := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "CONNECT", "get", "QUERY"} {
		shapes["method "+m] = func(r *http.Request) { r.Method = m }
	}
	c, s := testConsole()
	for name, edit := range shapes {
		for _, path := range paths {
			w := ask(c, "GET", path, edit)
			if w.Code < 400 || strings.Contains(w.Body.String(), "acme") || strings.Contains(w.Body.String(), "<script") {
				t.Errorf("%s to %s: %d %.80s", name, path, w.Code, w.Body)
			}
			checkHeaders(t, name+" to "+path, w.Header())
		}
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("the node was asked %d times", n)
	}
	t.Logf("%d requests", len(shapes)*len(paths))
	for _, path := range paths { // and the right ones are answered
		if w := ask(c, "GET", path, nil); w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func checkHeaders(t *testing.T, what string, h http.Header) {
	t.Helper()
	csp := h.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "connect-src 'self'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(csp, part) {
			t.Errorf("%s: policy without %s: %s", what, part, csp)
		}
	}
	for _, loose := range []string{"unsafe", "*", "http:", "https:", "data:", "blob:"} {
		if strings.Contains(csp, loose) {
			t.Errorf("%s: policy with %s: %s", what, loose, csp)
		}
	}
	for k, v := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store"} {
		if h.Get(k) != v {
			t.Errorf("%s: %s is %q", what, k, h.Get(k))
		}
	}
	for k := range h {
		if strings.HasPrefix(k, "Access-Control-") || k == "Set-Cookie" || k == "Location" {
			t.Errorf("%s: %s: %s", what, k, h.Get(k))
		}
	}
}

// A10, T29: other users of the computer reach loopback as well. Without the token, in its one place, they learn nothing.
func TestSWEBNothingIsToldWithoutTheToken(t *testing.T) {
	c, s := testConsole()
	for name, edit := range map[string]func(*http.Request){
		"none":        func(r *http.Request) { r.Header.Del("Authorization") },
		"wrong":       func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token+"x") },
		"a part":      func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token[:4]) },
		"empty":       func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") },
		"no scheme":   func(r *http.Request) { r.Header.Set("Authorization", token) },
		"as password": func(r *http.Request) { r.SetBasicAuth("", token) },
		"twice":       func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+token) },
		"as cookie": func(r *http.Request) {
			r.Header.Del("Authorization")
			r.AddCookie(&http.Cookie{Name: "token", Value: token})
		},
		"in the question": func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery = "token=" + token },
	} {
		for _, path := range paths[1:] {
			if w := ask(c, "GET", path, edit); w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "acme") {
				t.Errorf("%s, %s: %d %s", name, path, w.Code, w.Body)
			}
		}
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("the node was asked %d times", n)
	}
	if w := ask(c, "GET", "/", func(r *http.Request) { r.Header.Del("Authorization") }); w.Code != 200 || strings.Contains(w.Body.String(), token) {
		t.Errorf("the page, which knows nothing: %d", w.Code)
	}
}

// R-J6: what the console reads is what 'patchmesh status --json' prints, the same document with the same queries, and
// markup in a name stays text.
func TestRJ6TheConsoleReadsWhatTheCommandLinePrints(t *testing.T) {
	c, _ := testConsole()
	w := ask(c, "GET", "/status?machine=x&update=u&group=g", nil)
	var f api.Fleet
	if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil || f.Org != "acme" || f.Epoch != 7 || f.Machines[0].Name != evil || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s, %v", w.Body, err)
	}
	if strings.Contains(w.Body.String(), "<script") {
		t.Errorf("markup: %s", w.Body)
	}
	for path, code := range map[string]int{
		"/status?machine=nobody": 404, "/status?machine=a&machine=b": 400, "/status?colour=red": 400, "/status?machine=" + strings.Repeat("x", 300): 400,
		"/status?%zz": 400, "/explain": 400, "/explain?update=u": 400, "/explain?update=u&machine=m&group=g": 400,
		"/status/": 404, "//status": 404, "/status/../status": 404, "/STATUS": 404, "/approve": 404, "/page.html": 404, "/console.json": 404, "/favicon.ico": 404, "/debug/pprof/": 404,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		u := strings.SplitN(path, "?", 2)
		r.URL.Path, r.URL.RawQuery = u[0], ""
		if len(u) > 1 {
			r.URL.RawQuery = u[1]
		}
		if w := ask(c, "GET", "/", func(q *http.Request) { q.URL = r.URL }); w.Code != code {
			t.Errorf("%s: %d, want %d: %s", path, w.Code, code, w.Body)
		}
	}
}

// The page has all that it needs with it, writes text and never markup, and its policy names its script and style.
func TestThePageIsWholeAndWritesTextAlone(t *testing.T) {
	html := string(page)
	for _, word := range []string{"innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "src=", "href=", "@import", "url(", "http:", "https:", " style=", " onclick", " onload", "localStorage", "sessionStorage", "cookie"} {
		if strings.Contains(html, word) {
			t.Errorf("the page has %q", word)
		}
	}
	if strings.Count(html, "<script>") != 1 || strings.Count(html, "<style>") != 1 || strings.Count(html, "'sha256-") != 0 {
		t.Error("one script and one style, named by their hashes")
	}
	a := pagePolicy(page)
	b := pagePolicy([]byte(strings.Replace(html, `"use strict"`, `"use strict" `, 1)))
	if a == b || strings.Count(a, "'sha256-") != 2 {
		t.Errorf("a changed script has the same policy: %s", a)
	}
}

// The console cannot do anything: what it is given has no method that changes something.
func TestWhatTheConsoleIsGivenOnlyAnswers(t *testing.T) {
	s := reflect.TypeFor[Source]()
	for i := range s.NumMethod() {
		if n := s.Method(i).Name; n != "Status" && n != "Explain" {
			t.Errorf("%s", n)
		}
	}
}

func TestOnlyLoopbackIsListenedOn(t *testing.T) {
	for _, a := range []string{"", "7780", ":7780", "0.0.0.0:7780", "[::]:7780", "10.0.0.1:7780", "192.168.1.5:7780", "localhost:7780", "127.0.0.1", "0.0.0.0:0", "[fe80::1]:7780", "[::ffff:127.0.0.1]:7780", "[::1%lo]:7780", "169.254.1.1:1", "evil.example:80"} {
		if CheckListen(a) == nil {
			t.Errorf("%q is listened on", a)
		}
		if _, ln, err := Open(Config{Listen: a, File: filepath.Join(t.TempDir(), FileName)}); err == nil {
			_ = ln.Close()
			t.Errorf("%q was opened", a)
		}
	}
	if err := CheckListen("0.0.0.0:7780"); err == nil || !strings.Contains(err.Error(), "ssh -L 7780:127.0.0.1:7780 SEED") || strings.Contains(err.Error(), "7780:0.0.0.0") {
		t.Errorf("what it says of a tunnel: %v", err)
	}
	for _, a := range []string{"127.0.0.1:7780", "[::1]:7780", "127.9.9.9:1", "127.0.0.1:0"} {
		if err := CheckListen(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if c := newConsole(Config{}, "127.0.0.1:80", token); !c.ours("127.0.0.1") || !c.ours("127.0.0.1:80") || c.ours("127.0.0.1:8080") {
		t.Errorf("the usual port: %q", c.hosts)
	}
}

// served is a console on a real port.
func served(t *testing.T) (c *Console, at, link string) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at = free.Addr().String()
	_ = free.Close()
	file := filepath.Join(t.TempDir(), FileName)
	s := &source{}
	c, ln, err := Open(Config{Listen: at, File: file, Source: s, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c.read = 2 * time.Second
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if fi, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", fi, err)
	}
	b, err := os.ReadFile(file)
	var l Link
	if err == nil {
		err = json.Unmarshal(b, &l)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, at, l.URL
}

// On a real port: the token of the file opens it, another run has another one, and what is not HTTP, never ends or says
// nothing is cut off without keeping others out.
func TestSWEBOnTheWire(t *testing.T) {
	_, at, link := served(t)
	base, secret, _ := strings.Cut(link, "#")
	if base != "http://"+at+"/" || len(secret) != 43 {
		t.Fatalf("%q", link)
	}
	if _, _, other := served(t); strings.HasSuffix(other, secret) {
		t.Error("two runs have one token")
	}
	get := func() int {
		r, err := http.NewRequest("GET", base+"status", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		resp, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if code := get(); code != 200 {
		t.Fatalf("%d", code)
	}
	say := func(text string) string {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, text) // it may be cut off before the end
		_ = c.(*net.TCPConn).CloseWrite()
		line, _ := bufio.NewReader(c).ReadString('\n')
		return line
	}
	auth := "Authorization: Bearer " + secret + "\r\n"
	for name, text := range map[string]string{
		"rebinding":          "GET /status HTTP/1.1\r\nHost: evil.example:7780\r\n" + auth + "\r\n",
		"two hosts":          "GET /status HTTP/1.1\r\nHost: " + at + "\r\nHost: evil.example\r\n" + auth + "\r\n",
		"a whole address":    "GET http://evil.example/status HTTP/1.1\r\nHost: " + at + "\r\n" + auth + "\r\n",
		"no host, old":       "GET /status HTTP/1.0\r\n" + auth + "\r\n",
		"a tunnel":           "CONNECT evil.example:443 HTTP/1.1\r\nHost: " + at + "\r\n" + auth + "\r\n",
		"endless headers":    "GET /status HTTP/1.1\r\nHost: " + at + "\r\n" + auth + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
		"a hidden second":    "GET /status HTTP/1.1\r\nHost: " + at + "\r\n" + auth + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET",
		"something else":     "\x16\x03\x01\x02\x00",
		"HTTP of the future": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		if line := say(text); strings.Contains(line, " 200 ") {
			t.Errorf("%s: %s", name, line)
		}
	}
	_, at, link = served(t) // one where nothing is just ending, which would let somebody in
	base, secret, _ = strings.Cut(link, "#")
	var silent []net.Conn
	for range 3 * maxConns {
		if c, err := net.Dial("tcp", at); err == nil {
			silent = append(silent, c)
		}
	}
	for _, c := range silent {
		defer c.Close()
	}
	var code int
	for end := time.Now().Add(time.Minute); code != 200 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		r, _ := http.NewRequest("GET", base+"status", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		if resp, err := (&http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Do(r); err == nil {
			code = resp.StatusCode
			resp.Body.Close()
		}
	}
	if code != 200 {
		t.Error("the silent ones keep everybody out")
	}
}

// F14: whatever is sent, nothing that is not told by rights is told, and nothing panics.
func FuzzRequest(f *testing.F) {
	for _, p := range paths {
		f.Add(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer nothing\r\n\r\n", p, addr))
	}
	f.Add("POST /status HTTP/1.1\r\nHost: evil\r\nOrigin: null\r\nContent-Length: 3\r\n\r\nabc")
	f.Add("GET http://x/status?machine=%00 HTTP/1.1\r\nSec-Fetch-Site: none\r\nHost: a\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return
		}
		c, s := testConsole()
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if s.asked.Load() > 0 && !strings.Contains(text, token) {
			t.Errorf("asked without the token: %q", text)
		}
		if w.Code == 200 && (r.Method != "GET" || r.Host != addr) {
			t.Errorf("answered %q", text)
		}
	})
}
