package enrol

import (
	"crypto/ecdh"
	"fmt"
	"io"
)

// purposeLetter is of letters that a machine writes to its seed; what they are about is added to it.
const purposeLetter = "patchmesh letter v1 "

// letterHead is the sender's ephemeral key, which stands in front of a letter.
const letterHead = 32

// SealLetter seals text to the seed's box key: whoever relays or carries it cannot read it. It says nothing
// about who wrote it. about names its purpose, and a letter opens under the same alone.
func SealLetter(box []byte, about string, plain []byte, rand io.Reader) ([]byte, error) {
	eph, err := ecdh.X25519().GenerateKey(rand)
	if err != nil {
		return nil, fmt.Errorf("seal letter: %w", err)
	}
	a, err := agree(eph.Bytes(), box, eph.PublicKey().Bytes(), box, purposeLetter+about)
	if err != nil {
		return nil, fmt.Errorf("seal letter: %w", err)
	}
	return append(eph.PublicKey().Bytes(), seal(a, plain)...), nil
}

// OpenLetter opens what SealLetter has sealed, with the secret half of the box key. ErrFormat, ErrSealed.
func OpenLetter(boxSecret []byte, about string, letter []byte) ([]byte, error) {
	if len(letter) < letterHead {
		return nil, fmt.Errorf("letter of %d bytes: %w", len(letter), ErrFormat)
	}
	box, err := BoxPublic(boxSecret)
	if err != nil {
		return nil, err
	}
	a, err := agree(boxSecret, letter[:letterHead], letter[:letterHead], box, purposeLetter+about)
	if err != nil {
		return nil, err
	}
	return unseal(a, letter[letterHead:])
}
