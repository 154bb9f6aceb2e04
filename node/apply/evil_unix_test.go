//go:build unix

package apply

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// S-HELPER: scripted evil clients. Each is a member of the right user, that is a net process which
// has been taken over: it holds every document that ever was, may say anything in any order, and
// wants one of two things: an update installed that is not approved here, or wrong bytes.

// target is a role that approves nothing for this machine, and everything an attacker could want.
type target struct {
	o       *org
	p       *process
	ids     []content.ID // descriptors of updates that this machine must not install
	heads   [][]byte     // older and foreign heads
	foreign *org
}

func newTarget(t testing.TB) *target {
	t.Helper()
	o := newOrg(t, "acme")
	x := &target{o: o, foreign: newOrg(t, "evil")}
	once := o.approve("withdrawn", body(900, 4), "office", policy.ActionInstall)
	x.heads = append(x.heads, o.Head())
	o.publish(func(m *policy.Manifest) { m.Approvals = nil })
	x.ids = append(x.ids, once, o.update("never", body(900, 1)),
		o.approve("servers", body(900, 2), "servers", policy.ActionInstall), o.approve("looked-for", body(900, 3), "office", policy.ActionDetectOnly))
	held := o.approve("held", body(900, 5), "office", policy.ActionInstall)
	o.publish(func(m *policy.Manifest) {
		m.Holds = append(m.Holds, policy.Hold{ID: "h-1", Update: "held", Kind: "pause", Reason: "because", At: o.now})
	})
	x.ids = append(x.ids, held, x.foreign.approve("foreign", body(900, 6), policy.GroupAll, policy.ActionInstall))
	x.heads = append(x.heads, x.foreign.Head(), o.Head())
	x.p = newProcess(t, o)
	return x
}

// evil is one client's script, repeatable from its seed.
type evil struct {
	*target
	rng *rand.Rand
}

func (e evil) bytes(most int) []byte {
	b := make([]byte, e.rng.IntN(most+1))
	for i := range b {
		b[i] = byte(e.rng.Uint32())
	}
	return b
}

// spoil changes a message a little.
func (e evil) spoil(b []byte) []byte {
	b = bytes.Clone(b)
	switch {
	case len(b) == 0:
	case e.rng.IntN(3) == 0:
		b = b[:e.rng.IntN(len(b))]
	case e.rng.IntN(2) == 0:
		b = append(b, e.bytes(40)...)
	default:
		b[e.rng.IntN(len(b))] ^= 1 << e.rng.IntN(8)
	}
	return b
}

func (e evil) request() []byte {
	id := e.ids[e.rng.IntN(len(e.ids))]
	head := e.heads[e.rng.IntN(len(e.heads))]
	if e.rng.IntN(4) == 0 {
		head = e.spoil(head)
	}
	switch e.rng.IntN(8) {
	case 0:
		return e.bytes(300)
	case 1, 2:
		return append(request{verb: verbMetadata, length: uint64(len(head))}.encode(), head...)
	case 3:
		return append(request{verb: verbObject, id: id}.encode(), e.o.loads[id]...)
	case 4:
		return e.spoil(request{verb: verbSchedule, id: id, order: Install}.encode())
	case 5:
		return request{verb: verbSchedule, id: id, order: Order(e.rng.IntN(6))}.encode()
	case 6:
		return request{verb: verb(e.rng.IntN(256)), id: id, order: Install, length: e.rng.Uint64() >> e.rng.IntN(64)}.encode()
	}
	return request{verb: verbSchedule, id: id, order: Install}.encode()
}

// reply answers a need: with the truth, a lie, another document, or too much.
func (e evil) reply(need Need) []byte {
	var doc []byte
	for _, o := range []*org{e.o, e.foreign} {
		if b := o.docs[need.ID]; b != nil {
			doc = b
		}
	}
	var out bytes.Buffer
	switch e.rng.IntN(6) {
	case 0:
		doc = e.spoil(doc)
	case 1:
		doc = e.bytes(2000)
	case 2:
		return e.spoil(header(docPresent, 1<<30))
	case 3:
		doc = e.foreign.trust.Files().Manifest
	}
	_ = writeDocument(&out, doc, len(doc) > 0)
	return out.Bytes()
}

