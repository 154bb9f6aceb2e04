package enrol

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Limits of what travels.
const (
	MaxRequestBytes = 8 << 10
	maxNameBytes    = 64
	maxHardware     = 4
	maxHardwareText = 96
)

// Kind says what a request is for.
type Kind string

// The two kinds. Each has its own keys and its own signed text, so that none passes for the other.
const (
	KindJoin  Kind = "join"
	KindRenew Kind = "renew"
)

// formatVersion is that of request and answer. There is one; an unknown one is refused.
const formatVersion = 2

// requestDoc is what a relay sees.
type requestDoc struct {
	Version   int    `json:"v"`
	Kind      Kind   `json:"k"`
	Ephemeral []byte `json:"e"`
	Sealed    []byte `json:"c"`
}

// signedBody is inside the box. The signature covers the exact bytes of the body, the kind, the
// ephemeral key and the box, so that nobody gets a certificate for a key that is not his, and a seed
// that opened a request cannot carry it on to another one.
type signedBody struct {
	Body []byte `json:"b"`
	Sig  []byte `json:"g"`
}

// requestBody is what the machine says. Nothing of it but the name gets into a certificate.
type requestBody struct {
	Peer     string   `json:"p"`
	Secret   []byte   `json:"s,omitempty"` // join: of the token
	Name     string   `json:"n,omitempty"` // join
	Hardware []string `json:"h,omitempty"` // join
	Serial   uint64   `json:"q,omitempty"` // renew: of the certificate that it has, for people
	Root     int64    `json:"r,omitempty"` // renew: wants the documents that follow this version of the root
}

func toSign(kind Kind, ephemeral, box, body []byte) []byte {
	out := append([]byte("patchmesh request v2\x00"), kind...)
	out = append(append(append(out, 0), ephemeral...), box...) // both have 32 bytes
	return append(out, body...)
}

// Pending opens the answer to one request. It can be kept: the answer may come days later, or on a stick.
type Pending struct {
	Request []byte // as it travels
	Token   [32]byte

	secret, ephemeral, box []byte
}

// NewRequest makes a request to join under a name, for the node key. hardware comes from HardwareIDs;
// it may be empty.
func NewRequest(t Token, node ed25519.PrivateKey, name string, hardware []string, rand io.Reader) (*Pending, error) {
	p, err := newPending(KindJoin, t.Box, node, requestBody{Secret: t.Secret, Name: name, Hardware: hardware}, rand)
	if err == nil {
		p.Token = t.Hash()
	}
	return p, err
}

// NewRenewal makes a request for the next certificate in place of the one with that serial. With a root
// version the answer brings the trusted documents too, and the roots after that one: a machine that was
// off for long may not know the key that has signed its new certificate. Zero: none are wanted.
func NewRenewal(box []byte, node ed25519.PrivateKey, serial uint64, root int64, rand io.Reader) (*Pending, error) {
	return newPending(KindRenew, box, node, requestBody{Serial: serial, Root: root}, rand)
}

func newPending(kind Kind, box []byte, node ed25519.PrivateKey, body requestBody, rand io.Reader) (*Pending, error) {
	p := &Pending{secret: make([]byte, 32), box: box}
	_, err := io.ReadFull(rand, p.secret)
	if err == nil {
		p.ephemeral, err = BoxPublic(p.secret)
	}
	if err == nil {
		body.Peer, err = peerOf(node.Public().(ed25519.PublicKey))
	}
	if err == nil {
		err = p.sealRequest(kind, node, body)
	}
	if err != nil {
		return nil, fmt.Errorf("%s request: %w", kind, err)
	}
	return p, nil
}

func (p *Pending) sealRequest(kind Kind, node ed25519.PrivateKey, body requestBody) error {
	said, _ := json.Marshal(body) // texts and bytes can always be written
	plain, _ := json.Marshal(signedBody{Body: said, Sig: ed25519.Sign(node, toSign(kind, p.ephemeral, p.box, said))})
	a, err := agree(p.secret, p.box, p.ephemeral, p.box, purposeRequest+string(kind))
	if err != nil {
		return err
	}
	p.Request, err = json.Marshal(requestDoc{Version: formatVersion, Kind: kind, Ephemeral: p.ephemeral, Sealed: seal(a, plain)})
	if err == nil && len(p.Request) > MaxRequestBytes {
		err = fmt.Errorf("%d bytes: %w", len(p.Request), ErrFormat)
	}
	return err
}

// Opened is a request as the seed sees it. The peer has proved that it holds its key.
type Opened struct {
	Kind      Kind
	TokenHash [32]byte // join
	Peer      string
	Name      string   // join; any text of at most 64 bytes
	Hardware  []string // join
	Serial    uint64   // renew
	Root      int64    // renew: version of the root from which on documents are wanted; 0: none

	secret, ephemeral, box []byte
}

