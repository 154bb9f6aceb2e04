package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// org is an organisation whose keys the test holds, at one version of its documents after the other.
type org struct {
	t     *testing.T
	roles policy.RoleKeys
	trust *policy.Trust
	roots [][]byte
	now   time.Time
}

func newOrg(t *testing.T) *org {
	t.Helper()
	signer := func() policy.Signer {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := policy.NewSigner(k)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	o := &org{t: t, now: time.Now(), roles: policy.RoleKeys{
		Root: []policy.Signer{signer()}, Approvers: []policy.Signer{signer()}, RootThreshold: 1, Threshold: 1,
		Online: policy.OnlineKeys{Timestamp: signer(), Snapshot: signer(), Roster: signer()},
	}}
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	files, err := policy.NewRepository("acme", o.roles, &policy.Roster{Org: "acme", EnrolmentKeys: []string{hex.EncodeToString(pub)}}, o.now)
	o.take(files, err)
	return o
}

func (o *org) take(f policy.Files, err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
	if o.trust, err = policy.OpenTrust(f, o.now); err != nil {
		o.t.Fatal(err)
	}
	if int64(len(o.roots)) < o.trust.RootVersion() {
		o.roots = append(o.roots, f.Root)
	}
}

// rotate publishes a new root.
func (o *org) rotate() {
	o.t.Helper()
	root, err := o.trust.NextRoot(o.roles, o.roles.Root, o.now)
	if err != nil {
		o.t.Fatal(err)
	}
	o.take(o.trust.PublishRoot(root, nil, nil, o.roles.Online, o.now))
}

// approve publishes the next epoch.
func (o *org) approve() {
	o.t.Helper()
	m := *o.trust.Manifest()
	m.Epoch++
	d, err := policy.NewDraft(o.trust, &m, o.now)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := d.Sign(o.roles.Approvers[0]); err != nil {
		o.t.Fatal(err)
	}
	o.take(o.trust.Publish(d, nil, o.roles.Online, o.now))
}

func (o *org) docs() *api.TrustDocs {
	f := o.trust.Files()
	d := &api.TrustDocs{
		Timestamp: f.Timestamp, Snapshot: f.Snapshot, Targets: f.Targets, RosterRole: f.RosterRole, Roster: f.Roster, Manifest: f.Manifest,
	}
	for i, b := range o.roots {
		d.Roots = append(d.Roots, api.TrustRoot{Version: int64(i + 1), Body: b})
	}
	return d
}

// mirror writes and serves the documents.
func (o *org) mirror() string {
	o.t.Helper()
	dir := filepath.Join(o.t.TempDir(), "www")
	if _, err := WriteMirror(dir, o.docs(), o.now); err != nil {
		o.t.Fatal(err)
	}
	web := httptest.NewServer(http.FileServer(http.Dir(dir)))
	o.t.Cleanup(web.Close)
	return web.URL
}

// member is a stopped machine that trusts what the organisation shows now.
func (o *org) member() stopped {
	o.t.Helper()
	f, err := newFolder(filepath.Join(o.t.TempDir(), "data"), func() time.Time { return o.now })
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(f.close)
	if err := f.beginTrust(o.trust.Files(), 1); err != nil {
		o.t.Fatal(err)
	}
	if f.believer, err = openBeliever(filepath.Join(f.dir, "trust"), func() time.Time { return o.now }); err != nil {
		o.t.Fatal(err)
	}
	return stopped{f}
}

func (o *org) fetch(s stopped, url string, at time.Time) (*api.TrustDocs, error) {
	o.t.Helper()
	have, err := s.TrustDocs(context.Background())
	if err != nil {
		o.t.Fatal(err)
	}
	return FetchTrust(context.Background(), have, url, at)
}

func TestRefreshFromAMirrorFollowsTheChainOfRoots(t *testing.T) {
	o := newOrg(t)
	s := o.member()
	o.rotate()
	o.approve()
	o.rotate()
	docs, err := o.fetch(s, o.mirror(), o.now)
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.AdoptTrust(context.Background(), *docs)
	if err != nil || st.Root != 3 || st.Epoch != o.trust.Epoch() || st.Unchanged {
		t.Fatalf("%+v, %v", st, err)
	}
	// It is on disk, and the machine can give others the whole chain.
	b, err := openBeliever(filepath.Join(s.dir, "trust"), func() time.Time { return o.now })
	if err != nil || b.current().HeadVersion() != o.trust.HeadVersion() {
		t.Fatalf("%v", err)
	}
	have, err := s.TrustDocs(context.Background())
	if err != nil || len(have.Roots) != 3 {
		t.Fatalf("%d roots are kept, %v", len(have.Roots), err)
	}
	for i, r := range have.Roots {
		if r.Version != int64(i+1) || !bytes.Equal(r.Body, o.roots[i]) {
			t.Errorf("root %d is kept as %d", i+1, r.Version)
		}
	}
	if st, err := s.AdoptTrust(context.Background(), *docs); err != nil || !st.Unchanged {
		t.Errorf("again: %+v, %v", st, err)
	}
}

func TestExpiredMirrorIsRefused(t *testing.T) {
	o := newOrg(t)
	s := o.member()
	o.approve()
	url := o.mirror()
	for days, ok := range map[int]bool{1: true, 30: false, 400: false} {
		_, err := o.fetch(s, url, o.now.AddDate(0, 0, days))
		if (err == nil) != ok || (err != nil && api.ClassOf(err) != api.ClassRefused) {
			t.Errorf("after %d days: %v", days, err)
		}
	}
}

// Whoever asks the running node to adopt something may be anybody who got hold of the socket.
func TestAdoptVerifiesWhateverItIsGiven(t *testing.T) {
	o := newOrg(t)
	s := o.member()
	before := s.believer.current()
	o.approve()
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		return b
	}
	for what, edit := range map[string]func(*api.TrustDocs){
		"nothing":            func(d *api.TrustDocs) { *d = api.TrustDocs{} },
		"another timestamp":  func(d *api.TrustDocs) { d.Timestamp = flip(d.Timestamp) },
		"another snapshot":   func(d *api.TrustDocs) { d.Snapshot = flip(d.Snapshot) },
		"another targets":    func(d *api.TrustDocs) { d.Targets = flip(d.Targets) },
		"another manifest":   func(d *api.TrustDocs) { d.Manifest = flip(d.Manifest) },
		"a root of nobody":   func(d *api.TrustDocs) { d.Roots = append(d.Roots, api.TrustRoot{Version: 2, Body: []byte("{}")}) },
		"an old root as new": func(d *api.TrustDocs) { d.Roots = append(d.Roots, api.TrustRoot{Version: 2, Body: d.Roots[0].Body}) },
		"another's mesh":     func(d *api.TrustDocs) { other := newOrg(t); other.approve(); *d = *other.docs() },
	} {
		d := o.docs()
		edit(d)
		st, err := s.AdoptTrust(context.Background(), *d)
		if c := api.ClassOf(err); err == nil || c != api.ClassRefused && c != api.ClassNotFound {
			t.Errorf("%s: %+v, %v", what, st, err)
		}
		if s.believer.current() != before {
			t.Fatalf("%s was adopted", what)
		}
	}
	if _, err := s.AdoptTrust(context.Background(), *o.docs()); err != nil {
		t.Fatal(err)
	}
	old := newOrg(t) // and then its own past
	past := old.docs()
	m := old.member()
	old.approve()
	if _, err := m.AdoptTrust(context.Background(), *old.docs()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.AdoptTrust(context.Background(), *past); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("rolled back: %v", err)
	}
}

func TestMirrorNeedsEveryRoot(t *testing.T) {
	o := newOrg(t)
	o.rotate()
	d := o.docs()
	d.Roots = d.Roots[1:]
	if _, err := WriteMirror(t.TempDir(), d, o.now); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("%v", err)
	}
	if _, err := WriteMirror(t.TempDir(), &api.TrustDocs{}, o.now); err == nil {
		t.Error("nothing was mirrored")
	}
}
