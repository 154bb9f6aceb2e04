package policy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"patchmesh/policy/tuftest"
)

func TestCanonicalFormIsThatOfOthers(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `null`, `true`, `0`, `-7`, `123456789012345678901234567890`, `""`, `{"b":1,"a":[true,false,null]}`,
		`{"é":"ü","Z":"\u0000\n\t\"\\/<>&\u2028","a":{"b":{}}}`, `{"\ud83d\ude00":1,"\uffff":2}`,
	} {
		tree, err := parseTree([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := canonical(tree)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var other any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&other); err != nil {
			t.Fatal(err)
		}
		if text == `123456789012345678901234567890` {
			continue // more than the other library reads
		}
		if want, err := cjson.EncodeCanonical(other); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, want %q, %v", text, got, want, err)
		}
	}
	for _, text := range []string{`1.0`, `1e3`, `-0`, `[1.5]`, `{"a":0.1}`, `-`, `01`, `1E2`} {
		tree, err := parseTree([]byte(text))
		if err == nil {
			_, err = canonical(tree)
		}
		if !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, n := range []string{"", "-", "00", "-00", "-0", "+1", "1a"} {
		if wholeNumber(n) {
			t.Errorf("%q is taken for a whole number", n)
		}
	}
}

func TestTreeIsBounded(t *testing.T) {
	if _, err := parseTree([]byte("[" + strings.Repeat("[],", maxTUFValues) + "[]]")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a million brackets: %v", err)
	}
	nested := func(n int) []byte { return []byte(strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)) }
	if _, err := parseTree(nested(maxTUFNesting)); err != nil {
		t.Errorf("%d deep: %v", maxTUFNesting, err)
	}
	for _, b := range [][]byte{
		nested(maxTUFNesting + 1), []byte(strings.Repeat("[", maxTUFNesting+1) + strings.Repeat("]", maxTUFNesting+1)), []byte(strings.Repeat("[", 1<<20)),
		[]byte(`{"a":1,"a":2}`), []byte(`{"a":{"b":1,"b":1}}`), []byte(`{"a":1,"\u0061":2}`), []byte("\"\xff\""), []byte(`{} x`), []byte(`[1,]`), []byte(`{"a"}`), []byte(`{1:2}`),
		[]byte(`[1`), []byte(`{"a":1`), []byte(`{"a":[}`), []byte(``), []byte(`}`), []byte(`{"a":tru}`), []byte(`["a" "b"]`),
	} {
		if v, err := parseTree(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%.60q: %v, %v", b, v, err)
		}
	}
}

// keyOf makes a key object and its id.
func keyOf(s *tuftest.Signer) (string, any) {
	b, err := json.Marshal(s.Public)
	if err != nil {
		panic(err)
	}
	tree, err := parseTree(b)
	if err != nil {
		panic(err)
	}
	return s.ID, tree
}

func publicKey(kind string, value any) *tuftest.Signer {
	keyType, scheme, _ := strings.Cut(kind, "/")
	return (&tuftest.Signer{Public: map[string]any{"keytype": keyType, "scheme": scheme, "keyval": map[string]any{"public": value}}}).ReID()
}

