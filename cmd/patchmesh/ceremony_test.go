package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
)

// stage is a seed whose second approver lives elsewhere, and the approver's own folder.
type stage struct {
	t                *testing.T
	seed, alice, dir string
	fingerprint      string
}

func (s *stage) do(args ...string) string {
	s.t.Helper()
	code, out, errOut := call(args...)
	if code != 0 {
		s.t.Fatalf("patchmesh %s: exit %d: %s", strings.Join(args, " "), code, errOut)
	}
	return out
}

func (s *stage) onSeed(args ...string) string {
	s.t.Helper()
	return s.do(append(args, "--data", s.seed)...)
}

func (s *stage) refuse(code int, word string, args ...string) {
	s.t.Helper()
	got, _, errOut := call(args...)
	if got != code || !strings.Contains(errOut, word) {
		s.t.Fatalf("patchmesh %s: exit %d, want %d with %q: %s", strings.Join(args, " "), got, code, word, errOut)
	}
}

func into[T any](t *testing.T, out string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return v
}

// newStage makes an organisation of threshold 2 with the second key carried away, and one update.
func newStage(t *testing.T, threshold int) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{t: t, dir: dir, seed: filepath.Join(dir, "seed"), alice: filepath.Join(dir, "alice")}
	n := "1"
	if threshold == 2 {
		n = "2"
	}
	f := into[struct {
		Fingerprint string `json:"root_fingerprint"`
	}](t, s.do("init", "--org", "acme", "--threshold", n, "--insecure-no-passphrase", "--data", s.seed, "--json"))
	s.fingerprint = f.Fingerprint
	if err := os.Mkdir(s.alice, 0o700); err != nil {
		t.Fatal(err)
	}
	if threshold == 2 {
		for _, suffix := range []string{".key", ".pub"} {
			if err := os.Rename(filepath.Join(s.seed, "keys", "approver-2"+suffix), filepath.Join(s.alice, "approver-2"+suffix)); err != nil {
				t.Fatal(err)
			}
		}
	}
	body := filepath.Join(dir, "motd")
	if err := os.WriteFile(body, bytes.Repeat([]byte("hello\n"), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	s.onSeed("import", body, "--installer", "file", "--installer-arg", "dest=/etc/motd", "--title", "A word of the day")
	return s
}

func (s *stage) export(name string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	s.onSeed("draft", "export", path)
	return path
}

// The other approver's machine has no network: a stick carries the draft there and the signature back.
func TestDraftIsSignedOnAnotherMachineOffline(t *testing.T) {
	s := newStage(t, 2)
	s.onSeed("approve", "motd", "--group", "all", "--deadline", "48h", "--reason", "everybody should read it")
	path := s.export("draft.json")
	key, trust := filepath.Join(s.alice, "approver-2.key"), filepath.Join(s.alice, "trust")

	v := into[api.DraftView](t, s.do("sign", path, "--show", "--json", "--root", s.fingerprint))
	if len(v.Changes) != 1 || v.Changes[0].Title != "A word of the day" || v.Signatures != 1 || v.Threshold != 2 || v.Epoch != 2 {
		t.Fatalf("shown: %+v", v)
	}
	for _, fact := range []string{"install motd revision 1 for group all", "deadline 20", "descriptor bafk"} {
		if !strings.Contains(v.Changes[0].Text, fact) {
			t.Errorf("%q does not say %q", v.Changes[0].Text, fact)
		}
	}
	s.refuse(2, "verified from", "sign", path, "--key", key)
	s.refuse(3, "belongs to an organisation", "sign", path, "--key", key, "--root", v.Manifest)
	stranger := filepath.Join(s.dir, "bob")
	s.do("key", "new", "bob", "--out", stranger, "--insecure-no-passphrase")
	s.refuse(3, "no approver for this draft", "sign", path, "--key", filepath.Join(stranger, "bob.key"), "--root", s.fingerprint)

	out := s.do("sign", path, "--key", key, "--root", s.fingerprint, "--trust", trust)
	if shown, signed := strings.Index(out, "install motd"), strings.Index(out, "signed: 2 of 2"); shown < 0 || signed < shown {
		t.Fatalf("what is signed must be shown first: %q", out)
	}
	p := into[api.Published](t, s.onSeed("draft", "import", path, "--json"))
	if !p.Published || p.Epoch != 2 {
		t.Fatalf("%+v", p)
	}
	s.refuse(5, "no draft is waiting", "draft", "import", path, "--data", s.seed)

	// The approver's machine remembers: a draft that begins before what it has seen is not signed.
	old := path
	s.onSeed("approve", "motd", "--group", "all", "--action", "decline")
	next := s.export("next.json")
	s.do("sign", next, "--key", key, "--trust", trust)
	s.onSeed("draft", "import", next)
	s.refuse(3, "older than what is trusted", "sign", old, "--key", key, "--trust", trust)
}

// The seed is in a thief's hands: he changes the draft on the stick, or what is shown about it.
func TestChangedDraftFilesAreRefused(t *testing.T) {
	s := newStage(t, 2)
	s.onSeed("approve", "motd", "--group", "all")
	path := s.export("draft.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(m map[string]json.RawMessage){
		"another manifest": func(m map[string]json.RawMessage) {
			m["draft"] = bytes.Replace(m["draft"], []byte(`"manifest":"`), []byte(`"manifest":"AAAA`), 1)
		},
		"no snapshot":         func(m map[string]json.RawMessage) { m["snapshot"] = []byte(`""`) },
		"a field more":        func(m map[string]json.RawMessage) { m["more"] = []byte(`1`) },
		"another trusted set": func(m map[string]json.RawMessage) { m["manifest"] = m["roster"] },
	} {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		edit(m)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, errOut := call("sign", path, "--root", s.fingerprint, "--show"); code != 3 {
			t.Errorf("%s: exit %d: %s", name, code, errOut)
		}
	}
}

// A role decides for its group with its own key; the main approvers keep the rest.
func TestRoleDecidesForItsGroup(t *testing.T) {
	s := newStage(t, 1)
	s.onSeed("invite", "--group", "canary")
	s.do("key", "new", "bob", "--out", filepath.Join(s.seed, "keys"), "--insecure-no-passphrase")
	grant := []string{"role", "grant", "canary", "--group", "canary", "--action", "install", "--action", "hold", "--approver", filepath.Join(s.seed, "keys", "bob.pub"), "--json"}
	if p := into[api.Published](t, s.onSeed(grant...)); !p.Published || p.Epoch != 2 {
		t.Fatalf("%+v", p)
	}
	p := into[api.Published](t, s.onSeed("approve", "motd", "--group", "canary", "--role", "canary", "--json"))
	if !p.Published || p.Role != "canary" || p.Epoch != 1 {
		t.Fatalf("%+v", p)
	}
	s.refuse(3, "beyond what the role may decide", "approve", "motd", "--group", "all", "--role", "canary", "--data", s.seed)
	s.refuse(5, "no role", "approve", "motd", "--group", "all", "--role", "pilot", "--data", s.seed)
	h := into[api.Published](t, s.onSeed("hold", "all", "--group", "canary", "--role", "canary", "--reason", "smoke", "--json"))
	if !strings.HasPrefix(h.Hold, "canary.h-") {
		t.Fatalf("hold %q", h.Hold)
	}
	s.onSeed("release", h.Hold)
	tr := into[api.TrustState](t, s.onSeed("trust", "show", "--json"))
	last := tr.Roles[len(tr.Roles)-1]
	if last.Name != "canary" || !last.Delegated || last.Version != 3 || len(last.Here) != 1 || last.Refused != "" {
		t.Fatalf("%+v", last)
	}
	s.onSeed("role", "drop", "canary")
	s.refuse(5, "no role", "approve", "motd", "--group", "canary", "--role", "canary", "--data", s.seed)
	l := into[api.ApprovalLog](t, s.onSeed("log", "approval", "--verify", "--json"))
	if !l.Verified || len(l.Entries) != 6 || l.Entries[2].Role != "canary" {
		t.Fatalf("%+v", l)
	}
}

func TestTrustShowWarnsOfASingleApprover(t *testing.T) {
	one := newStage(t, 1)
	out := one.onSeed("trust", "show")
	for _, want := range []string{"WARNING approvals: one key alone can approve", "root fingerprint  " + one.fingerprint, "approvals        1 of 1 keys", "expires"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in %s", want, out)
		}
	}
	two := newStage(t, 2)
	if out := two.onSeed("trust", "show"); strings.Contains(out, "approvals: one key alone") {
		t.Errorf("two of two: %s", out)
	}
}

