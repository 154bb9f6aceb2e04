package policy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// mutant is one mistake that the verification code could have: old becomes new in a file. Each is a
// hole, so the tests of this package must notice every one of them.
type mutant struct{ name, file, old, new string }

// S-MUT. What other checks make up for, and so nobody could notice, is no row: the floor that an old
// snapshot sets is also that of the epoch and of the roster's serial. Every old text must occur exactly once in its file: a row that no longer applies fails, so
// that the table grows old with the code.
var mutants = []mutant{
	{"weak keys are taken", "key.go", `if lowOrder[y] || !below(y, pMinus) {`, `if false && (lowOrder[y] || !below(y, pMinus)) {`},
	{"low order is not looked for", "key.go", `if lowOrder[y] || !below(y, pMinus) {`, `if !below(y, pMinus) {`},
	{"other spellings of a point are taken", "key.go", `if lowOrder[y] || !below(y, pMinus) {`, `if lowOrder[y] {`},
	{"the sign bit hides low order", "key.go", `y[31] &= 0x7f`, `y[31] &= 0xff`},
	{"keys in capitals are taken", "key.go", `if err != nil || hex.EncodeToString(b) != s {`, `if err != nil {`},
	{"one key counts under two ids", "key.go", `if seen[k.Value.PublicKey] {`, `if false && (seen[k.Value.PublicKey]) {`},
	{"other key types are taken", "key.go", `if k == nil || k.Type != metadata.KeyTypeEd25519 || k.Scheme != metadata.KeySchemeEd25519 {`, `if k == nil {`},
	{"a role may name keys that are missing", "root.go", `if root.Signed.Keys[id] == nil {`, `if false && (root.Signed.Keys[id] == nil) {`},
	{"a threshold that nobody can meet", "root.go", `len(distinct) < role.Threshold {`, `false {`},
	{"a threshold of nothing", "root.go", `if role.Threshold < 1 || `, `if `},
	{"an online key may approve", "root.go", `if canApprove(root, root.Signed.Keys[id]) {`, `if false && (canApprove(root, root.Signed.Keys[id])) {`},
	{"a root without organisation", "root.go", `if org == "" || checkText("organisation", org, maxOrgBytes) != nil {`, `if false && (org == "" || checkText("organisation", org, maxOrgBytes) != nil) {`},
	{"rotation frees nothing", "root.go", `if !slices.Contains(now.Signed.Roles[name].KeyIDs, id) {`, `if false && (!slices.Contains(now.Signed.Roles[name].KeyIDs, id)) {`},
	{"every root frees the versions", "root.go", `if !slices.Contains(now.Signed.Roles[name].KeyIDs, id) {`, `if true || !slices.Contains(now.Signed.Roles[name].KeyIDs, id) {`},
	{"a roster key may approve", "delegation.go", `case role.Name == RosterRole && canApprove(root, k):`, `case false:`},
	{"a delegated approver's key may be online", "delegation.go", `case role.Name != RosterRole && (holdsRole(root, onlineRoles, k) || slices.Contains(d.Roles[0].KeyIDs, id)):`, `case false:`},
	{"one key makes a role's threshold alone", "delegation.go", `if len(distinct) < role.Threshold {`, `if false && (len(distinct) < role.Threshold) {`},
	{"targets may delegate any path", "delegation.go", `case role.Paths[0] != path:`, `case path == "":`},
	{"delegated keys are not looked at", "delegation.go", `if err := checkKeys(d.Keys); err != nil {`, `if err := error(nil); err != nil {`},
	{"documents need not match their hash", "refresh.go", `if content.Sum(b) != need.ID {`, `if false && (content.Sum(b) != need.ID) {`},
	{"documents may be larger than signed", "refresh.go", `if len(b) > need.MaxBytes {`, `if false && (len(b) > need.MaxBytes) {`},
	{"the organisation may change with the root", "refresh.go", `if org := orgOf(root); org != orgOf(r.base.tm.Root) {`, `if org := orgOf(root); false {`},
	{"the old timestamp sets no floor", "refresh.go", `_, _ = r.tm.UpdateTimestamp(r.old.Timestamp)`, `_ = r`},
	{"two heads of one version", "refresh.go", `if !sameBytes(r.old.Timestamp, b) {`, `if false && (!sameBytes(r.old.Timestamp, b)) {`},
	{"the same head after it expired", "refresh.go", `if m.Signed.IsExpired(r.now.Add(-r.late)) && !r.local {`, `if false && (m.Signed.IsExpired(r.now) && !r.local) {`},
	{"a head may run ahead", "refresh.go", `if err := checkJump("timestamp", haveHead, m.Signed.Version); err != nil {`, `if err := checkJump("timestamp", haveHead, haveHead+1); err != nil {`},
	{"a snapshot version may run ahead", "refresh.go", `return checkJump("snapshot", haveSnapshot, m.Signed.Meta[snapshotFile].Version)`, `return checkJump("snapshot", haveSnapshot, haveSnapshot+1)`},
	{"versions in a snapshot may run ahead", "refresh.go", `if got := f.Version; !r.local && got > have {`, `if got := f.Version; false && got > have {`},
	{"a roster of another organisation", "refresh.go", `if roster.Org != orgOf(r.tm.Root) {`, `if false && (roster.Org != orgOf(r.tm.Root)) {`},
	{"any serial under a roster role", "refresh.go", `uint64(v) != roster.Serial {`, `false && v > 0 {`},
	{"a manifest of another organisation", "refresh.go", `if m.Org != orgOf(r.tm.Root) {`, `if false && (m.Org != orgOf(r.tm.Root)) {`},
	{"any epoch under the targets", "refresh.go", `uint64(v) != m.Epoch {`, `false && v > 0 {`},
	{"an older epoch under a new root", "refresh.go", `case m.Epoch < was.Epoch:`, `case false:`},
	{"two manifests of one epoch", "refresh.go", `case m.Epoch == was.Epoch && !sameBytes(b, r.base.files.Manifest):`, `case false:`},
	{"an expired set is refreshed to", "refresh.go", `RefTime: now}`, `RefTime: beginning}`},
	{"a head needs no signature", "trust.go", `if err := t.tm.Root.VerifyDelegate(metadata.TIMESTAMP, m); err != nil {`, `if err := error(nil); err != nil {`},
	{"an older head is no rollback", "trust.go", `case v < have:`, `case false:`},
	{"an expired head is news", "trust.go", `if m.Signed.IsExpired(now) {`, `if false && (m.Signed.IsExpired(now)) {`},
	{"a set without its timestamp is a new machine", "trust.go", `if len(f.Snapshot)+len(f.Targets)+len(f.RosterRole)+len(f.Roster)+len(f.Manifest)+len(f.Delegated) > 0 {`, `if false && (len(f.Snapshot)+len(f.Targets)+len(f.RosterRole)+len(f.Roster)+len(f.Manifest)+len(f.Delegated) > 0) {`},
	{"nothing is ever stale", "trust.go", `return !t.ExpiresAt().IsZero() && now.After(t.ExpiresAt())`, `return false`},
	{"lengths beyond the limit of a role", "trust.go", `if length > int64(limit) {`, `if false && (length > int64(limit)) {`},
	{"more signatures than needed", "document.go", `len(m.Signatures) > need {`, `false && need > 0 {`},
	{"another spelling of a head", "document.go", `err != nil || !bytes.Equal(again, b) {`, `err != nil || len(again) == 0 {`},
	{"thousands of signatures", "document.go", `if len(envelope.Signatures) > maxSignatures {`, `if false && (len(envelope.Signatures) > maxSignatures) {`},
	{"endless nesting", "document.go", `if depth > maxNesting {`, `if false && (depth > maxNesting) {`},
	{"nulls reach go-tuf", "document.go", `case token == nil:`, `case false:`},
	{"fields that nobody signed", "document.go", `if err := decodeStrict(b, len(b), &envelope); err != nil {`, `if err := json.Unmarshal(b, &envelope); err != nil {`},
	{"versions run as far as they like", "document.go", `if got < 1 || got > limit {`, `if got < 1 || false && got > limit {`},
	{"a field named twice", "decode.go", `err != nil || !bytes.Equal(again, b) {`, `err != nil || len(again) == 0 {`},
	{"data behind a document", "decode.go", `if _, err := d.Token(); !errors.Is(err, io.EOF) {`, `if _, err := d.Token(); false && !errors.Is(err, io.EOF) {`},
	{"unknown fields", "decode.go", `d.DisallowUnknownFields()`, `_ = d`},
	{"the floor lets older heads pass", "floor.go", `if v.is < v.was {`, `if false && (v.is < v.was) {`},
	{"the floor lets older epochs pass", "floor.go", `is < was {`, `false && is < was {`},
	{"the floor lets older roots pass", "floor.go", `if now.Root < f.Root {`, `if false && (now.Root < f.Root) {`},
	{"any root frees the floor", "floor.go", `if now.Root > f.Root {`, `if true {`},
	{"the floor lets versions run ahead", "floor.go", `if v.was > 0 {`, `if false && (v.was > 0) {`},
	{"the clock may go back", "clock.go", `return latest(wall, latest(c.ProvenAt, c.SeenAt))`, `return wall`},
	{"a wrong clock poisons the floor for ever", "clock.go", `if seen.After(c.limit) {`, `if false && (seen.After(c.limit)) {`},
	{"online keys push the time", "clock.go", `if at.After(issued) && !at.After(most) {`, `if at.After(issued) {`},
	{"a draft of another organisation", "draft.go", `if d.org != t.Org() {`, `if false && (d.org != t.Org()) {`},
	{"a draft of an older epoch", "draft.go", `if d.epoch <= t.Epoch() {`, `if false && (d.epoch <= t.Epoch()) {`},
	{"a draft that gives the roster away", "draft.go", `rosterKeyOf(t.tm.Root) == "" && !sameKeys(was, d.targets.Signed.Delegations, RosterRole) {`, `false && was == nil {`},
	{"the root's roster key binds nobody", "rosterkey.go", `if named == "" {`, `if true || named == "" {`},
	{"a roster key that the root names may approve", "rosterkey.go", `if canApprove(root, k) {`, `if false && canApprove(root, k) {`},
	{"the roster of the old key is kept", "rosterkey.go", `return p.main != nil && p.main.VerifyDelegate(RosterRole, old) != nil`, `return false`},
}

