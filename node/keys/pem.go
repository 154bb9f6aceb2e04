package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
)

const (
	privateBlock = "PRIVATE KEY"
	publicBlock  = "PUBLIC KEY"
)

func encodePrivate(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: der}), err
}

func parsePrivate(b []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(b)
	if block == nil || block.Type != privateBlock || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("want one PEM block %q: %w", privateBlock, ErrFormat)
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	key, ok := any.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("want an ed25519 key: %w", ErrFormat)
	}
	return key, nil
}

// EncodePublic is the PEM text of a public key.
func EncodePublic(pub ed25519.PublicKey) ([]byte, error) {
	if err := CheckPublic(pub); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	return pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: der}), err
}

// ParsePublic reads the PEM text of an ed25519 public key. ErrFormat.
func ParsePublic(b []byte) (ed25519.PublicKey, error) {
	if len(b) > maxFileBytes {
		return nil, fmt.Errorf("public key of %d bytes: %w", len(b), ErrFormat)
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != publicBlock || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("want one PEM block %q: %w", publicBlock, ErrFormat)
	}
	any, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	pub, ok := any.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("want an ed25519 key: %w", ErrFormat)
	}
	return pub, CheckPublic(pub)
}

// lowOrder holds the y coordinates of the points of order 1, 2, 4 and 8 on edwards25519, little
// endian without the sign bit (RFC 8032, section 5.1; "Taming the many EdDSAs", table 1).
var lowOrder = [][]byte{
	unhex("0000000000000000000000000000000000000000000000000000000000000000"),
	unhex("0100000000000000000000000000000000000000000000000000000000000000"),
	unhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
	unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
}

func unhex(s string) []byte {
	b, _ := hex.DecodeString(s)
	return b[:ed25519.PublicKeySize] // panics on a constant that is none
}

// CheckPublic refuses public keys of wrong size, low order or non-canonical form. ErrFormat.
func CheckPublic(pub ed25519.PublicKey) error {
	if len(pub) != ed25519.PublicKeySize {
		return fmt.Errorf("public key of %d bytes: %w", len(pub), ErrFormat)
	}
	y := bytes.Clone(pub)
	y[31] &= 0x7f
	for _, low := range lowOrder {
		if bytes.Equal(y, low) {
			return fmt.Errorf("public key of low order: %w", ErrFormat)
		}
	}
	if !canonical(y) {
		return fmt.Errorf("public key in non-canonical form: %w", ErrFormat)
	}
	return nil
}

// canonical: y < 2^255 - 19.
func canonical(y []byte) bool {
	if y[31] != 0x7f || y[0] < 0xed {
		return true
	}
	for _, b := range y[1:31] {
		if b != 0xff {
			return true
		}
	}
	return false
}
