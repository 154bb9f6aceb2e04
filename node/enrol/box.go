package enrol

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// Purposes of the two keys that one key agreement gives; the kind of the request is added to each.
const (
	purposeRequest = "patchmesh request v2 "
	purposeAnswer  = "patchmesh answer v2 "
)

// BoxPublic is the public half of a box key.
func BoxPublic(secret []byte) ([]byte, error) {
	k, err := ecdh.X25519().NewPrivateKey(secret)
	if err != nil {
		return nil, fmt.Errorf("box key: %w", err)
	}
	return k.PublicKey().Bytes(), nil
}

// agree derives the AEAD of one purpose. It may seal exactly one message, with a zero nonce: a request
// has a fresh ephemeral key, an answer a purpose that ends in fresh salt.
func agree(secret, public, ephemeral, box []byte, purpose string) (cipher.AEAD, error) {
	priv, err := ecdh.X25519().NewPrivateKey(secret)
	if err != nil {
		return nil, fmt.Errorf("box key: %w", err)
	}
	pub, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("box key: %w", ErrFormat)
	}
	shared, err := priv.ECDH(pub) // refuses points of low order
	if err != nil {
		return nil, fmt.Errorf("box key: %w", ErrFormat)
	}
	// 32 bytes of SHA-256 are a key whatever the inputs are; without one the last line would panic.
	key, _ := hkdf.Key(sha256.New, shared, append(append([]byte{}, ephemeral...), box...), purpose, 32)
	block, _ := aes.NewCipher(key)
	return cipher.NewGCM(block)
}

func seal(a cipher.AEAD, plain []byte) []byte {
	return a.Seal(nil, make([]byte, a.NonceSize()), plain, nil)
}

func unseal(a cipher.AEAD, sealed []byte) ([]byte, error) {
	b, err := a.Open(nil, make([]byte, a.NonceSize()), sealed, nil)
	if err != nil {
		return nil, ErrSealed
	}
	return b, nil
}