func TestOnlySoundKeysCount(t *testing.T) {
	rsaKey := func(bits uint) string {
		n := new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1)
		return tuftest.PEM(&rsa.PublicKey{N: n, E: 65537})
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := tuftest.NewSigner(tuftest.Ed25519)
	hexOf, _ := good.Public["keyval"].(map[string]any)["public"].(string)
	for name, c := range map[string]struct {
		key      *tuftest.Signer
		all      bool // taken with all kinds
		ed25519s bool // taken with Ed25519 only
	}{
		"Ed25519":                         {good, true, true},
		"Ed25519 in capitals":             {publicKey("ed25519/ed25519", strings.ToUpper(hexOf)), false, false},
		"Ed25519, 31 bytes":               {publicKey("ed25519/ed25519", hexOf[:62]), false, false},
		"Ed25519, the neutral element":    {publicKey("ed25519/ed25519", "01"+strings.Repeat("00", 31)), false, false},
		"Ed25519 as another scheme":       {publicKey("ed25519/ecdsa-sha2-nistp256", hexOf), false, false},
		"a public key that is no text":    {publicKey("ed25519/ed25519", 7), false, false},
		"RSA of 2048 bits":                {publicKey("rsa/rsassa-pss-sha256", rsaKey(2048)), true, false},
		"RSA of 8192 bits":                {publicKey("rsa/rsassa-pss-sha256", rsaKey(8192)), true, false},
		"RSA of 2047 bits":                {publicKey("rsa/rsassa-pss-sha256", rsaKey(2047)), false, false},
		"RSA of 8193 bits":                {publicKey("rsa/rsassa-pss-sha256", rsaKey(8193)), false, false},
		"RSA by the old padding":          {publicKey("rsa/rsa-pkcs1v15-sha256", rsaKey(2048)), false, false},
		"an ECDSA key called RSA":         {publicKey("rsa/rsassa-pss-sha256", tuftest.PEM(p256.Public())), false, false},
		"RSA that is no PEM":              {publicKey("rsa/rsassa-pss-sha256", "key"), false, false},
		"RSA in PEM that is nothing":      {publicKey("rsa/rsassa-pss-sha256", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), false, false},
		"ECDSA":                           {publicKey("ecdsa/ecdsa-sha2-nistp256", tuftest.PEM(p256.Public())), true, false},
		"ECDSA by its old name":           {publicKey("ecdsa-sha2-nistp256/ecdsa-sha2-nistp256", tuftest.PEM(p256.Public())), true, false},
		"a key on P-384 called P-256":     {publicKey("ecdsa/ecdsa-sha2-nistp256", tuftest.PEM(p384.Public())), false, false},
		"ECDSA on P-384":                  {publicKey("ecdsa/ecdsa-sha2-nistp384", tuftest.PEM(p384.Public())), false, false},
		"an RSA key called ECDSA":         {publicKey("ecdsa/ecdsa-sha2-nistp256", rsaKey(2048)), false, false},
		"ECDSA that is no PEM":            {publicKey("ecdsa/ecdsa-sha2-nistp256", "key"), false, false},
		"a kind that nobody knows":        {publicKey("lattice/lattice", "00"), false, false},
		"no kind":                         {publicKey("", ""), false, false},
		"a key with a number that is odd": {(&tuftest.Signer{ID: "x", Public: map[string]any{"a": 1.5}}), false, false},
	} {
		id, tree := keyOf(c.key)
		if _, err := openTUFKey(id, tree, true); (err == nil) != c.all {
			t.Errorf("%s, all kinds: %v", name, err)
		}
		if _, err := openTUFKey(id, tree, false); (err == nil) != c.ed25519s {
			t.Errorf("%s, Ed25519 only: %v", name, err)
		}
		if _, err := openTUFKey(tuftest.Hash("sha256", nil), tree, true); err == nil {
			t.Errorf("%s: taken under another id", name)
		}
	}
}

func TestThresholdBelowOneIsNoThreshold(t *testing.T) {
	for _, n := range []int{0, -1} {
		if err := (roleKeys{threshold: n}).check("x", nil, nil, true); !errors.Is(err, ErrFormat) {
			t.Errorf("threshold %d: %v", n, err)
		}
	}
}

// document writes a signed part as an unsigned document.
func document(signed map[string]any) []byte {
	b, err := json.Marshal(map[string]any{"signed": signed, "signatures": []any{}})
	if err != nil {
		panic(err)
	}
	return b
}

