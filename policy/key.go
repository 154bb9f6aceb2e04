package policy

import (
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Signer holds one private key of a role. The zero value signs nothing.
type Signer struct {
	key *metadata.Key
	id  string
	sig signature.Signer
}

// NewSigner wraps an Ed25519 key.
func NewSigner(k ed25519.PrivateKey) (Signer, error) {
	if len(k) != ed25519.PrivateKeySize {
		return Signer{}, fmt.Errorf("signing key of %d bytes: %w", len(k), ErrFormat)
	}
	s, err := NamePublic(k[ed25519.SeedSize:])
	if err == nil {
		s.sig, err = signature.LoadSigner(k, crypto.Hash(0))
	}
	if err != nil {
		return Signer{}, fmt.Errorf("signing key: %w", err)
	}
	return s, nil
}

// KeyID is the TUF id of the public key.
func (s Signer) KeyID() string { return s.id }

// The points of low order on Curve25519's Edwards form, as encoded y with the sign bit cleared; a
// key among them verifies signatures that nobody made. Those above p are refused as non-canonical.
var lowOrder = map[[32]byte]bool{
	{}:     true, // order 4
	{1}:    true, // the neutral element
	pMinus: true, // order 2
	mustPoint("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"): true, // order 8
	mustPoint("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"): true, // order 8
}

// pMinus is p-1 with p = 2^255-19, little endian.
var pMinus = mustPoint("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")

func mustPoint(s string) (p [32]byte) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		panic("policy: bad constant " + s)
	}
	copy(p[:], b)
	return p
}

// checkPublic refuses public keys under which other bytes or other keys verify too (Chalkias,
// Garillot, Nikolaenko, "Taming the many EdDSAs", 2020).
func checkPublic(k []byte) error {
	if len(k) != ed25519.PublicKeySize {
		return fmt.Errorf("public key of %d bytes: %w", len(k), ErrFormat)
	}
	y := [32]byte(k)
	y[31] &= 0x7f
	if lowOrder[y] || !below(y, pMinus) {
		return ErrWeakKey
	}
	return nil
}

// below compares little-endian numbers, allowing equality.
func below(a, most [32]byte) bool {
	for i := 31; i >= 0; i-- {
		if a[i] != most[i] {
			return a[i] < most[i]
		}
	}
	return true
}

// checkPublicHex refuses all but the one way to write a key: lower case, since "ab" and "AB" would
// be two names for one approver.
func checkPublicHex(s string) error {
	b, err := hex.DecodeString(s)
	if err != nil || hex.EncodeToString(b) != s {
		return fmt.Errorf("public key %.70q: %w", s, ErrFormat)
	}
	return checkPublic(b)
}

// checkKeys accepts a set of keys only if all are sound Ed25519 keys and no two are the same key
// under different ids: one approver must not count twice.
func checkKeys(keys map[string]*metadata.Key) error {
	seen := map[string]bool{}
	for id, k := range keys {
		if k == nil || k.Type != metadata.KeyTypeEd25519 || k.Scheme != metadata.KeySchemeEd25519 {
			return fmt.Errorf("key %.16s is not Ed25519: %w", id, ErrUnknownKey)
		}
		if err := checkPublicHex(k.Value.PublicKey); err != nil {
			return fmt.Errorf("key %.16s: %w", id, err)
		}
		if seen[k.Value.PublicKey] {
			return fmt.Errorf("key %.16s stands there twice: %w", id, ErrWeakKey)
		}
		seen[k.Value.PublicKey] = true
	}
	return nil
}
