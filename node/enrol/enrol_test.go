package enrol

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/netip"
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
	pending, err := NewRequest(tok, node, "till-3", []string{"uuid:abc"}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pending.Box(), tok.Box) {
		t.Error("the request is sealed to another seed than that of its token")
	}
	req := pending.Request
	if bytes.Contains(req, tok.Secret) || bytes.Contains(req, []byte("till-3")) || bytes.Contains(req, []byte("abc")) {
		t.Fatal("a relay can read the request")
	}
	o, err := OpenRequest(box, req)
	id, _ := peerOf(node.Public().(ed25519.PublicKey))
	if err != nil || o.Kind != KindJoin || o.TokenHash != tok.Hash() || o.Peer != id || o.Name != "till-3" || len(o.Hardware) != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	ans, err := o.Answer(Answer{Status: StatusMember, Org: "acme", GossipKey: []byte("very secret key")})
	if err != nil || bytes.Contains(ans, []byte("very secret key")) {
		t.Fatalf("the answer can be read on the way, or %v", err)
	}
	kept, err := pending.Encode() // the answer comes after a restart
	if err != nil {
		t.Fatal(err)
	}
	if pending, err = DecodePending(kept); err != nil || !bytes.Equal(pending.Request, req) || pending.Token != tok.Hash() {
		t.Fatalf("kept and read again: %v", err)
	}
	got, err := pending.Open(ans)
	if err != nil || got.Org != "acme" || got.Status != StatusMember {
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

func TestRenewalSaysNothingButWhoAsks(t *testing.T) {
	tok, box := newToken(t)
	node := newKey(t)
	p, err := NewRenewal(tok.Box, node, 17, 0, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := peerOf(node.Public().(ed25519.PublicKey))
	o, err := OpenRequest(box, p.Request)
	if err != nil || o.Kind != KindRenew || o.Peer != id || o.Serial != 17 || o.Name != "" || o.TokenHash != [32]byte{} {
		t.Fatalf("%+v, %v", o, err)
	}
}

func TestHardwareIDsAreNoTrackingIDs(t *testing.T) {
	facts := []string{"uuid:4c4c4544", "mac:aa,bb", "nonsense", ":", "x:"}
	here := HardwareIDs(content.Sum([]byte("root")), "/var/lib/patchmesh", facts)
	if len(here) != 2 || !strings.HasPrefix(here[0], "uuid:") || !strings.HasPrefix(here[1], "mac:") || strings.Contains(here[0], "4c4c") {
		t.Fatalf("%q", here)
	}
	again := HardwareIDs(content.Sum([]byte("root")), "/var/lib/patchmesh", facts)
	elsewhere := HardwareIDs(content.Sum([]byte("other")), "/var/lib/patchmesh", facts)
	second := HardwareIDs(content.Sum([]byte("root")), "/srv/second", facts)
	for i := range here {
		if here[i] != again[i] {
			t.Errorf("%q is not found again: %q", here[i], again[i])
		}
		if here[i] == elsewhere[i] || here[i] == second[i] {
			t.Errorf("%q is the same for another organisation or node", here[i])
		}
	}
	for range 4 {
		facts = append(facts, facts...)
	}
	if n := len(HardwareIDs(content.Sum([]byte("root")), "d", facts)); n > maxHardware {
		t.Errorf("%d ids", n)
	}
}

func TestLimiterSlowsDownWhoFailsAndNobodyElse(t *testing.T) {
	l := NewLimiter(5, 10*time.Second)
	at := now
	for range 5 {
		if !l.Allow("a", at) {
			t.Fatal("refused before the burst was used")
		}
		l.Failed("a", at)
	}
	if l.Allow("a", at) || !l.Allow("b", at) {
		t.Fatal("the one that failed goes on, or another one pays for it")
	}
	tried := 0
	for i := range 600 { // ten minutes, one try a second
		if at := at.Add(time.Duration(i) * time.Second); l.Allow("a", at) {
			l.Failed("a", at)
			tried++
		}
	}
	if tried < 55 || tried > 61 {
		t.Errorf("%d tries in ten minutes, one in ten seconds is allowed", tried)
	}
	if !l.Allow("a", at.Add(time.Hour)) {
		t.Error("it is never forgiven")
	}
	for i := range 3 * maxDebtors {
		l.Failed(AddrKey(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1).String()), at)
	}
	if len(l.debt) > maxDebtors {
		t.Errorf("%d addresses are remembered", len(l.debt))
	}
	for addr, want := range map[string]string{
		"10.0.0.1:5": "10.0.0.1", "[::ffff:10.0.0.1]:9": "10.0.0.1", "[2001:db8::1]:5": "2001:db8::/64", "[2001:db8::ffff:1]:5": "2001:db8::/64", "?": "?",
	} {
		if got := AddrKey(addr); got != want {
			t.Errorf("%s counts as %s, want %s", addr, got, want)
		}
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

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
