package enrol

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/record"
)

// Certificate says that a key belongs to a machine of a site. It gives a place in the mesh, no right
// to cause an install.
type Certificate struct {
	Serial    uint64    `json:"n"`
	Org       string    `json:"o"`
	Site      string    `json:"t"`
	Name      string    `json:"l"`
	Groups    []string  `json:"g,omitempty"`
	Peer      string    `json:"p"`
	Seed      bool      `json:"d,omitempty"`
	NotBefore time.Time `json:"b"`
	NotAfter  time.Time `json:"a"`

	// Issuer is the public key that has signed it, in hex: set by Check and Read, and no part of it.
	Issuer string `json:"-"`
}

// MaxCertBytes keeps a certificate within gossip's 512 bytes of member metadata, with two to spare
// for the port.
const MaxCertBytes = 510

const (
	certDomain = "patchmesh membership"
	certCodec  = "/patchmesh/membership/1"
)

// Domain implements record.Record: no other signed record can pass for a certificate.
func (*Certificate) Domain() string { return certDomain }

// Codec implements record.Record.
func (*Certificate) Codec() []byte { return []byte(certCodec) }

// MarshalRecord implements record.Record.
func (c *Certificate) MarshalRecord() ([]byte, error) {
	d := *c
	d.NotBefore, d.NotAfter = d.NotBefore.UTC().Truncate(time.Second), d.NotAfter.UTC().Truncate(time.Second)
	return json.Marshal(d)
}

// UnmarshalRecord implements record.Record.
func (c *Certificate) UnmarshalRecord(b []byte) error { return decodeStrict(b, 2*MaxCertBytes, c) }

// Issue signs a certificate with an enrolment key. ErrFormat if names make it too large.
func Issue(c Certificate, key ed25519.PrivateKey) ([]byte, error) {
	k, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("enrolment key: %w", err)
	}
	var b []byte
	env, err := record.Seal(&c, k)
	if err == nil {
		b, err = env.Marshal()
	}
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	if len(b) > MaxCertBytes {
		return nil, fmt.Errorf("certificate of %d bytes, at most %d: names or groups are too long: %w", len(b), MaxCertBytes, ErrFormat)
	}
	return b, nil
}

// Check verifies a certificate that a peer shows: signed by one of the enrolment keys, valid now,
// and for the key of the connection it came over.
func Check(b []byte, keys []ed25519.PublicKey, peerID string, now time.Time) (Certificate, error) {
	c, err := Read(b)
	if err != nil {
		return c, err
	}
	return c, c.judge(keys, peerID, now)
}

// judge is all of Check but what the bytes alone prove.
func (c *Certificate) judge(keys []ed25519.PublicKey, peerID string, now time.Time) error {
	switch {
	case !slices.ContainsFunc(keys, func(k ed25519.PublicKey) bool { return hex.EncodeToString(k) == c.Issuer }):
		return ErrUntrustedIssuer
	case c.Peer != peerID:
		return ErrWrongPeer
	case now.Before(c.NotBefore), !now.Before(c.NotAfter):
		return fmt.Errorf("from %s to %s: %w", c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339), ErrExpired)
	}
	return nil
}

// Read verifies that the key which a certificate names as its issuer has signed it, and no more: anybody has
// such a key. It is for the own one, which was checked when it came, and no check of anybody else's.
func Read(b []byte) (Certificate, error) {
	var c Certificate
	if len(b) == 0 || len(b) > 2*MaxCertBytes {
		return c, fmt.Errorf("certificate of %d bytes: %w", len(b), ErrFormat)
	}
	env, err := record.ConsumeTypedEnvelope(b, &c)
	if err != nil {
		return c, fmt.Errorf("certificate: %w: %w", ErrFormat, err)
	}
	c.Issuer = issuerOf(env)
	return c, nil
}

// issuerOf is empty for a key of another kind.
func issuerOf(env *record.Envelope) string {
	raw, err := env.PublicKey.Raw()
	if err != nil || env.PublicKey.Type() != crypto.Ed25519 {
		return ""
	}
	return hex.EncodeToString(raw)
}
