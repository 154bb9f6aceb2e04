package enrol

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"patchmesh/content"
)

// Token is what a machine needs in order to join. It is a secret. Only its hash, how often it may be used,
// and by whom, is kept by the seed.
type Token struct {
	Secret     []byte     `json:"s"` // 32 bytes
	SeedPeer   string     `json:"p"`
	Box        []byte     `json:"b"` // X25519 public key of the seed, 32 bytes
	RootDigest content.ID `json:"r"` // of the first root document
	Addrs      []string   `json:"a"` // ip:port of the seed; may be empty
	Site       string     `json:"t"` // for people
}

const (
	tokenPrefix = "pmj1-"
	maxToken    = 4096
	checkBytes  = 4
)

// Hash is what the seed stores instead of the secret.
func (t Token) Hash() [32]byte {
	return sha256.Sum256(append([]byte("patchmesh token v1\x00"), t.Secret...))
}

// Encode writes the token as one word.
func (t Token) Encode() (string, error) {
	if err := t.check(); err != nil {
		return "", err
	}
	b, _ := json.Marshal(t) // texts and bytes can always be written
	sum := sha256.Sum256(b)
	s := tokenPrefix + base64.RawURLEncoding.EncodeToString(append(b, sum[:checkBytes]...))
	if len(s) > maxToken {
		return "", fmt.Errorf("token of %d characters: %w", len(s), ErrFormat)
	}
	return s, nil
}

func (t Token) check() error {
	if len(t.Secret) != 32 || len(t.Box) != 32 || t.SeedPeer == "" || len(t.SeedPeer) > 128 || t.RootDigest.IsZero() || len(t.Addrs) > 16 || len(t.Site) > 64 {
		return fmt.Errorf("token: %w", ErrFormat)
	}
	return nil
}

// ParseToken reads a token. ErrTypo if it was cut or mistyped, ErrFormat if it is none.
func ParseToken(s string) (Token, error) {
	var t Token
	s = strings.TrimSpace(s)
	if len(s) > maxToken || !strings.HasPrefix(s, tokenPrefix) {
		return t, fmt.Errorf("a token begins with %s: %w", tokenPrefix, ErrFormat)
	}
	b, err := base64.RawURLEncoding.DecodeString(s[len(tokenPrefix):])
	if err != nil || len(b) <= checkBytes {
		return t, ErrTypo
	}
	body, check := b[:len(b)-checkBytes], b[len(b)-checkBytes:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:checkBytes], check) {
		return t, ErrTypo
	}
	if err := decodeStrict(body, maxToken, &t); err != nil {
		return t, fmt.Errorf("token: %w", err)
	}
	return t, t.check()
}

// decodeStrict reads one JSON document of at most limit bytes.
func decodeStrict(b []byte, limit int, into any) error {
	if len(b) > limit {
		return fmt.Errorf("%d bytes, at most %d: %w", len(b), limit, ErrFormat)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.Join(ErrFormat, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return ErrFormat
	}
	return nil
}
