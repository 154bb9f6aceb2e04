package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestMachineFollowsTheSeedFromRootAlone(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	fresh, err := NewTrust(m.trust.Files().Root)
	if err != nil {
		t.Fatal(err)
	}
	f := m.mustNext(t0.Add(time.Hour), hold("h1"))
	got, err := walk(fresh, f, t0.Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if got.Epoch() != 2 || len(got.Manifest().Holds) != 1 || len(got.Roster().EnrolmentKeys) != 1 {
		t.Fatalf("epoch %d, %+v", got.Epoch(), got.Manifest())
	}
	f = m.mustNext(t0.Add(3*time.Hour), hold("h2"))
	if got, err = walk(got, f, t0.Add(3*time.Hour)); err != nil || got.Epoch() != 3 {
		t.Fatalf("second step: %v", err)
	}
	if len(f.Timestamp) > 600 {
		t.Errorf("the head has %d bytes: too much for a rumour", len(f.Timestamp))
	}
}

func TestMachineThatWasOffForMonthsCatchesUp(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	asleep := m.trust
	later := t0.Add(200 * day)
	f := m.mustNext(later, hold("h1"))
	if !asleep.Stale(later) {
		t.Fatal("a timestamp of 200 days ago is not stale")
	}
	got, err := walk(asleep, f, later)
	if err != nil || got.Epoch() != 2 {
		t.Fatalf("%v", err)
	}
}

func TestThresholdOfApprovers(t *testing.T) {
	m := newMesh(t, "acme", 2, 3)
	if _, err := m.next(t0, 1, hold("h1")); !errors.Is(err, ErrThreshold) {
		t.Fatalf("one of two signatures: %v, want ErrThreshold", err)
	}
	if _, err := m.next(t0, 2, hold("h1")); err != nil {
		t.Fatalf("two of two signatures: %v", err)
	}
	// The same approver twice is one approver.
	man, _ := DecodeManifest(m.trust.Files().Manifest)
	man.Epoch++
	d, err := NewDraft(m.trust, man, t0)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Sign(m.keys.Approvers[0]); err != nil {
			t.Fatal(err)
		}
	}
	if made, need, missing := d.Status(m.trust); made != 1 || need != 2 || len(missing) != 2 {
		t.Fatalf("status %d of %d, missing %d", made, need, len(missing))
	}
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if d, err = DecodeDraft(b); err != nil { // travels to the second approver
		t.Fatal(err)
	}
	stranger := key(t, "stranger")
	if err := d.Sign(stranger); err != nil {
		t.Fatal(err)
	}
	if made, _, _ := d.Status(m.trust); made != 1 {
		t.Fatalf("a stranger's signature counts: %d", made)
	}
	if err := d.Sign(m.keys.Approvers[2]); err != nil {
		t.Fatal(err)
	}
	if _, err := m.trust.Publish(d, nil, m.keys.Online, t0); err != nil {
		t.Fatalf("two approvers and a stranger: %v", err)
	}
}

// A thief of every online key signs what he likes: no manifest of his is taken.
func TestOnlineKeysCannotApprove(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	evil := newMesh(t, "acme", 1, 1)
	evil.keys.Approvers = []Signer{key(t, "thief")}
	if _, err := evil.next(t0, 1, hold("evil")); !errors.Is(err, ErrThreshold) {
		t.Fatalf("publishing: %v, want ErrThreshold", err)
	}
	man, _ := DecodeManifest(m.trust.Files().Manifest)
	man.Epoch++
	d, _ := NewDraft(m.trust, man, t0)
	if err := d.Sign(key(t, "thief")); err != nil {
		t.Fatal(err)
	}
	p := publication{t: m.trust, online: m.keys.Online, now: t0, files: m.trust.Files()}
	if err := errors.Join(p.takeTargets(d), p.takeRoster(nil), p.freshen()); err != nil {
		t.Fatal(err)
	}
	if _, err := walk(m.trust, p.files, t0); !errors.Is(err, ErrThreshold) {
		t.Fatalf("a machine: %v, want ErrThreshold", err)
	}
}

func TestAttacksOnDocuments(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f1 := m.trust.Files()
	f2 := m.mustNext(t0.Add(time.Hour), hold("h1"))
	f3 := m.mustNext(t0.Add(2*time.Hour), hold("h2"))
	other := newMesh(t, "other", 1, 1).mustNext(t0, hold("x"))
	change := func(f Files, edit func(*Files)) Files { edit(&f); return f }
	flip := func(b []byte, old, new string) []byte {
		out := bytes.Replace(b, []byte(old), []byte(new), 1)
		if bytes.Equal(out, b) {
			t.Fatalf("%q not found", old)
		}
		return out
	}
	from2 := m.open(f2)
	from3 := m.open(f3)
	now := t0.Add(3 * time.Hour)
	for _, c := range []struct {
		name  string
		trust *Trust
		files Files
		now   time.Time
		want  error
	}{
		{"older timestamp", from3, f2, now, ErrRollback},
		{"first epoch again", from3, f1, now, ErrRollback},
		{"expired timestamp", from2, f3, now.Add(30 * day), ErrExpired},
		{"another organisation's head", from2, other, now, ErrUnknownKey},
		{"timestamp with one version changed", from2, change(f3, func(f *Files) { f.Timestamp = flip(f.Timestamp, `"version":3`, `"version":9`) }), now, ErrBadSignature},
		{"manifest with one byte changed", from2, change(f3, func(f *Files) { f.Manifest = flip(f.Manifest, "because", "becauze") }), now, ErrHash},
		{"manifest of the epoch before", from2, change(f3, func(f *Files) { f.Manifest = f2.Manifest }), now, ErrHash},
		{"snapshot of the epoch before (mix and match)", from2, change(f3, func(f *Files) { f.Snapshot = f2.Snapshot }), now, ErrHash},
		{"targets of the epoch before (mix and match)", from2, change(f3, func(f *Files) { f.Targets = f2.Targets }), now, ErrHash},
		{"roster of another organisation", from2, change(f3, func(f *Files) { f.Roster = other.Roster }), now, nil},
		{"timestamp cut", from2, change(f3, func(f *Files) { f.Timestamp = f.Timestamp[:100] }), now, ErrFormat},
		{"timestamp of a megabyte", from2, change(f3, func(f *Files) { f.Timestamp = bytes.Repeat([]byte(" "), 1<<20) }), now, ErrTooLarge},
		{"a root in place of the timestamp", from2, change(f3, func(f *Files) { f.Timestamp = f.Root }), now, ErrFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := c.trust.Files()
			got, err := walk(c.trust, c.files, c.now)
			if c.want == nil { // the old roster is still the right one: the false one is never asked for
				if err != nil || got.Roster().Org != "acme" {
					t.Fatalf("%v", err)
				}
				return
			}
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if ReasonOf(err) == "" {
				t.Error("the refusal has no reason code")
			}
			if !bytes.Equal(c.trust.Files().Timestamp, before.Timestamp) {
				t.Error("the trust was touched")
			}
		})
	}
}