// attack speaks on one connection until the server has had enough.
func (e evil) attack(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.Write(e.request()); err != nil {
		return
	}
	for range 30 {
		if e.rng.IntN(12) == 0 {
			return // falls silent in the middle
		}
		if u, ok := c.(*net.UnixConn); ok && e.rng.IntN(8) == 0 {
			_ = u.CloseWrite()
		}
		k, n, err := readHeader(c, maxBody)
		if err != nil {
			return
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		switch kind(k) {
		case kindNeed:
			need, err := decodeNeed(b)
			if err != nil {
				return
			}
			b = e.reply(need)
		case kindGo:
			b = e.bytes(2000)
		default:
			return
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

func TestEvilClientsInstallNothing(t *testing.T) {
	x := newTarget(t)
	x.p.serve(t)
	clients := soak(150, 1000)
	for seed := range clients {
		c, err := net.Dial("unix", x.p.sock)
		if err != nil {
			t.Fatalf("client %d: %v", seed, err)
		}
		e := evil{x, rand.New(rand.NewPCG(7, uint64(seed)))}
		// A request that is cut short would be waited for: the attacker's own end comes at once.
		done := make(chan struct{})
		go func() { defer close(done); e.attack(c) }()
		select {
		case <-done:
		case <-time.After(200 * time.Millisecond):
			_ = c.Close()
			<-done
		}
		if n := x.p.hands.changes(); n != 0 {
			t.Fatalf("client %d: %d changes of the machine", seed, n)
		}
	}
	// The role is unharmed: it still believes what it did, and carries out what is approved.
	good := body(5000, 7)
	id := x.o.approve("good", good, "office", policy.ActionInstall)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // last connections may still wait for their time
		_, err := NewClient(x.p.sock, x.o).Do(context.Background(), id, Install)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(x.p.hands.installed["good"], good) || x.p.hands.changes() != 1 {
		t.Fatalf("%d changes", x.p.hands.changes())
	}
	t.Logf("%d evil clients, 0 installs", clients)
}

// The same by the million, without sockets: requests true and spoilt, with documents behind them that
// answer, lie or belong to somebody else.
func TestEvilMessagesInstallNothing(t *testing.T) {
	x := newTarget(t)
	kept := x.hurry()
	var needs []Need
	for _, o := range []*org{x.o, x.foreign} {
		for id := range o.docs {
			needs = append(needs, Need{ID: id})
		}
	}
	slices.SortFunc(needs, func(a, b Need) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	messages, refused := soak(5000, 10_000_000), 0
	for seed := range messages {
		e := evil{x, rand.New(rand.NewPCG(8, uint64(seed)))}
		b := e.request()
		for range e.rng.IntN(4) {
			b = append(b, e.reply(needs[e.rng.IntN(len(needs))])...)
		}
		if e.rng.IntN(4) == 0 {
			b = e.spoil(b)
		}
		if x.p.answer(t.Context(), script{bytes.NewReader(b)}) != nil {
			refused++
		}
		if n := x.p.hands.changes(); n != 0 || kept.saves != 0 {
			t.Fatalf("message %d: %d changes of the machine, %d of its approvals", seed, n, kept.saves)
		}
	}
	if refused < messages/2 {
		t.Errorf("only %d of %d messages were refused", refused, messages)
	}
	t.Logf("%d evil messages, %d refused, 0 installs", messages, refused)
}

// script is a connection that says what it was told to and hears nothing.
type script struct{ in *bytes.Reader }

func (s script) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s script) Write(b []byte) (int, error)      { return len(b), nil }
func (s script) SetReadDeadline(time.Time) error  { return nil }
func (s script) SetWriteDeadline(time.Time) error { return nil }

func FuzzServerInstallsNothingAndReadsNoMoreThanAllowed(f *testing.F) {
	x := newTarget(f)
	for _, id := range x.ids {
		f.Add(request{verb: verbSchedule, id: id, order: Install}.encode())
		f.Add(append(request{verb: verbObject, id: id}.encode(), body(900, 1)...))
	}
	for _, h := range x.heads {
		b := append(request{verb: verbMetadata, length: uint64(len(h))}.encode(), h...)
		f.Add(b)
		for _, d := range x.o.docs {
			b = append(append(b, header(docPresent, len(d))...), d...)
		}
		f.Add(b)
		f.Add(append(b, header(docAbsent, 0)...))
	}
	f.Add(request{verb: verbStatus}.encode())
	f.Add(binary.BigEndian.AppendUint64(nil, 1<<63))
	kept := x.hurry()
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = x.p.answer(context.Background(), script{bytes.NewReader(b)}) // a refusal, or a status
		if n := x.p.hands.changes(); n != 0 {
			t.Fatalf("%d changes of the machine", n)
		}
		if kept.saves != 0 {
			t.Fatal("other approvals are trusted now")
		}
	})
}

// hurry makes messages cheap, so that there can be millions: the trusted documents are in memory, and
// what is said of the very same bytes is remembered. The folder and the signatures have tests of their own.
func (x *target) hurry() *keptFiles {
	kept := &keptFiles{files: x.o.trust.Files()}
	first, err := policy.OpenTrust(kept.files, x.o.now)
	if err != nil {
		x.o.t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	x.p.role.cfg.Log, x.p.cfg.Log, x.p.role.cfg.Trust = quiet, quiet, kept
	x.p.role.cfg.Verify = func(f policy.Files, now time.Time) (*policy.Trust, error) {
		if kept.saves > 0 {
			return policy.OpenTrust(f, now)
		}
		return first, nil
	}
	return kept
}

// keptFiles are trusted documents in memory.
type keptFiles struct {
	files policy.Files
	saves int
}

func (k *keptFiles) Load() (policy.Files, error) { return k.files, nil }
func (k *keptFiles) Save(f policy.Files) error   { k.files, k.saves = f, k.saves+1; return nil }

func FuzzNeedAndDocument(f *testing.F) {
	f.Add(Need{RootVersion: 2, MaxBytes: 10}.encode())
	f.Add(Need{ID: content.Sum(nil), MaxBytes: policy.MaxManifestBytes}.encode())
	f.Add(append(header(docPresent, 3), "abc"...))
	f.Add(header(docAbsent, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := decodeNeed(b); err == nil && !bytes.Equal(n.encode(), b) {
			t.Fatalf("%x has two forms", b)
		}
		if d, err := readDocument(bytes.NewReader(b), 1<<10); err == nil && len(d) > 1<<10 {
			t.Fatalf("%d bytes were taken", len(d))
		}
	})
}

// callEnv makes this test program a client that calls the socket in it as whoever it runs as.
const callEnv = "PATCHMESH_TEST_CALL"

func TestMain(m *testing.M) {
	if sock := os.Getenv(callEnv); sock != "" {
		os.Exit(callAsChild(sock))
	}
	os.Exit(m.Run())
}

func callAsChild(sock string) int {
	if _, err := NewClient(sock, nil).Status(context.Background()); err != nil {
		return 3
	}
	return 0
}

// What the kernel says of real processes of other users; needs root to become them.
func TestRealProcessesOfOtherUsersAreRefused(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("only root on Linux can call as another user")
	}
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.cfg.Who = kernelCaller(t)
	p.serve(t)
	// Open the way to the socket and to this program, so that the credentials alone decide.
	for _, path := range []string{p.sock, filepath.Dir(p.sock)} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	exe := childProgram(t)
	for uid, want := range map[uint32]int{allowedUID: 0, 0: 0, 1000: 3, 65534: 3, allowedUID + 1: 3} {
		cmd := exec.Command(exe)
		cmd.Env = []string{callEnv + "=" + p.sock}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		cmd.Dir = "/"
		err := cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("uid %d: exit code %d, want %d (%v)", uid, got, want, err)
		}
	}
}

// childProgram is a copy of this test program where every user can run it.
func childProgram(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "child")
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
