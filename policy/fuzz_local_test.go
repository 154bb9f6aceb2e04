package policy

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// FuzzOpenTrust: what lies on this machine's disk is verified from the root on, whatever became of one
// of its documents: the decisions that were saved are believed, or none. Where a document is refused the
// walk stood before it already; what is taken, and every 256th input, is opened from the root on too,
// and must come to the same end.
func FuzzOpenTrust(f *testing.F) {
	m, k := canaryMesh(f)
	good := m.mustRole(t0, "canary", approveRole("tool", "canary", ActionInstall), k)
	docs := func(f *Files) []*[]byte {
		return []*[]byte{&f.Root, &f.Timestamp, &f.Snapshot, &f.Targets, &f.RosterRole, &f.Roster, &f.Manifest, &f.Delegated}
	}
	var walks []*Refresh // one before each document from the snapshot on
	for i, b := range docs(&good) {
		f.Add(byte(i), *b)
		if i < 2 {
			continue
		}
		r, had := openWalk(f, good), good
		for _, gone := range docs(&had)[i:] {
			*gone = nil
		}
		r.old, r.oldRoles = had, nil
		if _, more := r.Need(); !more {
			f.Fatalf("nothing is needed without document %d: %v", i, r.err)
		}
		walks = append(walks, r)
	}
	f.Add(byte(6), []byte{})
	f.Add(byte(1), []byte{})
	inputs := 0
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		evil := good
		all := docs(&evil)
		i := int(which) % len(all)
		*all[i] = b
		var tr *Trust
		var err error
		if inputs++; i < 2 {
			tr, err = OpenTrust(evil, t0)
		} else if tr, err = reopen(walks[i-2], evil); err == nil || inputs%256 == 0 {
			if _, whole := OpenTrust(evil, t0); (err == nil) != (whole == nil) {
				t.Fatalf("half way %v, from the root on %v", err, whole)
			}
		}
		if err != nil || tr.Manifest() == nil {
			return
		}
		if !bytes.Equal(tr.Files().Manifest, good.Manifest) || len(tr.Manifest().Approvals) > 1 {
			t.Fatal("other decisions are believed")
		}
	})
}

// openWalk is OpenTrust as far as the timestamp.
func openWalk(t testing.TB, f Files) *Refresh {
	base, err := NewTrust(f.Root)
	if err != nil {
		t.Fatal(err)
	}
	r := &Refresh{base: base, tm: base.tm, files: Files{Root: f.Root}, rootDone: true, local: true}
	if err := r.supplyTimestamp(f.Timestamp); err != nil {
		t.Fatal(err)
	}
	return r
}

// reopen is OpenTrust from a walk on.
func reopen(r *Refresh, f Files) (*Trust, error) {
	r = r.fork()
	var err error
	if r.oldRoles, err = decodeDelegated(f.Delegated); err != nil {
		return nil, err
	}
	r.old = f
	if need, more := r.Need(); more {
		return nil, fmt.Errorf("%s is missing: %w", need.Role, ErrHash)
	}
	return r.Result()
}

