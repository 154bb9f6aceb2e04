package enrol

import (
	"crypto/ed25519"
	"fmt"

	"github.com/libp2p/go-libp2p/core/record"
)

// IssuerOf is the enrolment key that signed a certificate: the machine's own, which it verified when it
// joined. It is for a machine that has lost its roster and must let somebody bring it again.
func IssuerOf(b []byte) ([]ed25519.PublicKey, error) {
	var c Certificate
	if len(b) == 0 || len(b) > 2*MaxCertBytes {
		return nil, fmt.Errorf("certificate of %d bytes: %w", len(b), ErrFormat)
	}
	env, err := record.ConsumeTypedEnvelope(b, &c)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w: %w", ErrFormat, err)
	}
	raw, err := env.PublicKey.Raw()
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, ErrUntrustedIssuer
	}
	return []ed25519.PublicKey{raw}, nil
}
