package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"patchmesh/content"
)

// logOf is a history of approvals with its log and the roots that it was signed under.
func logOf(t testing.TB) (m *mesh, lines [][]byte, roots []*Trust) {
	t.Helper()
	m, k := canaryMesh(t)
	h := &History{}
	write := func(role, reason string, at time.Time) {
		t.Helper()
		e, err := h.Next(m.trust, nil, role, reason, at)
		if err != nil {
			t.Fatal(err)
		}
		line, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		root, err := NewTrust(m.trust.Files().Root)
		if err != nil {
			t.Fatal(err)
		}
		roots = []*Trust{root}
		if _, err := h.Add(line, roots); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	write("", "the beginning", t0)
	for i := range 4 {
		at := t0.Add(time.Duration(i+1) * time.Hour)
		m.mustNext(at, func(man *Manifest) {
			man.Approvals = append(man.Approvals, approval(fmt.Sprintf("u%d", i), GroupAll, ActionInstall))
		})
		write("", "monthly updates", at)
		m.mustRole(at, "canary", func(rm *RoleManifest) {
			rm.Approvals = []Approval{}
			approveRole(fmt.Sprintf("c%d", i), "canary", ActionInstall)(rm)
			holdRole(fmt.Sprintf("canary.h%d", i), "canary")(rm)
		}, k)
		write("canary", "try it", at)
		m.mustNext(at, func(man *Manifest) { man.Approvals = man.Approvals[1:]; hold(fmt.Sprintf("h%d", i))(man) })
		write("", "withdrawn", at)
	}
	return m, lines, roots
}

// verifyLines is the verification of a whole log against the checkpoint that a roster carries.
func verifyLines(lines [][]byte, roots []*Trust, want *Checkpoint) (*History, error) {
	h := &History{}
	for _, l := range lines {
		if _, err := h.Add(l, roots); err != nil {
			return h, err
		}
	}
	got := h.Checkpoint()
	if got == nil || *got != *want {
		return h, fmt.Errorf("checkpoint %v, want %v: %w", got, want, ErrHash)
	}
	return h, nil
}

// S-AUDIT: an attacker edits the log at rest. rehash says whether he makes the chain whole again.
func auditEdits(rng *rand.Rand, kind string, lines [][]byte) [][]byte {
	out := make([][]byte, len(lines))
	for i := range lines {
		out[i] = bytes.Clone(lines[i])
	}
	i := rng.IntN(len(out))
	switch kind {
	case "flip":
		out[i][rng.IntN(len(out[i]))] ^= 1 << rng.IntN(8)
	case "delete":
		out = slices.Delete(out, i, i+1)
	case "reorder":
		j := (i + 1 + rng.IntN(len(out)-1)) % len(out)
		out[i], out[j] = out[j], out[i]
	case "truncate":
		out = out[:i]
	case "cut":
		out[i] = out[i][:rng.IntN(len(out[i]))]
	case "insert":
		out = slices.Insert(out, i, bytes.Clone(out[rng.IntN(len(out))]))
	case "rehash", "rewrite":
		out = rewriteFrom(rng, i, out)
	}
	return out
}

// rewriteFrom changes what an entry says and hashes everything behind it anew.
func rewriteFrom(rng *rand.Rand, i int, lines [][]byte) [][]byte {
	prev := ""
	for n := range lines {
		var e Entry
		if json.Unmarshal(lines[n], &e) != nil {
			panic("a line of the log does not decode")
		}
		if n == i {
			switch rng.IntN(4) {
			case 0:
				e.Reason += "!"
			case 1:
				e.At = e.At.Add(time.Second)
			case 2:
				e.Signers = []string{"somebody else"}
			case 3:
				e.Threshold++
			}
		}
		if n > i {
			e.Prev = prev
		}
		lines[n], _ = e.Encode()
		prev = content.Sum(lines[n]).String()
	}
	return lines
}

func TestRB16AuditFinds200Of200Edits(t *testing.T) {
	_, lines, roots := logOf(t)
	h, err := verifyLines(lines, roots, &Checkpoint{})
	if err == nil {
		t.Fatal("an empty checkpoint was matched")
	}
	want := h.Checkpoint()
	if _, err := verifyLines(lines, roots, want); err != nil {
		t.Fatal(err)
	}
	kinds := []string{"flip", "delete", "reorder", "truncate", "cut", "insert", "rehash", "rewrite"}
	found := 0
	for n := range 200 {
		kind := kinds[n%len(kinds)]
		edited := auditEdits(rand.New(rand.NewPCG(uint64(n), 2)), kind, lines)
		if _, err := verifyLines(edited, nil, want); err == nil {
			t.Errorf("edit %d (%s) was not noticed", n, kind)
			continue
		}
		found++
	}
	t.Logf("%d of 200 edits found", found)
}

// The thief of the seed's keys can sign another checkpoint. What approvers signed he cannot change:
// an entry must not claim approvals, signers or a threshold that were not.
func TestLogCannotClaimWhatNobodySigned(t *testing.T) {
	_, lines, roots := logOf(t)
	for name, edit := range map[string]func(*Entry){
		"another signer": func(e *Entry) { e.Signers[0] = e.Signers[1] },
		"a lower bar":    func(e *Entry) { e.Threshold = 1 },
		"one more change": func(e *Entry) {
			e.Changes = append(e.Changes, Change{Approval: &Approval{Update: "evil", Group: "all"}})
		},
		"fewer changes": func(e *Entry) { e.Changes = e.Changes[1:] },
		"another group": func(e *Entry) { a := *e.Changes[0].Approval; a.Group = "office"; e.Changes[0].Approval = &a },
		"no signature":  func(e *Entry) { e.Signed = bytes.Replace(e.Signed, []byte(`"sig":"`), []byte(`"sig":"00`), 1) },
	} {
		h := &History{}
		if _, err := h.Add(lines[0], roots); err != nil {
			t.Fatal(err)
		}
		e, err := DecodeEntry(lines[1])
		if err != nil {
			t.Fatal(err)
		}
		edit(e)
		line, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Add(line, roots); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// What was approved at any time is made again from the log alone, to the byte.
func TestRB16LogReplaysEveryManifest(t *testing.T) {
	m, lines, roots := logOf(t)
	h := &History{}
	for i, l := range lines {
		e, err := h.Add(l, roots)
		if err != nil {
			t.Fatal(err)
		}
		if got := content.Sum(h.Manifest(e.Role)).String(); got != e.Manifest {
			t.Fatalf("entry %d leads to %s, signed was %s", i, got, e.Manifest)
		}
	}
	if !bytes.Equal(h.Manifest(""), m.trust.Files().Manifest) {
		t.Fatal("the log does not end in what is in force")
	}
	rm, err := DecodeRoleManifest(h.Manifest("canary"))
	if err != nil || len(rm.Approvals) != 1 || rm.Approvals[0].Update != "c3" || !slices.Equal(h.Roles(), []string{"canary"}) {
		t.Fatalf("the role at the end: %v %v", rm, err)
	}
}

func TestDraftShowsItsChanges(t *testing.T) {
	m, _ := canaryMesh(t)
	m.mustNext(t0, func(man *Manifest) {
		man.Approvals = append(man.Approvals, approval("a", GroupAll, ActionInstall), approval("b", "office", ActionInstall))
	})
	man, _ := DecodeManifest(m.trust.Files().Manifest)
	man.Epoch++
	man.Approvals[0].Deadline = t0.Add(day)
	man.Approvals = man.Approvals[:1]
	hold("h7")(man)
	man.Groups = append(man.Groups, Group{Name: "zoo", Parent: "office"})
	wider := canaryLimits()
	wider.Groups = append(wider.Groups, "office")
	d, err := m.trust.DraftGrants(man, []Grant{{Delegation: wider, Keys: []Signer{key(t, "canary approver")}, Threshold: 1}}, nil, t0)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := d.Changes(m.trust)
	if err != nil {
		t.Fatal(err)
	}
	var ops []string
	for _, c := range changes {
		ops = append(ops, c.Op())
		if len(c.Text()) < 20 {
			t.Errorf("%q says little", c.Text())
		}
	}
	if !slices.Equal(ops, []string{"add", "change", "change", "remove", "add"}) {
		t.Fatalf("%v", ops)
	}
	if changes[2].Approval.Deadline.IsZero() || !changes[2].WasApproval.Deadline.IsZero() || changes[3].WasApproval.Update != "b" || changes[4].Hold.ID != "h7" {
		t.Fatalf("%+v", changes)
	}
}

func FuzzLogEntry(f *testing.F) {
	_, lines, roots := logOf(f)
	f.Add(lines[0])
	f.Add(lines[1])
	f.Fuzz(func(t *testing.T, b []byte) {
		h := &History{}
		if _, err := h.Add(b, roots); err == nil && !bytes.Equal(b, lines[0]) {
			e, err := DecodeEntry(b)
			if err != nil || e.Manifest == "" || len(e.Signers) < 2 {
				t.Fatal("a beginning was taken that nobody signed")
			}
		}
	})
}

// FuzzParcel: a stick comes from anywhere. What opens must follow from the pinned root, and no
// signature counts that nobody made.
func FuzzParcel(f *testing.F) {
	m, _ := canaryMesh(f)
	d := m.draft()
	root := m.trust.Files().Root
	good, err := NewParcel(m.trust, d, [][]byte{root}, nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"format":1`), []byte(`"format":2`), 1))
	pinned, err := NewTrust(root)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeParcel(b)
		if err != nil {
			return
		}
		o, err := p.Open(pinned, t0)
		if err != nil {
			return
		}
		if made, _, _ := o.Draft.Status(o.By); made != 0 || o.Trust.Epoch() != m.trust.Epoch() {
			t.Fatal("a signature counts that nobody made, or another mesh was believed")
		}
	})
}

func TestParcelOfAnIncompleteRootIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	next, err := m.trust.RootDraft(RootChange{AddApprovers: []Signer{key(t, "thief")}}, t0)
	if err != nil {
		t.Fatal(err)
	}
	signedByThief, err := SignRoot(next, key(t, "thief"))
	if err != nil {
		t.Fatal(err)
	}
	for name, root := range map[string][]byte{"unsigned": next, "signed by its own new approver": signedByThief} {
		b, err := NewParcel(m.trust, m.draft(), [][]byte{m.trust.Files().Root}, nil, root)
		if err != nil {
			t.Fatal(err)
		}
		p, err := DecodeParcel(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Open(m.trust, t0); !errors.Is(err, ErrThreshold) {
			t.Errorf("%s: %v, want ErrThreshold", name, err)
		}
	}
}
