package enrol

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/record"
)

// A certificate sealed with a key of another kind is nobody's, whatever it says: only Ed25519 counts.
func TestCertificatesOfOtherKindsOfKeysAreRefused(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	issuer := newKey(t)
	cert := Certificate{Serial: 1, Org: "acme", Site: "main", Name: "a", Peer: "12D3", NotBefore: now, NotAfter: now.Add(time.Hour)}
	good, err := Issue(cert, issuer)
	if err != nil {
		t.Fatal(err)
	}
	trusted := []ed25519.PublicKey{issuer.Public().(ed25519.PublicKey)}
	if _, err := Check(good, trusted, "12D3", now); err != nil {
		t.Fatal(err)
	}
	for name, generate := range map[string]func() (crypto.PrivKey, crypto.PubKey, error){
		"secp256k1": func() (crypto.PrivKey, crypto.PubKey, error) { return crypto.GenerateSecp256k1Key(rand.Reader) },
		"ecdsa":     func() (crypto.PrivKey, crypto.PubKey, error) { return crypto.GenerateECDSAKeyPair(rand.Reader) },
	} {
		k, _, err := generate()
		if err != nil {
			t.Fatal(err)
		}
		env, err := record.Seal(&cert, k)
		if err != nil {
			t.Fatal(err)
		}
		b, err := env.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Check(b, trusted, "12D3", now); !errors.Is(err, ErrUntrustedIssuer) {
			t.Errorf("%s: %v", name, err)
		}
		if c, err := Read(b); err != nil || c.Issuer != "" {
			t.Errorf("%s: issued by %q, %v", name, c.Issuer, err)
		}
		if keys, err := IssuerOf(b); err == nil {
			t.Errorf("%s: %x is an enrolment key", name, keys)
		}
	}
}

func TestCertificatesThatNobodyCouldReadAreNotIssued(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	cert := Certificate{Serial: 1, Org: "acme", Site: "main", Name: "a", Peer: "12D3", NotBefore: now, NotAfter: now.Add(time.Hour)}
	if _, err := Issue(cert, newKey(t)[:20]); err == nil {
		t.Error("half a key issued a certificate")
	}
	cert.NotAfter = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := Issue(cert, newKey(t)); err == nil {
		t.Error("a time that cannot be written was issued")
	}
	for _, b := range [][]byte{nil, make([]byte, 2*MaxCertBytes+1), []byte("words")} {
		if _, err := Read(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
		if _, err := Check(b, nil, "12D3", now); !errors.Is(err, ErrFormat) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}
