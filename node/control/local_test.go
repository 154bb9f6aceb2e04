//go:build unix

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/peercred"
)

// S-LOCAL: 150 requests by 4 identities, on both sockets. Only root, the owner and an admin may change
// anything; only on the admin socket.

// counting is a service that remembers how often it was asked and ordered.
type counting struct {
	fake
	mu              sync.Mutex
	asked, ordered  int
	lastPassphrases []string
}

func (c *counting) ask() { c.mu.Lock(); c.asked++; c.mu.Unlock() }
func (c *counting) order(p api.Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ordered++
	c.lastPassphrases = append(c.lastPassphrases, p.Reveal())
}

func (c *counting) counts() (asked, ordered int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked, c.ordered
}

func (c *counting) Status(ctx context.Context, q api.StatusQuery) (*api.Fleet, error) {
	c.ask()
	return c.fake.Status(ctx, q)
}
func (c *counting) Explain(ctx context.Context, u, m string) (*api.Explanation, error) {
	c.ask()
	return &api.Explanation{Update: u, Machine: m}, nil
}
func (c *counting) Node(ctx context.Context) (*api.NodeInfo, error) {
	c.ask()
	return c.fake.Node(ctx)
}
func (c *counting) Invite(ctx context.Context, r api.InviteRequest) (*api.Invite, error) {
	c.order("")
	return c.fake.Invite(ctx, r)
}
func (c *counting) Import(ctx context.Context, r api.ImportRequest, b io.Reader) (*api.Imported, error) {
	c.order("")
	return &api.Imported{Update: r.ID}, nil
}
func (c *counting) Approve(ctx context.Context, r api.ApproveRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return c.fake.Approve(ctx, r)
}
func (c *counting) Hold(ctx context.Context, r api.HoldRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return c.fake.Hold(ctx, r)
}
func (c *counting) Release(ctx context.Context, r api.ReleaseRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return c.fake.Release(ctx, r)
}
func (c *counting) Sign(ctx context.Context, r api.SignRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return &api.Published{}, nil
}

// localRequest is one request and whether a rightful caller is answered with success.
type localRequest struct {
	method, path, header, body string
	order                      bool // well-formed and changes something
	question                   bool // well-formed and only asks
}

var orderRoutes = []string{
	"/invite", "/approve", "/hold", "/release", "/sign", "/revoke", "/site", "/window", "/ring-plan", "/promote", "/setting", "/wish", "/enrol/requests", "/enrol/decide", "/enrol/answer", "/enrol/keys", "/trust/life", "/enrol/keys/change",
	"/draft", "/draft/export", "/draft/import", "/grant", "/root/draft", "/root/adopt",
	"/store/verify", "/store/pin", "/store/drop", "/shutdown", "/scan", "/group", "/claim", "/doctor",
	"/baseline", "/approval-rules", "/approval-rule", "/propose", "/evidence/record", "/hold/except",
}

// localRequests are 150: every route well-formed and malformed in many ways, and paths that are none.
func localRequests() []localRequest {
	var out []localRequest
	for _, p := range readOnly {
		out = append(out, localRequest{method: "POST", path: p, body: "{}", question: true})
	}
	for _, p := range orderRoutes {
		out = append(out, localRequest{method: "POST", path: p, body: "{}", order: true})
	}
	out = append(out, localRequest{method: "POST", path: "/import", header: `{"id":"x"}`, body: "bytes", order: true})
	bodies := []string{"", "null5", "[]", `{"path":"/etc/shadow"}`, `{"url":"http://x/"}`, `{"args":["-o"]}`, `"x"`, "{", `{"update":7}`, strings.Repeat("[", 10000), `{"root":"/"}`}
	for _, p := range append(append([]string{}, readOnly...), orderRoutes...) {
		for _, b := range bodies {
			out = append(out, localRequest{method: "POST", path: p, body: b})
		}
		for _, m := range []string{"GET", "PUT", "DELETE"} {
			out = append(out, localRequest{method: m, path: p, body: "{}"})
		}
	}
	for _, p := range []string{"/", "/exec", "/install", "/status/../approve", "/approve/", "//approve", "/status%2f..%2fapprove", "/APPROVE", "/debug/pprof/", "/schedule", "/apply", "/files/etc/passwd"} {
		out = append(out, localRequest{method: "POST", path: p, body: "{}"})
	}
	for _, h := range []string{"", "x", "[]", `{"path":"/etc/shadow"}`} {
		out = append(out, localRequest{method: "POST", path: "/import", header: h, body: "x"})
	}
	return append(out, out[:150-len(out)%150]...)[:150]
}