// Every row applies, in a short run too: a row that does not says nothing about the code.
func TestMutantsStillApply(t *testing.T) {
	if len(mutants) < 40 {
		t.Fatalf("%d mutants, at least 40 are promised", len(mutants))
	}
	for _, m := range mutants {
		if _, err := m.apply(); err != nil {
			t.Error(err)
		}
	}
}

// apply gives the mutated file.
func (m mutant) apply() (string, error) {
	b, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		return "", fmt.Errorf("%s: the text stands in %s %d times, want once: %s", m.name, m.file, n, m.old)
	}
	return strings.Replace(string(b), m.old, m.new, 1), nil
}

// All mutants are killed. In a short run some, picked by the length of the table alone, so that it is
// always the same ones.
func TestMutantsAreKilled(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go tool is not here: mutants cannot be built")
	}
	step, killed := soak(20, 1), atomic.Int64{}
	t.Run("all", func(t *testing.T) {
		for i := 0; i < len(mutants); i += step {
			m := mutants[i]
			t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
				t.Parallel() // building one and testing another overlap
				switch out, err := m.run(t, goTool); {
				case err == nil:
					t.Errorf("survived: %s (%s: %s)", m.name, m.file, m.new)
				case strings.Contains(out, "build failed") || !strings.Contains(out, "--- FAIL"):
					t.Errorf("not a test that failed:\n%s", out)
				default:
					killed.Add(1)
				}
			})
		}
	})
	t.Logf("%d of %d mutants were run, %d killed", (len(mutants)+step-1)/step, len(mutants), killed.Load())
}

