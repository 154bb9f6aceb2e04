package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Keys of other kinds are well formed and still none of ours.
func TestKeysOfOtherKindsAreRefused(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parsePrivate(pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: private})); !errors.Is(err, ErrFormat) {
		t.Errorf("private: %v", err)
	}
	if _, err := ParsePublic(pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: public})); !errors.Is(err, ErrFormat) {
		t.Errorf("public: %v", err)
	}
	good, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := EncodePublic(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"a private block": bytes.ReplaceAll(text, []byte("PUBLIC"), []byte("PRIVATE")), "two keys": append(bytes.Clone(text), text...),
		"nothing": nil, "endless": bytes.Repeat([]byte("x"), maxFileBytes+1),
	} {
		if _, err := ParsePublic(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The edge of the field: 2^255-20 is the largest y, what follows is another spelling of a small one.
func TestPublicKeysBeyondTheFieldAreNotWritten(t *testing.T) {
	edge := bytes.Repeat([]byte{0xff}, 32)
	edge[0], edge[31] = 0xee, 0x7f // one more than the order: y = 1 again
	if _, err := EncodePublic(edge); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
	below := bytes.Clone(edge)
	below[7] = 0xfe // a digit in the middle: well below
	if err := CheckPublic(below); err != nil {
		t.Errorf("a canonical key was refused: %v", err)
	}
	if err := CheckPublic(below[:31]); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
}

// A withdrawn key is gone for good, and nothing else with it.
func TestRemovedRoleKeyIsGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	for _, name := range []string{"enrol", "enrol-2"} {
		if _, err := CreateRole(dir, name, "", rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // again is no error: a crash may have cut it
		if err := RemoveRole(dir, "enrol"); err != nil {
			t.Fatal(err)
		}
	}
	left, err := Roles(dir)
	if err != nil || len(left) != 1 || left[0].Name != "enrol-2" {
		t.Errorf("%v, %v", left, err)
	}
	if _, err := OpenRole(dir, "enrol", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if err := RemoveRole(dir, "../enrol-2"); !errors.Is(err, ErrName) {
		t.Errorf("a path for a name: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "full.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "full.key", "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RemoveRole(dir, "full"); err == nil {
		t.Error("what could not be removed is no error")
	}
}
