//go:build unix

package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/apply"
	"patchmesh/node/enrol"
	"patchmesh/policy"
)

// applyProcess runs the apply role of a machine as the separate process would, on a socket.
func (m *mesh) applyProcess(name, root string, edit ...func(*ApplyConfig)) (socket, state string) {
	m.t.Helper()
	dir, err := os.MkdirTemp("", "pm") // test folders may be too long for a socket
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	state, socket = filepath.Join(m.dir, name+"-apply"), filepath.Join(dir, "apply.sock")
	if _, err := PrepareApply(state, filepath.Join(m.dir, name), false, time.Now); err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	cfg := ApplyConfig{StateDir: state, Socket: socket, Root: root, UID: os.Getuid(), GID: -1, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	for _, e := range edit {
		e(&cfg)
	}
	go func() { ended <- RunApply(ctx, cfg) }()
	m.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			m.t.Errorf("apply process ended: %v", err)
		}
	})
	until(m.t, "the apply process to answer", func() bool {
		_, err := apply.NewClient(socket, nil).Status(context.Background())
		return err == nil
	})
	return socket, state
}

func TestUpdateIsInstalledByTheSeparateProcess(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.join("a")
	root := filepath.Join(m.dir, "system")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	socket, state := m.applyProcess("a", root)
	old := filepath.Join(m.dir, "a-old") // the data folder as it was when the machine joined
	if err := os.CopyFS(old, os.DirFS(filepath.Join(m.dir, "a"))); err != nil {
		t.Fatal(err)
	}
	a := m.run("a", Config{Egress: EgressYes, ApplySocket: socket})
	want := payload(2 << 20)
	m.file("u1", want)
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	if got, err := os.ReadFile(filepath.Join(root, "srv", "u1")); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("installed file: %d bytes, %v", len(got), err)
	}
	if _, err := os.Stat(filepath.Join(a.root, "srv", "u1")); err == nil {
		t.Error("the node itself installed it")
	}
	s, err := apply.NewClient(socket, nil).Status(context.Background())
	if err != nil || s.Epoch != m.seed.believer.current().Epoch() || s.Org != "acme" || s.Site != "main" || len(s.Groups) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	// What it has taken up stays when it is prepared again from an older data folder.
	again, err := PrepareApply(state, protect(t, old), false, time.Now)
	if err != nil || !again.Unchanged || again.Epoch != s.Epoch {
		t.Fatalf("prepared again: %+v, %v", again, err)
	}
}

