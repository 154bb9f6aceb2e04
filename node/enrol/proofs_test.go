package enrol

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"
)

// Whatever a certificate would be refused for the first time, it is refused for the hundredth time: what is
// remembered of it is its signature alone.
func TestARememberedCertificateIsJudgedAnew(t *testing.T) {
	issuer, other, node := newKey(t), newKey(t), newKey(t)
	keys := []ed25519.PublicKey{issuer.Public().(ed25519.PublicKey)}
	id, _ := peerOf(node.Public().(ed25519.PublicKey))
	b, err := Issue(Certificate{Serial: 7, Org: "o", Site: "berlin", Name: "a", Groups: []string{"tills"}, Peer: id, NotBefore: now, NotAfter: now.Add(time.Hour)}, issuer)
	if err != nil {
		t.Fatal(err)
	}
	var p Proofs
	for range 3 {
		c, err := p.Check(b, keys, id, now)
		if err != nil || c.Site != "berlin" || c.Groups[0] != "tills" {
			t.Fatalf("%+v, %v", c, err)
		}
		c.Groups[0] = "changed by whoever asked"
	}
	if len(p.held) != 1 {
		t.Fatalf("%d remembered, want the one", len(p.held))
	}
	changed := bytes.Clone(b)
	changed[len(changed)-1]++ // of the signature
	rotated := []ed25519.PublicKey{other.Public().(ed25519.PublicKey)}
	for name, f := range map[string]func() error{
		"issuer gone": func() error { _, err := p.Check(b, rotated, id, now); return wants(err, ErrUntrustedIssuer) },
		"nobody's":    func() error { _, err := p.Check(b, nil, id, now); return wants(err, ErrUntrustedIssuer) },
		"another key": func() error { _, err := p.Check(b, keys, "x", now); return wants(err, ErrWrongPeer) },
		"too late":    func() error { _, err := p.Check(b, keys, id, now.Add(time.Hour)); return wants(err, ErrExpired) },
		"too early":   func() error { _, err := p.Check(b, keys, id, now.Add(-time.Second)); return wants(err, ErrExpired) },
		"changed":     func() error { _, err := p.Check(changed, keys, id, now); return wants(err, ErrFormat) },
		"longer": func() error {
			_, err := p.Check(append(bytes.Clone(b), 0), keys, id, now)
			return wants(err, ErrFormat)
		},
	} {
		if err := f(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Somebody who makes certificates by himself, as many as he likes, takes no place in the memory; and
// whoever has stolen an enrolment key fills it and no more.
func TestForeignCertificatesAreNotRemembered(t *testing.T) {
	issuer, thief := newKey(t), newKey(t)
	keys := []ed25519.PublicKey{issuer.Public().(ed25519.PublicKey)}
	issue := func(serial uint64, by ed25519.PrivateKey) []byte {
		b, err := Issue(Certificate{Serial: serial, Org: "o", Site: "s", Name: "a", Peer: "x", NotBefore: now, NotAfter: now.Add(time.Hour)}, by)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var p Proofs
	for i := range uint64(50) {
		if _, err := p.Check(issue(i, thief), keys, "x", now); !errors.Is(err, ErrUntrustedIssuer) {
			t.Fatal(err)
		}
	}
	_, _ = p.Check(bytes.Repeat([]byte{1}, 2*MaxCertBytes+1), keys, "x", now)
	_, _ = p.Check(nil, keys, "x", now)
	if len(p.held) != 0 {
		t.Fatalf("%d remembered of those that nobody issued", len(p.held))
	}
	for i := range uint64(maxProofs + 50) {
		if _, err := p.Check(issue(i, issuer), keys, "x", now); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.held) != maxProofs {
		t.Fatalf("%d remembered, at most %d", len(p.held), maxProofs)
	}
}