// Every field that any role has, wrong in every way, before a signature is looked at.
func TestCommonFieldsAreChecked(t *testing.T) {
	decode := map[string]func([]byte) error{
		"root":      func(b []byte) error { _, err := decodeTUFRoot("root", b); return err },
		"timestamp": func(b []byte) error { _, err := decodeTUFTimestamp(b); return err },
		"snapshot":  func(b []byte) error { _, err := decodeTUFSnapshot(b); return err },
		"targets":   func(b []byte) error { _, err := decodeTUFTargets("targets", b); return err },
	}
	for role, f := range decode {
		fresh := func() map[string]any {
			var d struct{ Signed map[string]any }
			if err := json.Unmarshal(tuftest.NewRepo().Newest(role), &d); err != nil {
				t.Fatal(err)
			}
			return d.Signed
		}
		if err := f(document(fresh())); err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		for field, values := range map[string][]any{
			"_type":        {nil, "", "mirrors", 1, "Root", role + " "},
			"spec_version": {nil, "", 1, "2", "2.0.0", "10.0", "0.9", "1"[:0], "11"},
			"version":      {nil, 0, -1, 1.5, "1", json.Number("9223372036854775808"), json.Number("1e2")},
			"expires":      {nil, "", 7, "2031-01-01", "2031-01-01T00:00:00", "2031-01-01T00:00:00+00:00", "2031-13-01T00:00:00Z", "2031-01-01 00:00:00Z"},
		} {
			for _, v := range values {
				d := fresh()
				d[field] = v
				if err := f(document(d)); !errors.Is(err, ErrFormat) {
					t.Errorf("%s with %s %v: %v", role, field, v, err)
				}
			}
			d := fresh()
			delete(d, field)
			if err := f(document(d)); !errors.Is(err, ErrFormat) {
				t.Errorf("%s without %s: %v", role, field, err)
			}
			d = fresh()
			d[strings.ToUpper(field)] = d[field]
			if err := f(document(d)); !errors.Is(err, ErrFormat) {
				t.Errorf("%s with %s: %v", role, strings.ToUpper(field), err)
			}
		}
	}
}

func TestRoleFieldsAreChecked(t *testing.T) {
	common := func(kind string, more map[string]any) []byte {
		d := map[string]any{"_type": kind, "spec_version": "1.0", "version": 3, "expires": "2031-01-01T00:00:00Z"}
		for k, v := range more {
			d[k] = v
		}
		return document(d)
	}
	meta := func(kind, file string, entry any) []byte {
		return common(kind, map[string]any{"meta": map[string]any{file: entry}})
	}
	for _, kind := range []string{"timestamp", "snapshot"} {
		file := map[string]string{"timestamp": snapshotFile, "snapshot": targetsFile}[kind]
		f := func(b []byte) error {
			if kind == "timestamp" {
				_, err := decodeTUFTimestamp(b)
				return err
			}
			_, err := decodeTUFSnapshot(b)
			return err
		}
		if err := f(meta(kind, file, map[string]any{"version": 1, "length": 1})); err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{
			"no meta": common(kind, nil), "null": meta(kind, file, nil), "a list": meta(kind, file, []any{}), "another file": meta(kind, "x.json", map[string]any{"version": 1}),
			"version 0": meta(kind, file, map[string]any{"version": 0}), "no version": meta(kind, file, map[string]any{}),
			"negative length": meta(kind, file, map[string]any{"version": 1, "length": -1}), "odd hex": meta(kind, file, map[string]any{"version": 1, "hashes": map[string]any{"sha256": "0"}}),
			"meta is null": common(kind, map[string]any{"meta": nil}), "meta is a number": common(kind, map[string]any{"meta": 1}),
		} {
			if err := f(b); !errors.Is(err, ErrFormat) {
				t.Errorf("%s, %s: %v", kind, name, err)
			}
		}
	}
	role := map[string]any{"keyids": []any{}, "threshold": 1}
	for _, missing := range metadata.TOP_LEVEL_ROLE_NAMES {
		for _, bad := range []any{nil, map[string]any{"keyids": []any{}, "threshold": 0}} {
			roles := map[string]any{}
			for _, name := range metadata.TOP_LEVEL_ROLE_NAMES {
				roles[name] = role
			}
			if roles[missing] = bad; bad == nil {
				delete(roles, missing)
			}
			if _, err := decodeTUFRoot("root", common("root", map[string]any{"keys": map[string]any{}, "roles": roles})); !errors.Is(err, ErrFormat) {
				t.Errorf("root with %s %v: %v", missing, bad, err)
			}
		}
	}
}