// FuzzTUFKey: a key of any kind is read or refused, and no signature holds that its owner did not
// make, least of all over something else.
func FuzzTUFKey(f *testing.F) {
	payload := []byte("payload")
	sum := sha256.Sum256(payload)
	asPEM := func(k any) string {
		der, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			f.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	// The same keys in every process: a fuzzer's workers are processes of their own.
	ec, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), sum[:])
	if err != nil {
		f.Fatal(err)
	}
	ecSig, err := ec.Sign(nil, sum[:], crypto.SHA256) // no randomness: RFC 6979
	if err != nil {
		f.Fatal(err)
	}
	modulus := new(big.Int).Lsh(big.NewInt(1), minRSABits-1)
	rs := struct{ PublicKey rsa.PublicKey }{rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: 65537}}
	private := ed25519.NewKeyFromSeed(sum[:])
	public := private.Public().(ed25519.PublicKey)
	honest := map[string]bool{string(ecSig): true, string(ed25519.Sign(private, payload)): true}
	f.Add("ed25519", "ed25519", hex.EncodeToString(public), ed25519.Sign(private, payload))
	f.Add("ecdsa", "ecdsa-sha2-nistp256", asPEM(&ec.PublicKey), ecSig)
	f.Add("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", strings.ToUpper(asPEM(&ec.PublicKey)), ecSig)
	f.Add("rsa", "rsassa-pss-sha256", asPEM(&rs.PublicKey), make([]byte, minRSABits/8))
	f.Add("rsa", "rsassa-pss-sha256", asPEM(&ec.PublicKey), []byte{})
	f.Fuzz(func(t *testing.T, kind, scheme, text string, sig []byte) {
		raw := map[string]any{"keytype": kind, "scheme": scheme, "keyval": map[string]any{"public": text}}
		form, err := canonical(raw)
		if err != nil {
			return
		}
		id := sha256.Sum256(form)
		k, err := openTUFKey(hex.EncodeToString(id[:]), raw, true)
		if err != nil {
			return
		}
		if _, err := openTUFKey(strings.Repeat("0", 64), raw, true); err == nil {
			t.Fatal("a key was taken under an id that is not its own")
		}
		if k.verify([]byte("another payload"), sig) {
			t.Fatalf("%x holds over something else", sig)
		}
		if k.verify(payload, sig) && !honest[string(sig)] {
			t.Fatalf("%x of nobody holds", sig)
		}
	})
}

// FuzzDelegation: an approver who is coerced signs targets that delegate anything. What passes keeps
// online keys and approving keys apart, and every role to the one path of its name.
func FuzzDelegation(f *testing.F) {
	m, _ := canaryMesh(f)
	f.Add(m.trust.Files().Targets)
	f.Add(newMesh(f, "acme", 1, 1).trust.Files().Targets)
	f.Add([]byte(`{"signed":{"_type":"targets","delegations":{"keys":{},"roles":[{"name":"x","keyids":[],"threshold":0,"paths":["*"]}]}},"signatures":[]}`))
	root := m.trust.tm.Root
	online := map[string]bool{}
	for _, name := range onlineRoles {
		for _, id := range root.Signed.Roles[name].KeyIDs {
			online[root.Signed.Keys[id].Value.PublicKey] = true
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		targets, err := parseSigned[metadata.TargetsType]("targets", b, MaxTargetsBytes)
		if err != nil || checkDelegation(root, targets) != nil {
			return
		}
		d := targets.Signed.Delegations
		for _, role := range d.Roles[1:] {
			if len(role.Paths) != 1 || role.Paths[0] != RolePath(role.Name) || role.Threshold < 1 {
				t.Fatalf("role %q may sign %q", role.Name, role.Paths)
			}
			for _, id := range role.KeyIDs {
				if d.Keys[id] == nil || online[d.Keys[id].Value.PublicKey] {
					t.Fatalf("role %q has the key %.16s", role.Name, id)
				}
			}
		}
		if b, err := json.Marshal(d); err != nil || len(b) == 0 {
			t.Fatal(err)
		}
	})
}

// FuzzNames: names from outside become parts of file names and lines of output. What passes is short,
// and none of it is a path, a control or an invisible character.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"office", "../x", "a/b", "a\x00", "A.b-c_d", "\u202eevil", strings.Repeat("a", 300), "con", "root", "install"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseUpdateID(s)
		if err == nil && string(id) != s {
			t.Fatalf("%q became %q", s, id)
		}
		if a, err := ParseAction(s); err == nil && string(a) != s {
			t.Fatalf("%q became %q", s, a)
		}
		if ValidRole(s) && (!ValidName(s) || s != strings.ToLower(s)) {
			t.Fatalf("%q is a role", s)
		}
		if (err == nil || ValidName(s)) && (s == "" || strings.ContainsAny(s, "/\\\x00\n\r\t\u202e") || s == ".." || !utf8.ValidString(s)) {
			t.Fatalf("%q is a name", s)
		}
		if checkText("text", s, 100) == nil && (len(s) > 100 || strings.ContainsAny(s, "\x00\x1b\n\u202e\u200b") || !utf8.ValidString(s)) {
			t.Fatalf("%q is a text", s)
		}
	})
}
