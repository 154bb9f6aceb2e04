package enrol

import (
	"crypto/ed25519"
	"encoding/hex"
)

// IssuerOf is the enrolment key that signed a certificate: the machine's own, which it verified when it
// joined. It is for a machine that has lost its roster and must let somebody bring it again.
func IssuerOf(b []byte) ([]ed25519.PublicKey, error) {
	c, err := Read(b)
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(c.Issuer)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, ErrUntrustedIssuer
	}
	return []ed25519.PublicKey{raw}, nil
}
