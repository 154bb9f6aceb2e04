package enrol

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
)

func TestLettersOpenForTheirSeedAndPurposeAlone(t *testing.T) {
	secret, other := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{9}, 32)
	box, err := BoxPublic(secret)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("openssl 3.0.11")
	l, err := SealLetter(box, "inventory", text, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(l, []byte("openssl")) {
		t.Error("a relay can read it")
	}
	if got, err := OpenLetter(secret, "inventory", l); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := OpenLetter(other, "inventory", l); !errors.Is(err, ErrSealed) {
		t.Errorf("another seed: %v", err)
	}
	if _, err := OpenLetter(secret, "something else", l); !errors.Is(err, ErrSealed) {
		t.Errorf("another purpose: %v", err)
	}
	for i := range l {
		bad := bytes.Clone(l)
		bad[i] ^= 1
		if _, err := OpenLetter(secret, "inventory", bad); err == nil && i != 31 { // the top bit of X25519 is ignored; ours is bit 0
			t.Fatalf("byte %d was changed and nobody noticed", i)
		}
	}
	if _, err := OpenLetter(secret, "inventory", l[:31]); !errors.Is(err, ErrFormat) {
		t.Errorf("cut off: %v", err)
	}
}