// protect gives a copied data folder the modes that keys want.
func protect(t *testing.T, dir string) string {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestApplyRoleTakesTheMachineFromItsOwnFolderOnly(t *testing.T) {
	m := newMesh(t)
	m.join("a")
	state := filepath.Join(m.dir, "apply")
	data := filepath.Join(m.dir, "a")
	if _, err := PrepareApply(state, data, false, time.Now); err != nil {
		t.Fatal(err)
	}
	groups := func() string {
		e, err := apply.LoadEnrolment(machineFile(state))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(e.Groups, " ")
	}
	change := func(edit func(*folder)) {
		f, err := openFolder(data, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer f.close()
		edit(f)
		if err := saveMembership(f.db, f.member); err != nil {
			t.Fatal(err)
		}
	}
	// Somebody who has taken the net role over writes another group into the data folder.
	change(func(f *folder) { f.member.Groups = []string{"servers"} })
	for _, again := range []bool{false, true} {
		if _, err := PrepareApply(state, data, again, time.Now); err != nil || groups() != "office" {
			t.Fatalf("an unsigned group: %q, %v", groups(), err)
		}
	}
	// The same with a certificate of his own.
	certificate := func(f *folder, key ed25519.PrivateKey) []byte {
		b, err := enrol.Issue(enrol.Certificate{Serial: 9, Org: "acme", Site: "main", Name: "a", Groups: []string{"servers"}, Peer: f.id,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}, key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	change(func(f *folder) { f.member.Cert = certificate(f, f.key) })
	if _, err := PrepareApply(state, data, true, time.Now); api.ClassOf(err) != api.ClassRefused || groups() != "office" {
		t.Fatalf("a certificate that nobody issued: %q, %v", groups(), err)
	}
	// A machine that was enrolled anew is another one only when root says so.
	change(func(f *folder) { f.member.Cert = certificate(f, m.seed.issuerKey()) })
	if _, err := PrepareApply(state, data, false, time.Now); api.ClassOf(err) != api.ClassRefused || groups() != "office" {
		t.Fatalf("another group was taken over in silence: %q, %v", groups(), err)
	}
	if _, err := PrepareApply(state, data, true, time.Now); err != nil || groups() != "servers" {
		t.Fatalf("root's own word: %q, %v", groups(), err)
	}
	// Documents that are gone are not begun again from the data folder, which may be older.
	if err := os.RemoveAll(filepath.Join(state, "trust")); err != nil {
		t.Fatal(err)
	}
	if _, err := PrepareApply(state, data, true, time.Now); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("lost documents were begun again: %v", err)
	}
	if err := RunApply(context.Background(), ApplyConfig{StateDir: state, Now: time.Now, Log: slog.New(slog.DiscardHandler)}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("an apply role without documents: %v", err)
	}
	if err := RunApply(context.Background(), ApplyConfig{StateDir: filepath.Join(m.dir, "nothing"), Now: time.Now}); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("an apply role that nobody prepared: %v", err)
	}
}

// flipping is a file that an attacker changes all the time: in place, by renaming another one over
// it, by cutting it short, by making it longer.
type flipping struct {
	path       string
	good, evil []byte
	stop       chan struct{}
	done       sync.WaitGroup
}

func newFlipping(t *testing.T, good []byte) *flipping {
	t.Helper()
	f := &flipping{path: filepath.Join(t.TempDir(), "payload"), good: good, evil: bytes.Repeat([]byte("evil"), len(good)/4), stop: make(chan struct{})}
	if err := os.WriteFile(f.path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	f.done.Add(1)
	go f.flip()
	t.Cleanup(func() { close(f.stop); f.done.Wait() })
	return f
}

func (f *flipping) flip() {
	defer f.done.Done()
	for i := 0; ; i++ {
		select {
		case <-f.stop:
			return
		default:
		}
		switch i % 6 {
		case 0: // in place, in the middle
			if w, err := os.OpenFile(f.path, os.O_WRONLY, 0); err == nil {
				_, _ = w.WriteAt(f.evil[:len(f.evil)/2], int64(len(f.good)/4))
				_ = w.Close()
			}
		case 1, 3, 5: // good again, by name
			_ = os.WriteFile(f.path+".new", f.good, 0o600)
			_ = os.Rename(f.path+".new", f.path)
		case 2: // another file under the name
			_ = os.WriteFile(f.path+".new", f.evil, 0o600)
			_ = os.Rename(f.path+".new", f.path)
		case 4:
			_ = os.Truncate(f.path, int64(len(f.good)/3))
		}
		time.Sleep(time.Duration(i%4) * 20 * time.Microsecond)
	}
}

func (f *flipping) open() (io.ReadCloser, error) { return os.Open(f.path) }

// honest wraps a node's offers, but for the payload, which the attacker holds.
type flippedOffers struct {
	offers
	f *flipping
}

func (o flippedOffers) Payload(content.ID) (io.ReadCloser, int64, error) {
	r, err := o.f.open()
	return r, int64(len(o.f.good)), err
}

// flippedShelf is the same for a role in this process.
type flippedShelf struct {
	storeShelf
	f *flipping
}

func (s flippedShelf) Open(*policy.Descriptor) (io.ReadCloser, error) { return s.f.open() }

// S-TOCTOU: the payload changes while it is installed. Whatever the timing, the machine has the
// approved bytes or what it had before.
func TestPayloadThatChangesDuringTheInstallInstallsNoWrongByte(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.join("a")
	good := payload(256 << 10)
	root := filepath.Join(m.dir, "system")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	socket, _ := m.applyProcess("a", root)
	a := m.run("a", Config{Egress: EgressYes, ApplySocket: socket})
	m.file("u1", good)
	m.approve("u1")
	until(t, "the update to be installed once", func() bool { return a.update(t, "u1").State == "installed" })
	id := a.believer.current().Manifest().Approvals[0].Descriptor
	a.stop()
	a2, err := openFolder(filepath.Join(m.dir, "a"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer a2.close()
	n := &Node{cfg: Config{DataDir: a2.dir, Root: root, Now: time.Now}, log: slog.New(slog.DiscardHandler), id: a2.id, db: a2.db, store: a2.store, docs: a2.docs, believer: a2.believer, member: a2.member}
	f := newFlipping(t, good)
	here := apply.NewRole(apply.Config{
		Trust: newTrustHere(a2.dir), Shelf: flippedShelf{storeShelf{n}, f}, Journal: n.db, Machine: n.machineFacts(), Now: time.Now, Log: n.log,
		Hands: newHands(root, a2.dir, nil, nil),
	})
	for what, role := range map[string]orders{"separate process": apply.NewClient(socket, flippedOffers{offers{n}, f}), "one process": here} {
		t.Run(what, func(t *testing.T) { raceInstalls(t, role, id, filepath.Join(root, "srv", "u1"), good, soak(25, 5000)) })
	}
}

func raceInstalls(t *testing.T, role orders, id content.ID, dest string, good []byte, times int) {
	installed, refused := 0, 0
	for i := range times {
		if err := os.Remove(dest); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		_, err := role.Do(context.Background(), id, apply.Install)
		got, rerr := os.ReadFile(dest)
		switch {
		case rerr == nil && !bytes.Equal(got, good):
			t.Fatalf("install %d: %d wrong bytes are on the machine (%v)", i, len(got), err)
		case err == nil && rerr != nil:
			t.Fatalf("install %d: said to be installed: %v", i, rerr)
		case err == nil:
			installed++
		default:
			refused++
		}
	}
	t.Logf("%d installs raced: %d installed whole, %d refused, 0 wrong", times, installed, refused)
	if installed == 0 || refused == 0 {
		t.Errorf("%d installed and %d refused: the race was not run", installed, refused)
	}
}

func TestJournalOfTheSeparateProcessIsItsOwn(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.join("a")
	root := filepath.Join(m.dir, "system")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	socket, state := m.applyProcess("a", root)
	a := m.run("a", Config{Egress: EgressYes, ApplySocket: socket})
	m.file("u1", payload(1000))
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	b, err := os.ReadFile(filepath.Join(state, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for line := range bytes.Lines(b) {
		var e apply.Entry
		if json.Unmarshal(line, &e) == nil && e.Update == "u1" {
			steps = append(steps, e.Step)
		}
	}
	if len(steps) != 2 || steps[0] != "install" || steps[1] != "done" {
		t.Errorf("journal: %q", steps)
	}
	if rows, err := a.db.Journal(); err != nil || len(rows) != 0 {
		t.Errorf("the net side keeps a journal of installs: %+v, %v", rows, err)
	}
}

// Approvals that came a moment ago are offered whole: an installer that is given the head and not what is behind it
// cannot look at the machine, and does so again only after a pause.
func TestApprovalsAreOfferedWholeTheMomentTheyAreInForce(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.join("a") // and with it the group
	m.file("u1", payload(1000))
	m.approve("u1")
	m.seed.docs.setTrusted(policy.Files{}) // the library has not heard of them
	o := offers{m.seed.Node}
	for _, want := range m.seed.believer.current().Files().Documents() {
		if got, err := o.Document(content.Sum(want)); len(want) > 0 && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("a document of %d bytes is not offered: %d bytes, %v", len(want), len(got), err)
		}
	}
}