// Approvers come and go: the next root is signed by the holders of the root, and what is approved by
// the new approvers.
func TestRootRotationChangesApprovers(t *testing.T) {
	s := newStage(t, 1)
	s.onSeed("approve", "motd", "--group", "all")
	carol := filepath.Join(s.dir, "carol")
	s.do("key", "new", "carol", "--out", carol, "--insecure-no-passphrase")
	path := filepath.Join(s.dir, "root.json")
	v := into[api.RootView](t, s.onSeed("root", "rotate", path, "--add-approver", filepath.Join(carol, "carol.pub"), "--threshold", "2", "--json"))
	if v.Version != 2 || v.Threshold != 2 || len(v.Approvers) != 2 || v.Complete {
		t.Fatalf("%+v", v)
	}
	s.refuse(3, "0 of 1 signatures", "root", "publish", path, "--data", s.seed)
	s.do("root", "sign", path, "--key", filepath.Join(s.seed, "keys", "root.key"))
	v = into[api.RootView](t, s.onSeed("root", "publish", path, "--json"))
	if v.Published || v.Waits == "" {
		t.Fatalf("the new approvers have not signed yet: %+v", v)
	}
	if tr := into[api.TrustState](t, s.onSeed("trust", "show", "--json")); tr.Roles[0].Version != 1 || tr.Epoch != 2 {
		t.Fatalf("in force before they have: %+v", tr)
	}
	// Carol signs from the stick.
	draft := s.export("draft.json")
	s.do("sign", draft, "--key", filepath.Join(carol, "carol.key"), "--root", s.fingerprint)
	if p := into[api.Published](t, s.onSeed("draft", "import", draft, "--json")); !p.Published || p.Epoch != 3 {
		t.Fatalf("%+v", p)
	}
	tr := into[api.TrustState](t, s.onSeed("trust", "show", "--json"))
	if tr.Roles[0].Version != 2 || tr.Roles[1].Threshold != 2 || tr.Epoch != 3 || tr.Fingerprint != s.fingerprint {
		t.Fatalf("%+v", tr)
	}
	if p := into[api.Published](t, s.onSeed("approve", "motd", "--group", "all", "--action", "decline", "--json")); p.Published || p.Signatures != 1 || p.Threshold != 2 {
		t.Fatalf("one of two now: %+v", p)
	}
	if l := into[api.ApprovalLog](t, s.onSeed("log", "approval", "--verify", "--json")); !l.Verified || len(l.Entries) != 3 {
		t.Fatalf("%+v", l)
	}
}

