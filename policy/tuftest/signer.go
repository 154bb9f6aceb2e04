package tuftest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"sync/atomic"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// Kinds of keys, as type/scheme.
const (
	Ed25519 = "ed25519/ed25519"
	RSA     = "rsa/rsassa-pss-sha256"
	ECDSA   = "ecdsa/ecdsa-sha2-nistp256"
)

// Signer is a key pair. Public may be changed before ReID is called.
type Signer struct {
	ID     string
	Public map[string]any
	sign   func(payload []byte) []byte
}

// made counts Ed25519 keys: each process makes the same ones in the same order, so that what fuzzing
// found in one process means the same in another.
var made atomic.Int64

// NewSigner makes a key of a kind.
func NewSigner(kind string) *Signer {
	s := &Signer{}
	public := ""
	switch kind {
	case Ed25519:
		seed := sha256.Sum256(fmt.Appendf(nil, "tuftest key %d", made.Add(1)))
		priv := ed25519.NewKeyFromSeed(seed[:])
		public = hex.EncodeToString(priv.Public().(ed25519.PublicKey))
		s.sign = func(b []byte) []byte { return ed25519.Sign(priv, b) }
	case RSA:
		priv, err := rsa.GenerateKey(rand.Reader, 2048)
		must(err)
		public = PEM(priv.Public())
		s.sign = func(b []byte) []byte {
			sum := sha256.Sum256(b)
			sig, err := rsa.SignPSS(rand.Reader, priv, crypto.SHA256, sum[:], nil)
			must(err)
			return sig
		}
	case ECDSA:
		priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		public = PEM(priv.Public())
		s.sign = func(b []byte) []byte {
			sum := sha256.Sum256(b)
			sig, err := ecdsa.SignASN1(rand.Reader, priv, sum[:])
			must(err)
			return sig
		}
	default:
		panic("tuftest: no kind of key " + kind)
	}
	var keyType, scheme string
	for i := range kind {
		if kind[i] == '/' {
			keyType, scheme = kind[:i], kind[i+1:]
		}
	}
	s.Public = map[string]any{"keytype": keyType, "scheme": scheme, "keyval": map[string]any{"public": public}}
	return s.ReID()
}

// PEM writes a public key.
func PEM(public any) string {
	b, err := x509.MarshalPKIXPublicKey(public)
	must(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: b}))
}

// ReID computes the key's id again.
func (s *Signer) ReID() *Signer {
	sum := sha256.Sum256(canonical(s.Public))
	s.ID = hex.EncodeToString(sum[:])
	return s
}

func canonical(v any) []byte {
	b, err := cjson.EncodeCanonical(v)
	must(err)
	return b
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("tuftest: %v", err))
	}
}
