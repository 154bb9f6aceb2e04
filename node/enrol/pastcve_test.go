package enrol

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"
)

// S-PASTCVE, membership: advisories of who gives certificates to whom.
func TestPastCVEs(t *testing.T) {
	issuer, thief := newKey(t), newKey(t)
	keys := []ed25519.PublicKey{issuer.Public().(ed25519.PublicKey)}
	thiefID, err := peerOf(thief.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	victimID, err := peerOf(newKey(t).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	cert := func(peer string, by ed25519.PrivateKey) []byte {
		b, err := Issue(Certificate{Serial: 1, Org: "acme", Site: "main", Name: "x", Peer: peer, NotBefore: now, NotAfter: now.Add(time.Hour)}, by)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Run("CVE-2025-59353 Dragonfly", func(t *testing.T) {
		t.Log("a certificate for somebody else's identity is worth something on one's own connection")
		if _, err := Check(cert(victimID, issuer), keys, thiefID, now); !errors.Is(err, ErrWrongPeer) {
			t.Fatalf("%v, want ErrWrongPeer", err)
		}
	})
	t.Run("CVE-2022-23649 cosign", func(t *testing.T) {
		t.Log("a self-signed certificate passes, since nobody compares its issuer with those that count")
		if _, err := Check(cert(thiefID, thief), keys, thiefID, now); !errors.Is(err, ErrUntrustedIssuer) {
			t.Fatalf("%v, want ErrUntrustedIssuer", err)
		}
		if _, err := Check(cert(thiefID, thief), nil, thiefID, now); !errors.Is(err, ErrUntrustedIssuer) {
			t.Fatalf("without any issuer: %v, want ErrUntrustedIssuer", err)
		}
	})
}

// IssuerOf reads what this machine holds itself, which a failing disk may have changed.
func TestIssuerOfRefusesWhatIsNoCertificate(t *testing.T) {
	issuer := newKey(t)
	b, err := Issue(Certificate{Serial: 1, Org: "acme", Site: "main", Name: "x", Peer: "p", NotBefore: now, NotAfter: now.Add(time.Hour)}, issuer)
	if err != nil {
		t.Fatal(err)
	}
	got, err := IssuerOf(b)
	if err != nil || len(got) != 1 || !got[0].Equal(issuer.Public()) {
		t.Fatalf("%x, %v", got, err)
	}
	for i := range b {
		evil := append([]byte{}, b...)
		evil[i] ^= 1
		if got, err := IssuerOf(evil); err == nil && !got[0].Equal(issuer.Public()) {
			t.Fatalf("byte %d: another issuer", i)
		}
	}
	for _, x := range [][]byte{nil, {1}, make([]byte, 3*MaxCertBytes)} {
		if _, err := IssuerOf(x); !errors.Is(err, ErrFormat) {
			t.Errorf("%d bytes: %v", len(x), err)
		}
	}
}