// OpenRequest opens a request with the seed's box key. ErrFormat, ErrSealed, ErrWrongPeer.
func OpenRequest(boxSecret, b []byte) (*Opened, error) {
	var doc requestDoc
	if err := decodeStrict(b, MaxRequestBytes, &doc); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if doc.Version != formatVersion || len(doc.Ephemeral) != 32 || doc.Kind != KindJoin && doc.Kind != KindRenew {
		return nil, fmt.Errorf("request of version %d: %w", doc.Version, ErrFormat)
	}
	box, err := BoxPublic(boxSecret)
	if err != nil {
		return nil, err
	}
	a, err := agree(boxSecret, doc.Ephemeral, doc.Ephemeral, box, purposeRequest+string(doc.Kind))
	if err != nil {
		return nil, err
	}
	plain, err := unseal(a, doc.Sealed)
	if err != nil {
		return nil, fmt.Errorf("%s request: %w", doc.Kind, err)
	}
	body, err := checkBody(doc, box, plain)
	if err != nil {
		return nil, fmt.Errorf("%s request: %w", doc.Kind, err)
	}
	o := &Opened{
		Kind: doc.Kind, Peer: body.Peer, Name: body.Name, Hardware: body.Hardware, Serial: body.Serial, Root: body.Root,
		secret: boxSecret, ephemeral: doc.Ephemeral, box: box,
	}
	if doc.Kind == KindJoin {
		o.TokenHash = Token{Secret: body.Secret}.Hash()
	}
	return o, nil
}

func checkBody(doc requestDoc, box, plain []byte) (requestBody, error) {
	var s signedBody
	var body requestBody
	if err := decodeStrict(plain, MaxRequestBytes, &s); err != nil {
		return body, err
	}
	if err := decodeStrict(s.Body, MaxRequestBytes, &body); err != nil {
		return body, err
	}
	pub, err := publicOf(body.Peer)
	if err != nil {
		return body, err
	}
	join := doc.Kind == KindJoin
	if body.Root < 0 || join && (len(body.Secret) != 32 || body.Serial != 0 || body.Root != 0) || !join && (len(body.Secret) > 0 || body.Name != "" || len(body.Hardware) > 0) {
		return body, ErrFormat
	}
	if len(body.Name) > maxNameBytes || len(body.Hardware) > maxHardware {
		return body, ErrFormat
	}
	kinds := map[string]bool{}
	for _, h := range body.Hardware {
		kind, id, ok := strings.Cut(h, ":")
		if !ok || kind == "" || id == "" || len(h) > maxHardwareText || kinds[kind] {
			return body, ErrFormat
		}
		kinds[kind] = true
	}
	if !ed25519.Verify(pub, toSign(doc.Kind, doc.Ephemeral, box, s.Body), s.Sig) {
		return body, ErrWrongPeer
	}
	return body, nil
}

// RequestID is what people call a request to join: 16 digits that follow from token and machine key.
// Both sides show it, so that an admin can compare before he accepts.
func RequestID(token [32]byte, peerID string) string {
	sum := sha256.Sum256(append(append([]byte("patchmesh request id v1\x00"), token[:]...), peerID...))
	return hex.EncodeToString(sum[:8])
}

// pendingDoc is a request that is under way, as it is kept.
type pendingDoc struct {
	Version int    `json:"v"`
	Token   []byte `json:"t"`
	Request []byte `json:"r"`
	Secret  []byte `json:"s"`
	Box     []byte `json:"b"`
}

// Encode writes what is needed to open the answer later. It is a secret.
func (p *Pending) Encode() ([]byte, error) {
	return json.Marshal(pendingDoc{Version: formatVersion, Token: p.Token[:], Request: p.Request, Secret: p.secret, Box: p.box})
}

// DecodePending reads what Encode wrote. ErrFormat.
func DecodePending(b []byte) (*Pending, error) {
	var d pendingDoc
	if err := decodeStrict(b, 4*MaxRequestBytes, &d); err != nil {
		return nil, fmt.Errorf("pending request: %w", err)
	}
	ephemeral, err := BoxPublic(d.Secret)
	if err != nil || d.Version != formatVersion || len(d.Token) != 32 || len(d.Box) != 32 || len(d.Request) > MaxRequestBytes {
		return nil, fmt.Errorf("pending request: %w", ErrFormat)
	}
	return &Pending{Request: d.Request, Token: [32]byte(d.Token), secret: d.Secret, ephemeral: ephemeral, box: d.Box}, nil
}

func peerOf(pub ed25519.PublicKey) (string, error) {
	var id peer.ID
	k, err := crypto.UnmarshalEd25519PublicKey(pub)
	if err == nil {
		id, err = peer.IDFromPublicKey(k)
	}
	if err != nil {
		return "", fmt.Errorf("node key: %w", err)
	}
	return id.String(), nil
}

// publicOf reads the Ed25519 key that a peer ID holds. Only the canonical text is taken: a machine with
// two names could be locked out under one and stay under the other.
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
	if again, perr := peerOf(raw); err != nil || perr != nil || again != id {
		return nil, fmt.Errorf("peer id: %w", ErrFormat)
	}
	return raw, nil
}

// Box is the key that the request is sealed to.
func (p *Pending) Box() []byte { return p.box }
