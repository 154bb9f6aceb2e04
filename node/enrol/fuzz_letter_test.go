package enrol

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
)

// Anybody who may relay a letter may change it: what was changed opens for nobody, and costs nothing but the look.
func FuzzLetter(f *testing.F) {
	secret := bytes.Repeat([]byte{7}, 32)
	box, err := BoxPublic(secret)
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := SealLetter(box, "inventory", []byte("text"), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:letterHead])
	f.Add(make([]byte, 80)) // a key of order one
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, letter []byte) {
		plain, err := OpenLetter(secret, "inventory", letter)
		switch {
		case err == nil && string(plain) != "text":
			t.Fatalf("%x opens as %q", letter, plain)
		case err != nil && (plain != nil || !errors.Is(err, ErrFormat) && !errors.Is(err, ErrSealed)):
			t.Fatalf("%x: %q, %v", letter, plain, err)
		}
	})
}