// send makes one request on one socket and gives the class of the answer; "" is success.
func (q localRequest) send(dir, socket string) string {
	c := clientOf(dir, socket)
	defer c.CloseIdleConnections()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequest(q.method, "http://patchmesh"+q.path, strings.NewReader(q.body))
	if err != nil {
		return "no request"
	}
	r.URL.Opaque = q.path // as it is written, not cleaned
	if q.header != "" {
		r.Header.Set(importHeader, q.header)
	}
	resp, err := c.Do(r)
	if err != nil {
		return "no answer"
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode == http.StatusOK {
		return ""
	}
	var e api.Error
	if json.Unmarshal(b, &e) == nil && e.Class != "" {
		return string(e.Class)
	}
	return resp.Status
}

// serveAs opens both sockets for callers that the given function names.
func serveAs(t *testing.T, dir string, s api.Service, a Access, who func(net.Conn) (api.Caller, error)) *lockedBuffer {
	t.Helper()
	log := &lockedBuffer{open: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, Config{Dir: dir, Service: s, Who: who, Access: a, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("server ended: %v", err)
		}
	})
	select {
	case <-log.open:
	case <-time.After(time.Minute):
		t.Fatal("the sockets do not open")
	}
	return log
}

// lockedBuffer is a log that tells when the sockets are open.
type lockedBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	once sync.Once
	open chan struct{}
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(b, []byte("local sockets open")) {
		l.once.Do(func() { close(l.open) })
	}
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestLocalRequestsOfFourIdentities(t *testing.T) {
	requests := localRequests()
	if len(requests) != 150 {
		t.Fatalf("%d requests", len(requests))
	}
	const group = 7777
	for name, c := range map[string]struct {
		who        api.Caller
		admin, ask bool
	}{
		"root":   {api.Caller{UID: 0}, true, true},
		"owner":  {api.Caller{UID: os.Geteuid(), GID: 12}, true, true},
		"admin":  {api.Caller{UID: 4000001, GID: group}, true, true},
		"nobody": {api.Caller{UID: 4000002, GID: 4000002}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, s := shortDir(t), &counting{}
			door := Access{Status: StatusGroup}
			if os.Geteuid() == 0 { // only root can give a socket to any group
				door.Admins = fmt.Sprint(group)
			} else if name == "admin" {
				door.Admins = fmt.Sprint(os.Getgid())
				c.who.GID = os.Getgid()
			}
			log := serveAs(t, dir, s, door, func(net.Conn) (api.Caller, error) { return c.who, nil })
			wantAsked, wantOrdered := 0, 0
			for _, q := range requests {
				for _, socket := range []string{statusSocket, adminSocket} {
					got := q.send(dir, socket)
					may := c.admin && socket == adminSocket && (q.order || q.question) || c.ask && socket == statusSocket && q.question
					if may != (got == "") {
						t.Errorf("%s %s %.40q on %s: %q, allowed is %v", q.method, q.path, q.body, socket, got, may)
					}
					if !may && !c.ask && got != string(api.ClassRefused) {
						t.Errorf("%s %s on %s without the right: %q, want a refusal", q.method, q.path, socket, got)
					}
					if may && q.question {
						wantAsked++
					} else if may {
						wantOrdered++
					}
				}
			}
			if asked, ordered := s.counts(); asked != wantAsked || ordered != wantOrdered {
				t.Errorf("%d questions and %d orders came through, want %d and %d", asked, ordered, wantAsked, wantOrdered)
			}
			if !strings.Contains(log.String(), c.who.String()) {
				t.Errorf("the caller is not in the log")
			}
		})
	}
}

func TestStatusMayBeOpenedToEverybodyOrdersNever(t *testing.T) {
	dir, s := shortDir(t), &counting{}
	serveAs(t, dir, s, Access{Status: StatusAll}, func(net.Conn) (api.Caller, error) { return api.Caller{UID: 4000002, GID: 4000002}, nil })
	c, err := Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(context.Background(), api.StatusQuery{}); err != nil {
		t.Errorf("status for everybody: %v", err)
	}
	_, err = c.Approve(context.Background(), api.ApproveRequest{Update: "u", Passphrase: "p"})
	if api.ClassOf(err).ExitCode() != 3 || strings.Contains(err.Error(), "\n") {
		t.Errorf("an order without the right: %v", err)
	}
	if _, ordered := s.counts(); ordered != 0 {
		t.Error("it was carried out")
	}
}