// slowSuites take most of the time and kill few mutants: they run only for one that all others let live.
const slowSuites = "SeedDevil|ChangedEd25519|Ed25519Points|ClockTraces|ChainOfRoots|FindsEveryEdit|200Edits|PassesTheSuite"

// run tests the package with the mutant in place of the file. The slow suites and those that say
// nothing about verification stay out.
func (m mutant) run(t *testing.T, goTool string) (string, error) {
	t.Helper()
	text, err := m.apply()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mutated := filepath.Join(dir, m.file)
	if err := os.WriteFile(mutated, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "mutant.test")
	build := exec.CommandContext(t.Context(), goTool, "test", "-c", "-o", binary, "-ldflags=-s -w", "-overlay", list, ".")
	if out, err := build.CombinedOutput(); err != nil {
		return "build failed: " + string(out), err
	}
	// A loaded machine takes its time: one that ends by the clock would be no kill.
	for _, which := range [][]string{{"-test.skip", "Mutants|" + slowSuites}, {"-test.skip", "Mutants", "-test.run", slowSuites}} {
		cmd := exec.CommandContext(t.Context(), binary, append(which, "-test.failfast", "-test.timeout", "15m")...)
		cmd.Env = append(os.Environ(), "PATCHMESH_SOAK=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return string(out), err
		}
	}
	return "", nil
}
