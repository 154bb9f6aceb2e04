package enrol

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Limits of what travels.
const (
	MaxRequestBytes = 8 << 10
	MaxAnswerBytes  = 1 << 20
	saltBytes       = 32 // in front of an answer
)

// requestDoc is what a relay sees.
type requestDoc struct {
	Version   int    `json:"v"`
	Ephemeral []byte `json:"e"`
	Sealed    []byte `json:"c"`
}

// requestBody is inside the box. Sig is over everything else in it and the ephemeral key, so that
// nobody can have a certificate issued for a key that is not his.
type requestBody struct {
	Secret []byte `json:"s"`
	Peer   string `json:"p"`
	Name   string `json:"n"`
	Sig    []byte `json:"g"`
}

const requestDomain = "patchmesh join v1\x00"

func (b requestBody) signed(ephemeral []byte) []byte {
	out := append([]byte(requestDomain), ephemeral...)
	out = append(out, b.Secret...)
	return append(append(append(out, b.Peer...), 0), b.Name...)
}

// Pending opens the answer to one request.
type Pending struct {
	secret, ephemeral, box []byte
}

// NewRequest makes a request to join under a name, for the node key.
func NewRequest(t Token, node ed25519.PrivateKey, name string, rand io.Reader) ([]byte, *Pending, error) {
	eph, err := ecdh.X25519().GenerateKey(rand)
	if err != nil {
		return nil, nil, fmt.Errorf("join request: %w", err)
	}
	p := &Pending{secret: eph.Bytes(), ephemeral: eph.PublicKey().Bytes(), box: t.Box}
	id, err := peerOf(node.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, nil, err
	}
	body := requestBody{Secret: t.Secret, Peer: id, Name: name}
	body.Sig = ed25519.Sign(node, body.signed(p.ephemeral))
	plain, err := json.Marshal(body)
	if err != nil {
		return nil, nil, fmt.Errorf("join request: %w", err)
	}
	a, err := agree(p.secret, t.Box, p.ephemeral, t.Box, purposeRequest)
	if err != nil {
		return nil, nil, err
	}
	b, err := json.Marshal(requestDoc{Version: 1, Ephemeral: p.ephemeral, Sealed: seal(a, plain)})
	if err != nil {
		return nil, nil, fmt.Errorf("join request: %w", err)
	}
	return b, p, nil
}

// Opened is a request as the seed sees it. The peer has proved that it holds its key.
type Opened struct {
	TokenHash [32]byte
	Peer      string
	Name      string

	secret, ephemeral, box []byte
}

// OpenRequest opens a request with the seed's box key.
func OpenRequest(boxSecret, b []byte) (*Opened, error) {
	var doc requestDoc
	if err := decodeStrict(b, MaxRequestBytes, &doc); err != nil {
		return nil, fmt.Errorf("join request: %w", err)
	}
	if doc.Version != 1 || len(doc.Ephemeral) != 32 {
		return nil, fmt.Errorf("join request: %w", ErrFormat)
	}
	box, err := BoxPublic(boxSecret)
	if err != nil {
		return nil, err
	}
	a, err := agree(boxSecret, doc.Ephemeral, doc.Ephemeral, box, purposeRequest)
	if err != nil {
		return nil, err
	}
	plain, err := unseal(a, doc.Sealed)
	if err != nil {
		return nil, fmt.Errorf("join request: %w", err)
	}
	var body requestBody
	if err := decodeStrict(plain, MaxRequestBytes, &body); err != nil {
		return nil, fmt.Errorf("join request: %w", err)
	}
	pub, err := publicOf(body.Peer)
	if err != nil || len(body.Secret) != 32 || len(body.Name) > 64 {
		return nil, fmt.Errorf("join request: %w", ErrFormat)
	}
	if !ed25519.Verify(pub, body.signed(doc.Ephemeral), body.Sig) {
		return nil, fmt.Errorf("join request: %w", ErrWrongPeer)
	}
	return &Opened{
		TokenHash: Token{Secret: body.Secret}.Hash(), Peer: body.Peer, Name: body.Name,
		secret: boxSecret, ephemeral: doc.Ephemeral, box: box,
	}, nil
}

// Answer is what a new member gets.
type Answer struct {
	Org       string            `json:"org"`
	Site      string            `json:"site"`
	Name      string            `json:"name"`
	Groups    []string          `json:"groups"`
	Cert      []byte            `json:"cert"`
	GossipKey []byte            `json:"gossip_key"`
	Documents map[string][]byte `json:"documents"` // trusted documents by role
}

// Answer seals the answer for the machine that asked.
func (o *Opened) Answer(a Answer) ([]byte, error) {
	plain, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("join answer: %w", err)
	}
	// A request may be answered twice: a relay can repeat it, a machine may ask again after a lost
	// answer. Fresh salt gives each answer a key of its own, so the fixed nonce seals one text only.
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return nil, fmt.Errorf("join answer: %w", err)
	}
	aead, err := agree(o.secret, o.ephemeral, o.ephemeral, o.box, purposeAnswer+string(salt))
	if err != nil {
		return nil, err
	}
	b := append(salt, seal(aead, plain)...)
	if len(b) > MaxAnswerBytes {
		return nil, fmt.Errorf("join answer of %d bytes: %w", len(b), ErrFormat)
	}
	return b, nil
}

// Open opens the answer. That it opens shows that the seed of the token has made it.
func (p *Pending) Open(b []byte) (*Answer, error) {
	if len(b) < saltBytes || len(b) > MaxAnswerBytes {
		return nil, fmt.Errorf("join answer of %d bytes: %w", len(b), ErrFormat)
	}
	aead, err := agree(p.secret, p.box, p.ephemeral, p.box, purposeAnswer+string(b[:saltBytes]))
	if err != nil {
		return nil, err
	}
	plain, err := unseal(aead, b[saltBytes:])
	if err != nil {
		return nil, fmt.Errorf("join answer: %w", err)
	}
	var a Answer
	if err := decodeStrict(plain, MaxAnswerBytes, &a); err != nil {
		return nil, fmt.Errorf("join answer: %w", err)
	}
	return &a, nil
}

func peerOf(pub ed25519.PublicKey) (string, error) {
	k, err := crypto.UnmarshalEd25519PublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("node key: %w", err)
	}
	id, err := peer.IDFromPublicKey(k)
	if err != nil {
		return "", fmt.Errorf("node key: %w", err)
	}
	return id.String(), nil
}

// publicOf reads the Ed25519 key that a peer ID holds.
func publicOf(id string) (ed25519.PublicKey, error) {
	if len(id) > 128 {
		return nil, ErrFormat
	}
	p, err := peer.Decode(id)
	if err != nil {
		return nil, fmt.Errorf("peer id: %w", ErrFormat)
	}
	k, err := p.ExtractPublicKey()
	if err != nil || k.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("peer id: %w", ErrFormat)
	}
	raw, err := k.Raw()
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("peer id: %w", ErrFormat)
	}
	return raw, nil
}