// What was approved at a time is read from the log alone.
func TestLogTellsWhatWasApprovedThen(t *testing.T) {
	s := newStage(t, 1)
	before := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	s.onSeed("approve", "motd", "--group", "all", "--reason", "everybody should read it")
	now := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if l := into[api.ApprovalLog](t, s.onSeed("log", "approval", "--at", before, "--json")); len(l.InForce) != 0 {
		t.Fatalf("before: %v", l.InForce)
	}
	l := into[api.ApprovalLog](t, s.onSeed("log", "approval", "--at", now, "--json"))
	if len(l.InForce) != 2 || !strings.Contains(l.InForce[1], "install motd revision 1 for group all") {
		t.Fatalf("now: %v", l.InForce)
	}
	if e := l.Entries[1]; e.Reason != "everybody should read it" || len(e.Signers) != 1 || e.Before != 1 || e.After != 2 || len(e.Changes) != 1 {
		t.Fatalf("%+v", e)
	}
	s.refuse(2, "no time", "log", "approval", "--at", "yesterday", "--data", s.seed)
}

// A big organisation makes its keys elsewhere: no key that can approve or change the root ever lies on
// the seed, which waits for files.
func TestFoundingWithKeysMadeElsewhere(t *testing.T) {
	dir := t.TempDir()
	s := &stage{t: t, dir: dir, seed: filepath.Join(dir, "seed"), alice: filepath.Join(dir, "people")}
	pub := func(name string) string { return filepath.Join(s.alice, name+".pub") }
	key := func(name string) string { return filepath.Join(s.alice, name+".key") }
	for _, name := range []string{"r1", "r2", "r3", "alice", "bob"} {
		s.do("key", "new", name, "--out", s.alice, "--insecure-no-passphrase")
	}
	type waiting struct {
		File        string   `json:"waits_for_file"`
		Fingerprint string   `json:"root_fingerprint"`
		Missing     []string `json:"missing"`
	}
	s.refuse(2, "needs as many approver keys", "init", "--org", "acme", "--threshold", "3", "--approver", pub("alice"), "--root-key", pub("r1"), "--data", filepath.Join(dir, "x"))
	w := into[waiting](t, s.onSeed("init", "--org", "acme", "--threshold", "2", "--approver", pub("alice"), "--approver", pub("bob"),
		"--root-key", pub("r1"), "--root-key", pub("r2"), "--root-key", pub("r3"), "--root-threshold", "2", "--json"))
	if len(w.Missing) != 3 || w.Fingerprint != "" {
		t.Fatalf("%+v", w)
	}
	root := w.File
	if again := into[waiting](t, s.onSeed("init", root, "--json")); again.File != root {
		t.Fatalf("without signatures: %+v", again)
	}
	for _, r := range []struct{ name, next string }{{"r1", "another root holder; with 2, 'patchmesh init "}, {"r3", "next: 'patchmesh init "}} {
		if out := s.do("root", "sign", root, "--key", key(r.name)); !strings.Contains(out, r.next+root) || strings.Contains(out, "root publish") {
			t.Errorf("after the signature of %s: %s", r.name, out)
		}
	}
	changed, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	evil := filepath.Join(dir, "evil.json")
	if err := os.WriteFile(evil, bytes.Replace(changed, []byte(`"threshold":2`), []byte(`"threshold":1`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	s.refuse(3, "not the root that was made here", "init", evil, "--data", s.seed)
	w = into[waiting](t, s.onSeed("init", root, "--json"))
	if len(w.Missing) != 2 || w.Fingerprint == "" {
		t.Fatalf("with a root: %+v", w)
	}
	s.do("sign", w.File, "--key", key("alice"), "--root", w.Fingerprint)
	s.refuse(4, "", "status", "--data", s.seed)
	s.do("sign", w.File, "--key", key("bob"), "--root", w.Fingerprint)
	if done := into[waiting](t, s.onSeed("init", w.File, "--json")); done.File != "" || done.Fingerprint != w.Fingerprint {
		t.Fatalf("%+v", done)
	}
	tr := into[api.TrustState](t, s.onSeed("trust", "show", "--json"))
	if tr.Epoch != 1 || tr.Roles[0].Threshold != 2 || len(tr.Roles[0].Keys) != 3 || tr.Roles[1].Threshold != 2 || len(tr.Roles[0].Here)+len(tr.Roles[1].Here) != 0 {
		t.Fatalf("%+v", tr)
	}
	s.refuse(2, "belongs to a mesh already", "init", w.File, "--data", s.seed)
}

// A seed's online keys were stolen: the next root names new ones, and the old ones freshen nothing.
func TestRootRotationChangesOnlineKeys(t *testing.T) {
	s := newStage(t, 1)
	keys := filepath.Join(s.seed, "keys")
	path := filepath.Join(s.dir, "root.json")
	for _, name := range []string{"timestamp-2", "snapshot-2"} {
		s.do("key", "new", name, "--out", keys, "--insecure-no-passphrase")
	}
	before := into[api.TrustState](t, s.onSeed("trust", "show", "--json"))
	s.onSeed("root", "rotate", path, "--timestamp-key", filepath.Join(keys, "timestamp-2.pub"), "--snapshot-key", filepath.Join(keys, "snapshot-2.pub"))
	s.do("root", "sign", path, "--key", filepath.Join(keys, "root.key"))
	if v := into[api.RootView](t, s.onSeed("root", "publish", path, "--json")); !v.Published {
		t.Fatalf("%+v", v)
	}
	s.onSeed("approve", "motd", "--group", "all")
	after := into[api.TrustState](t, s.onSeed("trust", "show", "--json"))
	for _, i := range []int{3, 4} {
		if len(after.Roles[i].Keys) != 1 || after.Roles[i].Keys[0] == before.Roles[i].Keys[0] || !strings.HasSuffix(after.Roles[i].Here[0], "-2") {
			t.Errorf("%s: %v, was %v", after.Roles[i].Name, after.Roles[i].Keys, before.Roles[i].Keys)
		}
	}
	// An online key that could approve is no root at all.
	s.refuse(2, "could approve", "root", "rotate", path, "--timestamp-key", filepath.Join(keys, "approver-1.pub"), "--data", s.seed)
}
