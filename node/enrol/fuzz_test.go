package enrol

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"patchmesh/content"
)

func FuzzToken(f *testing.F) {
	tok, _ := newToken(f)
	s, _ := tok.Encode()
	f.Add(s)
	f.Add(tokenPrefix)
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := ParseToken(s)
		if err != nil {
			return
		}
		again, err := tok.Encode()
		if err != nil {
			t.Fatalf("a token that was read cannot be written: %v", err)
		}
		if got, err := ParseToken(again); err != nil || got.Hash() != tok.Hash() {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

// FuzzRequest is given the inside of the box: what a stranger controls who knows the seed's public key.
func FuzzRequest(f *testing.F) {
	tok, box := newToken(f)
	p, _ := NewRequest(tok, newKey(f), "n", []string{"uuid:x"}, rand.Reader)
	r, _ := NewRenewal(tok.Box, newKey(f), 3, 0, rand.Reader)
	f.Add(p.Request, []byte(`{"b":"e30=","g":""}`), true)
	f.Add(r.Request, []byte(`{"p":"12D3KooW","s":"","n":"x","h":["a:b"],"q":1}`), false)
	f.Fuzz(func(t *testing.T, outer, inner []byte, join bool) {
		if o, err := OpenRequest(box, outer); err == nil && o.Peer == "" {
			t.Fatal("a request of nobody opened")
		}
		kind := KindRenew
		if join {
			kind = KindJoin
		}
		doc := requestDoc{Version: formatVersion, Kind: kind, Ephemeral: p.ephemeral}
		for _, plain := range [][]byte{inner, mustJSON(signedBody{Body: inner})} {
			if _, err := checkBody(doc, tok.Box, plain); err == nil {
				t.Fatal("a body that nobody has signed was believed")
			}
		}
	})
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func FuzzAnswer(f *testing.F) {
	tok, box := newToken(f)
	p, _ := NewRequest(tok, newKey(f), "n", nil, rand.Reader)
	o, err := OpenRequest(box, p.Request)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"v":2,"status":"member","cert":"AA=="}`), []byte("salt"))
	f.Fuzz(func(t *testing.T, plain, raw []byte) {
		if _, err := p.Open(raw); err == nil {
			t.Fatal("an answer that the seed did not make opened")
		}
		a, err := agree(o.secret, o.ephemeral, o.ephemeral, o.box, purposeAnswer+string(KindJoin)+string(make([]byte, saltBytes)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Open(append(make([]byte, saltBytes), seal(a, plain)...))
		if err == nil && got.Status != StatusMember && got.Status != StatusWaiting && got.Status != StatusRefused {
			t.Fatalf("answer %q", got.Status)
		}
	})
}

func FuzzCertificate(f *testing.F) {
	issuer := newKey(f)
	cert, _ := Issue(Certificate{Org: "o", Peer: "x"}, issuer)
	other := []ed25519.PublicKey{newKey(f).Public().(ed25519.PublicKey)}
	f.Add(cert)
	trusted := []ed25519.PublicKey{issuer.Public().(ed25519.PublicKey)}
	var memory Proofs
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Check(b, other, "x", now); err == nil {
			t.Fatal("a certificate by nobody was believed")
		}
		_, plain := Check(b, trusted, "x", now)
		for range 2 {
			if _, err := memory.Check(b, trusted, "x", now); (err == nil) != (plain == nil) {
				t.Fatalf("%v with a memory, %v without", err, plain)
			}
		}
		_, _ = Read(b)
	})
}

func FuzzPending(f *testing.F) {
	tok, _ := newToken(f)
	p, _ := NewRequest(tok, newKey(f), "n", nil, rand.Reader)
	b, _ := p.Encode()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePending(b)
		if err != nil {
			return
		}
		again, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if q, err := DecodePending(again); err != nil || q.Token != p.Token || !bytes.Equal(q.Request, p.Request) {
			t.Fatalf("%v", err)
		}
	})
}

// FuzzStick gives a folder one file of any name and content.
func FuzzStick(f *testing.F) {
	tok, _ := newToken(f)
	p, _ := NewRequest(tok, newKey(f), "n", nil, rand.Reader)
	f.Add(content.Sum(p.Request).String()+requestSuffix, p.Request)
	f.Add("x.req", []byte("x"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		folder := filepath.Join(dir, StickFolder)
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if name != filepath.Base(name) || os.WriteFile(filepath.Join(folder, name), body, 0o600) != nil {
			return
		}
		s, err := OpenStick(dir, false)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		got, _, err := s.Requests()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range got {
			if len(b) > MaxRequestBytes || content.Sum(b).String()+requestSuffix != name {
				t.Fatalf("%d bytes under the name %q were taken", len(b), name)
			}
		}
	})
}
