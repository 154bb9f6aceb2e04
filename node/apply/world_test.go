package apply

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/trustdir"
	"patchmesh/policy"
)

// soak takes the full count in a long run and a slice of it otherwise.
func soak(slice, full int) int {
	if os.Getenv("PATCHMESH_SOAK") == "1" {
		return full
	}
	return slice
}

// org is an organisation as far as documents go.
type org struct {
	t     testing.TB
	keys  policy.RoleKeys
	trust *policy.Trust
	now   time.Time
	docs  map[content.ID][]byte
	loads map[content.ID][]byte // payloads by descriptor
}

func signer(t testing.TB, name string) policy.Signer {
	t.Helper()
	seed := content.Sum([]byte(name)).SHA256()
	s, err := policy.NewSigner(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newOrg(t testing.TB, name string) *org {
	t.Helper()
	seed := content.Sum([]byte(name + " enrol")).SHA256()
	o := &org{t: t, now: time.Now().Truncate(time.Second), docs: map[content.ID][]byte{}, loads: map[content.ID][]byte{}}
	o.keys = policy.RoleKeys{
		Root: []policy.Signer{signer(t, name+" root")}, RootThreshold: 1, Threshold: 1, Approvers: []policy.Signer{signer(t, name+" approver")},
		Online: policy.OnlineKeys{Timestamp: signer(t, name+" ts"), Snapshot: signer(t, name+" snap"), Roster: signer(t, name+" roster")},
	}
	roster := &policy.Roster{Org: name, EnrolmentKeys: []string{hex.EncodeToString(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))}}
	f, err := policy.NewRepository(name, o.keys, roster, o.now)
	if err != nil {
		t.Fatal(err)
	}
	o.open(f)
	return o
}

func (o *org) open(f policy.Files) {
	o.t.Helper()
	tr, err := policy.OpenTrust(f, o.now)
	if err != nil {
		o.t.Fatal(err)
	}
	o.trust = tr
	for _, b := range [][]byte{f.Snapshot, f.Targets, f.RosterRole, f.Roster, f.Manifest} {
		o.docs[content.Sum(b)] = b
	}
}

// publish signs one more epoch.
func (o *org) publish(edit func(*policy.Manifest)) {
	o.t.Helper()
	m, err := policy.DecodeManifest(o.trust.Files().Manifest)
	if err != nil {
		o.t.Fatal(err)
	}
	m.Epoch++
	edit(m)
	d, err := policy.NewDraft(o.trust, m, o.now)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := d.Sign(o.keys.Approvers[0]); err != nil {
		o.t.Fatal(err)
	}
	f, err := o.trust.Publish(d, nil, o.keys.Online, o.now)
	if err != nil {
		o.t.Fatal(err)
	}
	o.open(f)
}

// update describes bytes without approving them.
func (o *org) update(name string, body []byte) content.ID {
	o.t.Helper()
	sum := content.Sum(body).SHA256()
	d := &policy.Descriptor{
		Update: policy.UpdateID(name), Revision: 1, Title: name, Severity: "low", Classification: "other", Installer: "file",
		InstallerArgs: map[string]string{"dest": "/srv/" + name}, Requires: []string{"file"}, Removable: true, FileName: name,
		Payload: content.Sum([]byte(name)), MapBytes: 1, PlainBytes: int64(len(body)), StoredBytes: int64(len(body)), SHA256: hex.EncodeToString(sum[:]),
	}
	b, err := d.Encode()
	if err != nil {
		o.t.Fatal(err)
	}
	id := content.Sum(b)
	o.docs[id], o.loads[id] = b, body
	return id
}

func (o *org) approval(id content.ID, group string, action policy.Action) policy.Approval {
	o.t.Helper()
	d, err := policy.DecodeDescriptor(o.docs[id])
	if err != nil {
		o.t.Fatal(err)
	}
	return policy.Approval{Update: d.Update, Revision: d.Revision, Descriptor: id, DescriptorBytes: len(o.docs[id]), Group: group, Action: action, At: o.now}
}

// approve signs an update for a group.
func (o *org) approve(name string, body []byte, group string, action policy.Action) content.ID {
	o.t.Helper()
	id := o.update(name, body)
	o.publish(func(m *policy.Manifest) {
		if group != policy.GroupAll && !hasGroup(m, group) {
			m.Groups = append(m.Groups, policy.Group{Name: group})
		}
		m.Approvals = append(m.Approvals, o.approval(id, group, action))
	})
	return id
}

func hasGroup(m *policy.Manifest, name string) bool {
	for _, g := range m.Groups {
		if g.Name == name {
			return true
		}
	}
	return false
}

// An org is a Source too: what an honest net side has.
func (o *org) Head() []byte { return o.trust.Files().Timestamp }

func (o *org) Root(v int64) ([]byte, error) {
	if v == o.trust.RootVersion() {
		return o.trust.Files().Root, nil
	}
	return nil, nil
}

func (o *org) Document(id content.ID) ([]byte, error) { return o.docs[id], nil }

func (o *org) Payload(id content.ID) (io.ReadCloser, int64, error) {
	b, ok := o.loads[id]
	if !ok {
		return nil, 0, errors.New("no such payload")
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

// recorder are hands that remember.
type recorder struct {
	fail error // of the next installs

	failRemove error // of the next removal

	mu        sync.Mutex
	installed map[policy.UpdateID][]byte
	installs  int
	removes   int
	looks     int
}

func (h *recorder) Detect(_ context.Context, d *policy.Descriptor) (Outcome, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looks++
	_, there := h.installed[d.Update]
	return Outcome{Present: there, Version: d.Version}, nil
}

func (h *recorder) Install(_ context.Context, d *policy.Descriptor, open func() (io.ReadCloser, error), _ func(string) error) (Outcome, error) {
	r, err := open()
	if err != nil {
		return Outcome{}, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return Outcome{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return Outcome{}, h.fail
	}
	h.installs++
	h.installed[d.Update] = b
	return Outcome{}, nil
}

func (h *recorder) Remove(_ context.Context, d *policy.Descriptor) (Outcome, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.failRemove; err != nil {
		h.failRemove = nil
		return Outcome{}, err
	}
	h.removes++
	delete(h.installed, d.Update)
	return Outcome{}, nil
}

func (h *recorder) changes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.installs + h.removes
}

// process is an apply role with its server, in a folder of its own.
type process struct {
	*Server
	role  *Role
	hands *recorder
	trust *trustdir.Dir
	log   *bytes.Buffer
	dir   string
	sock  string

	mu  sync.Mutex
	now time.Time
	uid int // who calls, as far as the server is told
}

func (p *process) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *process) setNow(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = t
}

// lockedWriter lets a test read the log while others write it.
type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

const allowedUID = 4242

// newProcess prepares a role that trusts o, as a machine of group "office".
func newProcess(t testing.TB, o *org) *process {
	t.Helper()
	p := &process{hands: &recorder{installed: map[policy.UpdateID][]byte{}}, dir: t.TempDir(), log: &bytes.Buffer{}, now: o.now, uid: allowedUID}
	var err error
	if p.trust, err = trustdir.Open(filepath.Join(p.dir, "trust")); err != nil {
		t.Fatal(err)
	}
	if err := p.trust.Save(o.trust.Files()); err != nil {
		t.Fatal(err)
	}
	shelf, err := OpenFolder(filepath.Join(p.dir, "shelf"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shelf.Close() })
	journal, _, err := OpenJournal(filepath.Join(p.dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = journal.Close() })
	log := slog.New(slog.NewTextHandler(lockedWriter{&p.mu, p.log}, nil))
	p.role = NewRole(Config{
		Trust: p.trust, Hands: p.hands, Shelf: shelf, Journal: journal, Now: p.clock, Log: log,
		Machine: policy.Machine{ID: "m", Name: "till-3", Site: "main", Groups: []string{"office"}, OS: runtime.GOOS, Arch: runtime.GOARCH, Installers: []string{"file"}},
	})
	p.Server = NewServer(ServerConfig{Role: p.role, Shelf: shelf, Allowed: []int{allowedUID}, Log: log, Who: func(net.Conn) (api.Caller, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.uid < 0 {
			return api.Caller{}, api.ErrNoCaller
		}
		return api.Caller{UID: p.uid, GID: p.uid}, nil
	}})
	return p
}

func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// serve opens the socket; it is closed with the test.
func (p *process) serve(t testing.TB) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pa") // test folders may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	p.sock = filepath.Join(dir, "s")
	ln, err := Listen(p.sock, -1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("server ended: %v", err)
		}
		_ = os.RemoveAll(dir)
	})
}

// wantRefused checks class and reason of a refusal.
func wantRefused(t *testing.T, what string, err error, reason policy.Reason) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Errorf("%s: %v, want a refusal for %s", what, err, reason)
	}
}

func body(n int, salt byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7+i>>8*13) ^ salt
	}
	return b
}

func name(i int) string { return fmt.Sprintf("u%d", i) }