func TestACallerThatNobodyKnowsIsRefused(t *testing.T) {
	for name, err := range map[string]error{"no name": api.ErrNoCaller, "broken": io.ErrUnexpectedEOF} {
		dir, s := shortDir(t), &counting{}
		serveAs(t, dir, s, Access{Status: StatusAll}, func(net.Conn) (api.Caller, error) { return api.Caller{}, err })
		if got := (localRequest{method: "POST", path: "/status", body: "{}"}).send(dir, statusSocket); got != string(api.ClassRefused) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestPassphraseArrivesInTheBody(t *testing.T) {
	dir, s := shortDir(t), &counting{}
	serveAs(t, dir, s, Access{}, peercred.Of)
	c, err := Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	const p = `corr"ect </horse` + "\t\u00e4"
	_, err1 := c.Approve(ctx, api.ApproveRequest{Update: "u", Passphrase: p})
	_, err2 := c.Hold(ctx, api.HoldRequest{Reason: "r", Passphrase: p})
	_, err3 := c.Release(ctx, api.ReleaseRequest{Hold: "h", Passphrase: p})
	_, err4 := c.Sign(ctx, api.SignRequest{Passphrase: p})
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		t.Fatal(err1, err2, err3, err4)
	}
	if len(s.lastPassphrases) != 4 {
		t.Fatalf("%d orders", len(s.lastPassphrases))
	}
	for i, got := range s.lastPassphrases {
		if got != p {
			t.Errorf("order %d came with %q", i, got)
		}
	}
}

// Every request that can carry a passphrase carries it, those too that are added later: one that lost it on
// the way would refuse its right owner.
func TestNoRequestLosesItsPassphrase(t *testing.T) {
	dir, s := shortDir(t), &counting{}
	serveAs(t, dir, s, Access{}, peercred.Of)
	c, err := Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	const p = "open sesame"
	service, asked := reflect.TypeFor[api.Service](), 0
	for i := range service.NumMethod() {
		m := service.Method(i)
		if m.Type.NumIn() != 2 || m.Type.In(1).Kind() != reflect.Struct {
			continue
		}
		r := reflect.New(m.Type.In(1)).Elem()
		f := r.FieldByName("Passphrase")
		if !f.IsValid() {
			continue
		}
		f.Set(reflect.ValueOf(api.Secret(p)))
		out := reflect.ValueOf(c).MethodByName(m.Name).Call([]reflect.Value{reflect.ValueOf(context.Background()), r})
		if err := out[len(out)-1].Interface(); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		asked++
		if got := s.lastPassphrases; len(got) != asked || got[asked-1] != p {
			t.Fatalf("%s came with %q", m.Name, got)
		}
	}
	if asked < 11 {
		t.Errorf("only %d requests carry a passphrase", asked)
	}
}

// callEnv makes this test program a local caller: it makes all requests and prints what came of them.
const callEnv = "PATCHMESH_TEST_LOCAL"

func TestMain(m *testing.M) {
	if dir := os.Getenv(callEnv); dir != "" {
		for _, q := range localRequests() {
			for _, socket := range []string{statusSocket, adminSocket} {
				fmt.Println(q.send(dir, socket))
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The same with real processes and the kernel's word for them; needs root to become others.
func TestLocalRequestsOfRealProcesses(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("only root on Linux can call as another user")
	}
	const group = 7777
	dir := shortDir(t)
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	child := filepath.Join(dir, "child")
	if err := os.WriteFile(child, exe, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &counting{}
	serveAs(t, dir, s, Access{Status: StatusGroup, Admins: fmt.Sprint(group)}, peercred.Of)
	for _, socket := range []string{statusSocket, adminSocket} {
		if fi, err := os.Stat(filepath.Join(dir, socket)); err != nil || fi.Mode().Perm() != 0o660 {
			t.Fatalf("%s: %v, %v", socket, fi.Mode(), err)
		}
	}
	run := func(name string, cred syscall.Credential) (answered int) {
		cmd := exec.Command(child)
		cmd.Env, cmd.Dir = []string{callEnv + "=" + dir}, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &cred}
		out, err := cmd.Output()
		lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if err != nil || len(lines) != 300 {
			t.Fatalf("%s: %d answers, %v", name, len(lines), err)
		}
		for _, l := range lines {
			if l == "" {
				answered++
			}
		}
		return answered
	}
	if n := run("nobody", syscall.Credential{Uid: 65534, Gid: 65534}); n != 0 {
		t.Errorf("nobody had %d requests answered", n)
	}
	for _, socket := range []string{statusSocket, adminSocket} { // the first lock open: the second must hold
		if err := os.Chmod(filepath.Join(dir, socket), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if n := run("nobody", syscall.Credential{Uid: 65534, Gid: 65534}); n != 0 {
		t.Errorf("nobody had %d requests answered by an open file", n)
	}
	if asked, ordered := s.counts(); asked+ordered != 0 {
		t.Fatalf("%d questions and %d orders of nobody came through", asked, ordered)
	}
	want := run("root", syscall.Credential{})
	if want < 2*len(readOnly)+len(orderRoutes)+1 {
		t.Errorf("root had %d requests answered", want)
	}
	if n := run("admin", syscall.Credential{Uid: 4000001, Gid: group}); n != want {
		t.Errorf("an admin had %d requests answered, root %d", n, want)
	}
}

func FuzzRequestBody(f *testing.F) {
	f.Add([]byte(`{"update":"u","passphrase":"p"}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"update":"u"}{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var q api.ApproveRequest
		if err := readJSON(bytes.NewReader(b), &q); err == nil && !json.Valid(b) {
			t.Fatalf("%q was taken", b)
		}
	})
}
