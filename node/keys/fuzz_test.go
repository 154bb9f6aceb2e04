package keys

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"testing"
)

// FuzzPrivate: a private key file is one Ed25519 key or an error, and what is read is written again as
// the same key.
func FuzzPrivate(f *testing.F) {
	key, err := generate(bytes.NewReader(make([]byte, 64)))
	if err != nil {
		f.Fatal(err)
	}
	good, err := encodePrivate(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(append(bytes.Clone(good), good...))
	f.Add(bytes.Replace(good, []byte("PRIVATE"), []byte("EC PRIVATE"), 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parsePrivate(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%v is not ErrFormat", err)
			}
			return
		}
		again, err := encodePrivate(k)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parsePrivate(again); err != nil || !back.Equal(k) {
			t.Fatalf("another key is written: %v", err)
		}
	})
}

// workFactor finds what a protected file asks for. A hostile one may cost up to the limit, which is
// seconds: the fuzzer keeps to what is quick.
var workFactor = regexp.MustCompile(`(?m)^-> scrypt \S+ (\d+)$`)

// FuzzProtected: a damaged or hostile protected key is refused as one of the errors that people are
// told, and gives no other key than the one that was protected.
func FuzzProtected(f *testing.F) {
	good, err := protect([]byte("the secret"), "a passphrase", 1)
	if err != nil {
		f.Fatal(err)
	}
	other, err := protect([]byte("another"), "another passphrase", 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(other)
	f.Add(good[:len(good)-3])
	f.Add([]byte("age-encryption.org/v1\n-> scrypt 0000 21\n\n--- \n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range workFactor.FindAllSubmatch(b, -1) {
			if n, err := strconv.Atoi(string(m[1])); err != nil || n > 4 && n <= maxScryptLogN {
				return
			}
		}
		out, err := unprotect(b, "a passphrase")
		switch {
		case err == nil && string(out) != "the secret":
			t.Fatalf("%q came out", out)
		case err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrPassphrase):
			t.Fatal(err)
		}
	})
}