func TestDocumentsOfTheLimitAreReadAndLargerOnesAreNot(t *testing.T) {
	b := tuftest.NewRepo().Newest("timestamp")
	pad := func(n int) []byte { return append(bytes.Clone(b), bytes.Repeat([]byte(" "), n-len(b))...) }
	if _, err := decodeTUFTimestamp(pad(MaxTimestampBytes)); err != nil {
		t.Error(err)
	}
	if _, err := decodeTUFTimestamp(pad(MaxTimestampBytes + 1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
}

// drive runs a client against a repository and a folder in memory.
func drive(c *TUFClient, r *tuftest.Repo, roles map[string][]byte) error {
	for s, more := c.Next(); more; s, more = c.Next() {
		switch s.Kind {
		case TUFLoad:
			c.Supply(roles[s.Role])
		case TUFFetch:
			c.Supply(r.Metadata(s.File))
		case TUFSave:
			roles[s.Role] = s.Body
			c.Supply(nil)
		default:
			delete(roles, "timestamp")
			delete(roles, "snapshot")
			c.Supply(nil)
		}
	}
	return c.Err()
}

func TestEd25519OnlyIsTheDefault(t *testing.T) {
	for _, kind := range []string{tuftest.Ed25519, tuftest.ECDSA} {
		r := tuftest.NewRepo()
		s := tuftest.NewSigner(kind)
		r.SetKeys("targets", []*tuftest.Signer{s}, 1, []*tuftest.Signer{s})
		r.Publish("root", "targets", "snapshot", "timestamp")
		for _, all := range []bool{false, true} {
			c := NewTUFClient(r.Version("root", 1), 0, tuftest.Start, TUFOptions{AllKeyTypes: all})
			err := drive(c, r, map[string][]byte{})
			if want := kind == tuftest.Ed25519 || all; (err == nil) != want {
				t.Errorf("%s, all %v: %v", kind, all, err)
			}
			if err != nil && !errors.Is(err, ErrThreshold) {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
}

func TestChainOfRootsIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a thousand roots")
	}
	r := tuftest.NewRepo()
	for range maxRoots + 5 {
		r.Publish("root")
	}
	c := NewTUFClient(r.Version("root", 1), 0, tuftest.Start, TUFOptions{})
	if err := drive(c, r, map[string][]byte{}); err != nil {
		t.Fatal(err)
	}
	if c.RootVersion() != maxRoots+1 {
		t.Errorf("root %d after one refresh, want %d", c.RootVersion(), maxRoots+1)
	}
}

// A mark beside the root makes the client forget; one ahead of the root was left by a crash.
func TestMarkIsHonouredUnlessItIsAheadOfTheRoot(t *testing.T) {
	r := tuftest.NewRepo()
	for mark, forgets := range map[int64]bool{0: false, 1: true, 2: false} {
		c := NewTUFClient(r.Version("root", 1), mark, tuftest.Start, TUFOptions{})
		forgot := false
		for s, more := c.Next(); more; s, more = c.Next() {
			forgot = forgot || s.Kind == TUFForget
			if s.Kind == TUFFetch {
				c.Supply(r.Metadata(s.File))
			} else {
				c.Supply(nil)
			}
		}
		if c.Err() != nil || forgot != forgets {
			t.Errorf("mark %d: forgot %v, %v", mark, forgot, c.Err())
		}
	}
}

func TestClientIsNotMisledByItsDriver(t *testing.T) {
	r := tuftest.NewRepo()
	root := r.Version("root", 1)
	early := NewTUFClient(root, 0, tuftest.Start, TUFOptions{})
	early.Find("x")
	if _, err := early.Target(); err == nil || early.Err() == nil {
		t.Error("a search before the metadata is up to date")
	}
	early.Supply(root)
	early.Find("x")

	large := NewTUFClient(root, 0, tuftest.Start, TUFOptions{})
	s, _ := large.Next()
	large.Supply(make([]byte, s.MaxBytes+1))
	if !errors.Is(large.Err(), ErrTooLarge) {
		t.Errorf("more than was asked for: %v", large.Err())
	}

	c := NewTUFClient(root, 0, tuftest.Start, TUFOptions{})
	if a, b, z := c.Versions(); a+b+z != 0 {
		t.Error("versions before there are any")
	}
	if err := drive(c, r, map[string][]byte{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Target(); !errors.Is(err, ErrFormat) {
		t.Errorf("a target before a search: %v", err)
	}
	c.Supply([]byte("x")) // nothing was asked for
	if a, b, z := c.Versions(); a != 1 || b != 1 || z != 1 || c.RootVersion() != 1 || c.Err() != nil {
		t.Errorf("versions %d %d %d, %v", a, b, z, c.Err())
	}
	bad := NewTUFClient([]byte("{}"), 0, tuftest.Start, TUFOptions{})
	if _, more := bad.Next(); more || bad.Err() == nil || bad.RootVersion() != 0 {
		t.Errorf("a root that is none: %v", bad.Err())
	}
}

func TestVerifierTakesOnlyTheTarget(t *testing.T) {
	sum := func(kind, s string) metadata.HexBytes {
		var b metadata.HexBytes
		if err := json.Unmarshal(fmt.Appendf(nil, "%q", tuftest.Hash(kind, []byte(s))), &b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	try := func(target TUFTarget, parts ...string) error {
		v, err := target.Verifier()
		if err != nil {
			return err
		}
		for _, p := range parts {
			if _, err := v.Write([]byte(p)); err != nil {
				return err
			}
		}
		return v.Check()
	}
	both := metadata.Hashes{"sha256": sum("sha256", "abcd"), "sha512": sum("sha512", "abcd")}
	if err := try(TUFTarget{SizeBytes: 4, hashes: both}, "ab", "", "cd"); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		target TUFTarget
		body   string
		want   error
	}{
		"shorter":      {TUFTarget{SizeBytes: 4, hashes: both}, "abc", ErrHash},
		"longer":       {TUFTarget{SizeBytes: 4, hashes: both}, "abcde", ErrTooLarge},
		"other bytes":  {TUFTarget{SizeBytes: 4, hashes: both}, "abcx", ErrHash},
		"one of two":   {TUFTarget{SizeBytes: 4, hashes: metadata.Hashes{"sha256": both["sha256"], "sha512": sum("sha512", "x")}}, "abcd", ErrHash},
		"other of two": {TUFTarget{SizeBytes: 4, hashes: metadata.Hashes{"sha256": sum("sha256", "x"), "sha512": both["sha512"]}}, "abcd", ErrHash},
		"unknown":      {TUFTarget{SizeBytes: 4, hashes: metadata.Hashes{"sha256": both["sha256"], "md5": {1}}}, "abcd", ErrHash},
		"no hash":      {TUFTarget{SizeBytes: 4}, "abcd", ErrHash},
		"short hash":   {TUFTarget{SizeBytes: 4, hashes: metadata.Hashes{"sha256": both["sha256"][:16]}}, "abcd", ErrHash},
	} {
		if err := try(c.target, c.body); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestPatternsMatchWithinSegments(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"targets/*.tgz", "targets/foo.tgz", true}, {"targets/*.tgz", "targets/foo.txt", false}, {"foo-version-?.tgz", "foo-version-2.tgz", true},
		{"foo-version-?.tgz", "foo-version-alpha.tgz", false}, {"*.tgz", "foo.tgz", true}, {"*.tgz", "targets/foo.tgz", false}, {"foo.tgz", "foo.tgz", true},
		{"*", "a/b", false}, {"*/*", "a/b", true}, {"a?b", "a/b", false}, {"[^x]", "/", false}, {"a[!x]b", "ayb", true}, {"a[!x]b", "axb", false},
		{`a\[!x]`, "a[!x]", true}, {`a\[!x]`, "a[^x]", false}, {"[", "[", false}, {"", "", true}, {"", "a", false}, {"*", "", true}, {"A*", "ab", false},
	} {
		if got := matchTUFPath(c.pattern, c.name); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.name, got)
		}
	}
}

func TestExpiryIsAMatterOfSeconds(t *testing.T) {
	d := &tufDoc[metadata.RootType]{expires: tuftest.Start}
	for after, want := range map[time.Duration]bool{-time.Second: false, 0: true, time.Second: true} {
		if got := d.expired(tuftest.Start.Add(after)); got != want {
			t.Errorf("%v after: %v", after, got)
		}
	}
}
