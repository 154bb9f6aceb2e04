package enrol

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

var now = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newToken(t testing.TB) (Token, []byte) {
	t.Helper()
	box := bytes.Repeat([]byte{7}, 32)
	pub, err := BoxPublic(box)
	if err != nil {
		t.Fatal(err)
	}
	return Token{
		Secret: bytes.Repeat([]byte{9}, 32), SeedPeer: "12D3KooW", Box: pub, RootDigest: content.Sum([]byte("root")),
		Addrs: []string{"10.0.0.1:7700"}, Site: "main",
	}, box
}

func TestTokenSurvivesPastingAndTellsTypos(t *testing.T) {
	tok, _ := newToken(t)
	s, err := tok.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseToken("  " + s + "\n")
	if err != nil || got.Hash() != tok.Hash() || got.RootDigest != tok.RootDigest {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := len(tokenPrefix); i < len(s); i += 7 {
		x := byte('A')
		if s[i] == x {
			x = 'B'
		}
		if _, err := ParseToken(s[:i] + string(x) + s[i+1:]); !errors.Is(err, ErrTypo) {
			t.Fatalf("character %d changed: %v", i, err)
		}
	}
	for _, bad := range []string{"", "hello", s[:40], strings.Repeat("x", 100_000), tokenPrefix} {
		if _, err := ParseToken(bad); err == nil {
			t.Errorf("%.20q was taken", bad)
		}
	}
}

func TestJoinThroughARelay(t *testing.T) {
	tok, box := newToken(t)
	node := newKey(t)
	req, pending, err := NewRequest(tok, node, "till-3", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(req, tok.Secret) || bytes.Contains(req, []byte("till-3")) {
		t.Fatal("a relay can read the request")
	}
	o, err := OpenRequest(box, req)
	id, _ := peerOf(node.Public().(ed25519.PublicKey))
	if err != nil || o.TokenHash != tok.Hash() || o.Peer != id || o.Name != "till-3" {
		t.Fatalf("%+v, %v", o, err)
	}
	ans, err := o.Answer(Answer{Org: "acme", GossipKey: []byte("very secret key")})
	if err != nil || bytes.Contains(ans, []byte("very secret key")) {
		t.Fatalf("the answer can be read on the way, or %v", err)
	}
	got, err := pending.Open(ans)
	if err != nil || got.Org != "acme" {
		t.Fatalf("%+v, %v", got, err)
	}
	ans[len(ans)/2] ^= 1
	if _, err := pending.Open(ans); !errors.Is(err, ErrSealed) {
		t.Fatalf("changed answer: %v", err)
	}
	if _, err := OpenRequest(bytes.Repeat([]byte{8}, 32), req); !errors.Is(err, ErrSealed) {
		t.Fatalf("another seed: %v", err)
	}
}

// Whoever knows a token must not get a certificate for a key that is not his.
func TestRequestForAForeignKeyIsRefused(t *testing.T) {
	tok, box := newToken(t)
	mine, victim := newKey(t), newKey(t)
	victimID, _ := peerOf(victim.Public().(ed25519.PublicKey))
	body := requestBody{Secret: tok.Secret, Peer: victimID, Name: "x"}
	_, p, err := NewRequest(tok, mine, "x", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body.Sig = ed25519.Sign(mine, body.signed(p.ephemeral))
	a, _ := agree(p.secret, tok.Box, p.ephemeral, tok.Box, purposeRequest)
	req := encode(t, requestDoc{Version: 1, Ephemeral: p.ephemeral, Sealed: seal(a, encode(t, body))})
	if _, err := OpenRequest(box, req); !errors.Is(err, ErrWrongPeer) {
		t.Fatalf("%v, want ErrWrongPeer", err)
	}
}

func TestCertificateBindsKeyTimeAndIssuer(t *testing.T) {
	issuer, node := newKey(t), newKey(t)
	keys := []ed25519.PublicKey{issuer.Public().(ed25519.PublicKey)}
	id, _ := peerOf(node.Public().(ed25519.PublicKey))
	c := Certificate{
		Serial: 7, Org: "Example Ltd", Site: "berlin", Name: "till-3", Groups: []string{"office", "tills"}, Peer: id,
		NotBefore: now, NotAfter: now.Add(time.Hour),
	}
	b, err := Issue(c, issuer)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Check(b, keys, id, now.Add(time.Minute))
	if err != nil || got.Site != "berlin" || got.Serial != 7 || len(got.Groups) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	otherID, _ := peerOf(newKey(t).Public().(ed25519.PublicKey))
	for name, f := range map[string]func() error{
		"another key": func() error { _, err := Check(b, keys, otherID, now); return wants(err, ErrWrongPeer) },
		"too late":    func() error { _, err := Check(b, keys, id, now.Add(2*time.Hour)); return wants(err, ErrExpired) },
		"too early":   func() error { _, err := Check(b, keys, id, now.Add(-time.Hour)); return wants(err, ErrExpired) },
		"another issuer": func() error {
			_, err := Check(b, []ed25519.PublicKey{node.Public().(ed25519.PublicKey)}, id, now)
			return wants(err, ErrUntrustedIssuer)
		},
		"self-issued": func() error {
			own, _ := Issue(c, node)
			_, err := Check(own, keys, id, now)
			return wants(err, ErrUntrustedIssuer)
		},
		"changed": func() error {
			x := bytes.Replace(b, []byte("berlin"), []byte("madrid"), 1)
			_, err := Check(x, keys, id, now)
			return wants(err, ErrFormat)
		},
		"empty": func() error { _, err := Check(nil, keys, id, now); return wants(err, ErrFormat) },
	} {
		if err := f(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.Groups = []string{strings.Repeat("g", 400)}
	if _, err := Issue(c, issuer); !errors.Is(err, ErrFormat) {
		t.Errorf("a certificate too large for gossip was issued: %v", err)
	}
}

func wants(got, want error) error {
	if errors.Is(got, want) {
		return nil
	}
	return errors.New("got " + errString(got) + ", want " + want.Error())
}

func errString(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

func FuzzDecoders(f *testing.F) {
	tok, box := newToken(f)
	s, _ := tok.Encode()
	req, p, _ := NewRequest(tok, newKey(f), "n", rand.Reader)
	cert, _ := Issue(Certificate{Org: "o"}, newKey(f))
	f.Add([]byte(s))
	f.Add(req)
	f.Add(cert)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = ParseToken(string(b))
		if o, err := OpenRequest(box, b); err == nil && o.Peer == "" {
			t.Fatal("a request of nobody opened")
		}
		if _, err := p.Open(b); err == nil {
			t.Fatal("an answer that the seed did not make opened")
		}
		if _, err := Check(b, nil, "x", now); err == nil {
			t.Fatal("a certificate by nobody was believed")
		}
	})
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
