package enrol

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
)

// MaxAnswerBytes bounds a sealed answer: what the stream for it carries.
const (
	MaxAnswerBytes = 8 << 20
	saltBytes      = 32 // in front of an answer
	maxReasonText  = 512
)

// Status is what the seed says to a request.
type Status string

// The three answers. A refusal is sealed too: a relay that says no in the seed's name is not believed.
const (
	StatusMember  Status = "member"
	StatusWaiting Status = "waiting" // for an admin; ask again with the same request
	StatusRefused Status = "refused"
)

// Code says why a request was refused, for the program; Reason says it for people.
type Code string

// The codes of refusals.
const (
	CodeUnknown  Code = "unknown"  // no such token, or no such member
	CodeExpired  Code = "expired"  // the token
	CodeSpent    Code = "spent"    // the token
	CodeName     Code = "name"     // the name is not for this token, or no name at all
	CodeRejected Code = "rejected" // by an admin
	CodeRevoked  Code = "revoked"
	CodeReplaced Code = "replaced" // the machine was set up anew under another key
	CodeLapsed   Code = "lapsed"   // the certificate ended too long ago
	CodeBusy     Code = "busy"     // ask again later
)

// Answer is what the seed gives. Only Status is always set.
type Answer struct {
	Version   int               `json:"v"`
	Status    Status            `json:"status"`
	Code      Code              `json:"code,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	RequestID string            `json:"request,omitempty"` // waiting
	Org       string            `json:"org,omitempty"`
	Site      string            `json:"site,omitempty"`
	Name      string            `json:"name,omitempty"`
	Groups    []string          `json:"groups,omitempty"`
	Cert      []byte            `json:"cert,omitempty"`
	GossipKey []byte            `json:"gossip_key,omitempty"`
	Documents map[string][]byte `json:"documents,omitempty"` // trusted documents by role
}

// Answer seals the answer for the machine that asked.
func (o *Opened) Answer(a Answer) ([]byte, error) {
	a.Version = formatVersion
	plain, _ := json.Marshal(a) // texts and bytes can always be written
	// A request may be answered twice: a relay can repeat it, a machine may ask again after a lost
	// answer. Fresh salt gives each answer a key of its own, so the fixed nonce seals one text only.
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // it ends the program rather than to give anything but random bytes
	aead, err := agree(o.secret, o.ephemeral, o.ephemeral, o.box, purposeAnswer+string(o.Kind)+string(salt))
	if err != nil {
		return nil, err
	}
	b := append(salt, seal(aead, plain)...)
	if len(b) > MaxAnswerBytes {
		return nil, fmt.Errorf("answer of %d bytes: %w", len(b), ErrFormat)
	}
	return b, nil
}

// Open opens the answer. That it opens shows that the seed has made it, for this very request. ErrFormat,
// ErrSealed.
func (p *Pending) Open(b []byte) (*Answer, error) {
	if len(b) < saltBytes || len(b) > MaxAnswerBytes {
		return nil, fmt.Errorf("answer of %d bytes: %w", len(b), ErrFormat)
	}
	var doc requestDoc
	if err := decodeStrict(p.Request, MaxRequestBytes, &doc); err != nil {
		return nil, fmt.Errorf("pending request: %w", err)
	}
	aead, err := agree(p.secret, p.box, p.ephemeral, p.box, purposeAnswer+string(doc.Kind)+string(b[:saltBytes]))
	if err != nil {
		return nil, err
	}
	plain, err := unseal(aead, b[saltBytes:])
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	var a Answer
	if err := decodeStrict(plain, MaxAnswerBytes, &a); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	switch {
	case a.Version != formatVersion || len(a.Reason) > maxReasonText || len(a.RequestID) > maxNameBytes:
		return nil, fmt.Errorf("answer of version %d: %w", a.Version, ErrFormat)
	case a.Status != StatusMember && a.Status != StatusWaiting && a.Status != StatusRefused:
		return nil, fmt.Errorf("answer %.20q: %w", a.Status, ErrFormat)
	}
	return &a, nil
}