// A seed restored from a backup signs epoch 3 again with other content.
func TestSecondManifestOfOneEpochIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	twin := newMesh(t, "acme", 1, 1)
	f := m.mustNext(t0, hold("h1"))
	machine := m.open(f)
	twin.mustNext(t0.Add(time.Minute), hold("h2"))
	if g, err := twin.trust.Publish(nil, nil, twin.keys.Online, t0.Add(time.Hour)); err != nil {
		t.Fatal(err)
	} else if _, err := walk(machine, g, t0.Add(time.Hour)); !errors.Is(err, ErrRollback) {
		t.Fatalf("%v, want ErrRollback", err)
	}
}

func TestWeakKeysAreRefusedAtLoad(t *testing.T) {
	weak := []string{
		strings.Repeat("00", 32), "01" + strings.Repeat("00", 31), "01" + strings.Repeat("00", 30) + "80",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", strings.Repeat("ff", 32),
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", "abcd",
	}
	m := newMesh(t, "acme", 1, 1)
	for _, w := range weak {
		if err := checkPublicHex(w); err == nil {
			t.Errorf("%s was taken", w)
		}
		var doc map[string]any
		if err := json.Unmarshal(m.trust.Files().Root, &doc); err != nil {
			t.Fatal(err)
		}
		b := bytes.ReplaceAll(m.trust.Files().Root, []byte(pub("acme approver 0")), []byte(w))
		if _, err := NewTrust(b); err == nil {
			t.Errorf("a root with key %s was taken", w)
		}
	}
	if err := checkPublicHex(pub("acme root")); err != nil {
		t.Fatalf("a sound key: %v", err)
	}
}

func TestUnknownFieldsAndFormatsAreRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	b := m.trust.Files().Manifest
	for name, edit := range map[string]string{
		"unknown field": `"epoch":1,"quietly":true`, "other format": `"epoch":1,"format":2`,
	} {
		if _, err := DecodeManifest(bytes.Replace(b, []byte(`"epoch":1`), []byte(edit), 1)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeManifest(append(bytes.Clone(b), '{')); !errors.Is(err, ErrFormat) {
		t.Error("data after the document was taken")
	}
}

// damages of a set of documents on disk.
var damages = map[string]func(*Files){
	"manifest": func(f *Files) { f.Manifest = bytes.Replace(f.Manifest, []byte("because"), []byte("becauze"), 1) },
	"targets":  func(f *Files) { f.Targets = nil },
	"no timestamp, which would forget the floors": func(f *Files) { f.Timestamp = nil },
	"no roster": func(f *Files) { f.Roster = nil },
	"snapshot":  func(f *Files) { f.Snapshot = f.Targets },
	"timestamp": func(f *Files) {
		f.Timestamp = bytes.Replace(f.Timestamp, []byte(`"version":2`), []byte(`"version":3`), 1)
	},
	"root": func(f *Files) { f.Root = f.Root[:50] },
}

func TestDamagedFilesAreNoTrust(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f := m.mustNext(t0, hold("h1"))
	var again Opener
	first, err := again.Open(f, t0)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range damages {
		g := f
		edit(&g)
		if _, err := OpenTrust(g, t0); err == nil {
			t.Errorf("damaged %s was believed", name)
		}
		if _, err := again.Open(g, t0); err == nil {
			t.Errorf("damaged %s was believed by who had seen it whole", name)
		}
	}
	if got, err := again.Open(f, t0); err != nil || got != first {
		t.Errorf("the very same documents were verified again: %v", err)
	}
	if _, err := OpenTrust(f, t0.Add(3650*day)); err != nil {
		t.Errorf("own documents do not load ten years later: %v", err)
	}
}

// What an Opener remembers is what the bytes were, not where they are.
func TestOpenerSeesBytesChangedInPlace(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f := m.mustNext(t0, hold("h1"))
	f.Manifest = bytes.Clone(f.Manifest)
	var o Opener
	if _, err := o.Open(f, t0); err != nil {
		t.Fatal(err)
	}
	f.Manifest[bytes.Index(f.Manifest, []byte("because"))]++
	if _, err := o.Open(f, t0); err == nil {
		t.Error("a manifest with one byte changed was believed")
	}
}
