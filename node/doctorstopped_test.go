package node

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

func (m *mesh) doctorStopped(name string, fix bool, scopes ...string) *api.Diagnosis {
	m.t.Helper()
	d, err := DoctorStopped(context.Background(), filepath.Join(m.dir, name), api.DoctorQuery{Fix: fix, Scopes: scopes}, time.Now)
	if err != nil {
		m.t.Fatal(err)
	}
	return d
}

// checked is the finding of a check.
func checked(t *testing.T, d *api.Diagnosis, check string) api.Finding {
	t.Helper()
	for _, f := range d.Findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("no check %q: %+v", check, d.Findings)
	return api.Finding{}
}

// R-I6, R-G8: 'doctor --fix' on a stopped machine settles what a crash has cut off, puts damaged payloads aside, takes
// away what a dead process left, closes the folder to others and makes room; without --fix it says so and changes
// nothing, and what it mended is whole once the machine runs again.
func TestRI6FixMendsAStoppedMachine(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes and sockets of another system")
	}
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	for _, u := range []string{"u1", "u2", "u3"} {
		m.file(u, noise(u[1], 300_000))
		m.approve(u)
	}
	installed(t, "u1", a)
	installed(t, "u2", a)
	installed(t, "u3", a)
	u1, u2, u3 := a.payloadID(t, "u1"), a.payloadID(t, "u2"), a.payloadID(t, "u3")
	if _, err := a.StorePin(context.Background(), api.PinRequest{Update: "u3"}); err != nil {
		t.Fatal(err)
	}
	for _, u := range []string{"u2", "u3"} { // nobody wants them any more; one is pinned
		if _, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: u, Group: "office", Action: "decline"}); err != nil {
			t.Fatal(err)
		}
	}
	epoch := m.seed.believer.current().Epoch()
	until(t, "the last approvals", func() bool { return a.believer.current().Epoch() == epoch })
	dir, payload := a.cfg.DataDir, filepath.Join(a.cfg.DataDir, "payloads", u1.String())
	a.stop()
	wreck(t, dir, payload)

	d := m.doctorStopped("a", false) // keys that others can read: nothing can be opened
	if f := checked(t, d, "access to the data folder"); f.OK || !f.CanFix || f.Did != "" || f.Facts["keys"] != 1 || f.NextStep == "" {
		t.Errorf("%+v", f)
	}
	if f := checked(t, d, "data folder"); f.OK {
		t.Errorf("%+v", f)
	}
	d = m.doctorStopped("a", true, api.ScopeStore)
	if f := checked(t, d, "access to the data folder"); f.Did == "" || mode(t, filepath.Join(dir, "keys", "node.key")) != 0o600 {
		t.Errorf("%+v", f)
	}
	if f := checked(t, d, "payloads"); f.OK || f.Reason != string(policy.ReasonTrustBadChunk) || f.Did == "" || !strings.Contains(f.Detail, "u1") {
		t.Errorf("%+v", f)
	}
	if _, err := os.Stat(payload); err == nil {
		t.Error("a damaged payload still counts as whole")
	}
	if d = m.doctorStopped("a", true, api.ScopeStore); !checked(t, d, "payloads").OK {
		t.Errorf("a second time: %+v", d.Findings)
	}

	before := listing(t, dir)
	d = m.doctorStopped("a", false)
	for _, check := range []string{"local sockets", "install of u1", "room for payloads"} {
		if f := checked(t, d, check); f.OK || !f.CanFix || f.Did != "" || f.Owner == "" || f.NextStep == "" {
			t.Errorf("%s: %+v", check, f)
		}
	}
	if f := checked(t, d, "disk of the system"); !strings.HasSuffix(f.Detail, a.root) {
		t.Errorf("the system's disk is that below --root: %+v", f)
	}
	if f := checked(t, d, "node"); f.CanFix || f.Reason != string(policy.ReasonAgentStopped) {
		t.Errorf("to start it is for people: %+v", f)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("changed without --fix:\n%s\nbefore:\n%s", after, before)
	}

	d = m.doctorStopped("a", true)
	for _, check := range []string{"local sockets", "install of u1", "room for payloads", "work folder"} {
		if f := checked(t, d, check); f.Did == "" || strings.Contains(f.Did, "did not work") {
			t.Errorf("%s: %+v", check, f)
		}
	}
	if f := checked(t, d, "install of u1"); !strings.Contains(f.Did, "it is on the machine") {
		t.Errorf("%+v", f)
	}
	t.Log(checked(t, d, "room for payloads"))
	for _, gone := range []string{"admin.sock", "work", filepath.Join("payloads", u2.String())} {
		if _, err := os.Lstat(filepath.Join(dir, gone)); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "payloads", u3.String())); err != nil {
		t.Errorf("what is pinned went: %v", err)
	}
	d = m.doctorStopped("a", false, api.ScopeDisk, api.ScopeStore, api.ScopeTime)
	if f := checked(t, d, "room for payloads"); f.OK { // u1 and u3 are needed and pinned: not what may go decides, but what must stay
		t.Errorf("%+v", f)
	}
	a = m.run("a", Config{Egress: EgressYes})
	until(t, "the machine to be as it was", func() bool { return a.update(t, "u1").State == "installed" })
	if rows, err := a.db.JournalOpen(); err != nil || len(rows) > 0 {
		t.Errorf("%+v, %v", rows, err)
	}
}

// wreck leaves the folder as a crash, a failing disk and a careless hand would.
func wreck(t *testing.T, dir, payload string) {
	t.Helper()
	b, err := os.ReadFile(payload)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	db, err := state.Open(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.Value(runSettingsKey)
	if err != nil || !strings.Contains(string(s), `"root"`) {
		t.Fatalf("%s, %v", s, err)
	}
	sock, err := net.Listen("unix", filepath.Join(dir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	sock.(*net.UnixListener).SetUnlinkOnClose(false)
	for what, err := range map[string]error{
		"damage":   os.WriteFile(payload, b, 0o600),
		"journal":  db.JournalBegin("u1", 1, "install", time.Now()),
		"settings": db.PutValue(runSettingsKey, []byte(strings.Replace(string(s), "{", `{"store_quota":"1KiB",`, 1))),
		"db":       db.Close(),
		"socket":   sock.Close(),
		"work":     os.MkdirAll(filepath.Join(dir, "work"), 0o700),
		"key":      os.Chmod(filepath.Join(dir, "keys", "node.key"), 0o644),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "work", "half"), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Mode().Perm()
}

// listing is every file with its mode and size, but for those of the database that come and go with opening it.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		if err == nil && !strings.HasPrefix(filepath.Base(path), "state.db-") {
			b.WriteString(path + " " + fi.Mode().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
