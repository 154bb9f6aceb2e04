package enrol

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"patchmesh/content"
)

// boxed is a seed's box key and a token that is sealed to it.
func boxed(t *testing.T) (secret []byte, tok Token) {
	t.Helper()
	secret = bytes.Repeat([]byte{7}, 32)
	box, err := BoxPublic(secret)
	if err != nil {
		t.Fatal(err)
	}
	return secret, Token{Secret: bytes.Repeat([]byte{1}, 32), SeedPeer: "p", Box: box, RootDigest: content.Sum([]byte("root")), Site: "main"}
}

func TestTokensThatNobodyCouldReadAreNotMade(t *testing.T) {
	_, tok := boxed(t)
	long := tok
	for range 16 {
		long.Addrs = append(long.Addrs, strings.Repeat("1", 300))
	}
	short := tok
	short.Secret = tok.Secret[:31]
	for name, bad := range map[string]Token{"addresses without end": long, "a secret that can be guessed": short, "nothing": {}} {
		if text, err := bad.Encode(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// Whatever is wrong with keys, bodies and randomness: a request is sealed to the seed's box, or not made.
func TestRequestsThatNobodyCouldReadAreNotMade(t *testing.T) {
	secret, tok := boxed(t)
	node := newKey(t)
	point := tok
	point.Box = make([]byte, 32) // of low order: everybody would know what is agreed on
	half := tok
	half.Box = tok.Box[:31]
	for name, try := range map[string]func() (*Pending, error){
		"no randomness": func() (*Pending, error) {
			return NewRequest(tok, node, "a", nil, io.LimitReader(rand.Reader, 31))
		},
		"a box of low order": func() (*Pending, error) { return NewRequest(point, node, "a", nil, rand.Reader) },
		"half a box":         func() (*Pending, error) { return NewRequest(half, node, "a", nil, rand.Reader) },
		"a name without end": func() (*Pending, error) {
			return NewRequest(tok, node, strings.Repeat("n", MaxRequestBytes), nil, rand.Reader)
		},
	} {
		if p, err := try(); err == nil || p != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := NewRequest(tok, node, "a", nil, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRequest(secret[:31], p.Request); err == nil {
		t.Error("half a box key opened a request")
	}
	if _, err := peerOf(node.Public().(ed25519.PublicKey)[:31]); err == nil {
		t.Error("half a key has a name")
	}
	if a, b := RequestID(tok.Hash(), "x"), RequestID(tok.Hash(), "y"); a == b || len(a) != 16 || a != RequestID(tok.Hash(), "x") {
		t.Errorf("numbers of two machines: %s, %s", a, b)
	}
}

func TestAnswersThatNobodyCouldReadAreNotMade(t *testing.T) {
	secret, tok := boxed(t)
	p, err := NewRequest(tok, newKey(t), "a", nil, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o, err := OpenRequest(secret, p.Request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Answer(Answer{Status: StatusMember, Documents: map[string][]byte{"manifest": make([]byte, MaxAnswerBytes)}}); !errors.Is(err, ErrFormat) {
		t.Errorf("an answer beyond the limit: %v", err)
	}
	lost := *o
	lost.secret = nil
	if _, err := lost.Answer(Answer{Status: StatusWaiting}); err == nil {
		t.Error("an answer was sealed without a key")
	}
	b, err := o.Answer(Answer{Status: StatusWaiting})
	if err != nil {
		t.Fatal(err)
	}
	damaged := *p
	damaged.Request = []byte("damaged on disk")
	if a, err := damaged.Open(b); !errors.Is(err, ErrFormat) {
		t.Errorf("%+v, %v", a, err)
	}
	damaged = *p
	damaged.secret = nil
	if a, err := damaged.Open(b); err == nil {
		t.Errorf("opened without a key: %+v", a)
	}
}

// What is kept of a request under way is the machine's own, on a disk that may fail.
func TestDamagedPendingRequestsAreRefused(t *testing.T) {
	_, tok := boxed(t)
	p, err := NewRequest(tok, newKey(t), "a", nil, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := DecodePending(kept); err != nil || !bytes.Equal(back.ephemeral, p.ephemeral) || back.Token != tok.Hash() {
		t.Fatalf("%+v, %v", back, err)
	}
	for name, spoil := range map[string]func(*pendingDoc){
		"another version": func(d *pendingDoc) { d.Version++ },
		"half a token":    func(d *pendingDoc) { d.Token = d.Token[:16] },
		"half a secret":   func(d *pendingDoc) { d.Secret = d.Secret[:16] },
		"half a box":      func(d *pendingDoc) { d.Box = d.Box[:16] },
		"a long request":  func(d *pendingDoc) { d.Request = make([]byte, MaxRequestBytes+1) },
	} {
		var d pendingDoc
		if err := json.Unmarshal(kept, &d); err != nil {
			t.Fatal(err)
		}
		spoil(&d)
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodePending(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
