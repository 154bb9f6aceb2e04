package content

import (
	"bytes"
	"errors"
	"fmt"
	"hash"

	"github.com/ipfs/go-cid"
	sha256 "github.com/minio/sha256-simd"
	"github.com/multiformats/go-multihash"
)

// ID names bytes by their SHA-256. Its text is a CIDv1 (raw codec, sha2-256, base32). The zero ID
// names nothing. IDs are comparable and may be map keys.
type ID struct{ sum [32]byte }

// maxIDText bounds the text of an ID before it is parsed; a well-formed one has 59 bytes.
const maxIDText = 128

// Sum is the ID of b.
func Sum(b []byte) ID { return ID{sha256.Sum256(b)} }

// NewHash is the hash behind IDs, for streams.
func NewHash() hash.Hash { return sha256.New() }

// FromSHA256 makes an ID from a digest.
func FromSHA256(sum [32]byte) ID { return ID{sum} }

// SHA256 is the digest.
func (id ID) SHA256() [32]byte { return id.sum }

// IsZero says whether the ID names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders IDs by digest.
func (id ID) Compare(o ID) int { return bytes.Compare(id.sum[:], o.sum[:]) }

// String is the CID text; empty for the zero ID.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	mh, err := multihash.Encode(id.sum[:], multihash.SHA2_256)
	if err != nil {
		panic(err) // 32 bytes of a known code: cannot happen
	}
	return cid.NewCidV1(cid.Raw, mh).String()
}

// Short is the end of the text, enough for logs.
func (id ID) Short() string {
	s := id.String()
	return s[max(0, len(s)-8):]
}

// MarshalText writes the CID text.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads CID text; empty text is the zero ID.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	got, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = got
	return nil
}

// ParseID reads CID text. It refuses any CID but version 1, raw, sha2-256 of 32 bytes, in its one
// canonical text: two texts for one name would be two names for people.
func ParseID(s string) (ID, error) {
	if len(s) > maxIDText {
		return ID{}, fmt.Errorf("content id of %d characters: %w", len(s), ErrFormat)
	}
	c, err := cid.Decode(s)
	if err != nil {
		return ID{}, fmt.Errorf("content id %q: %w", s, errors.Join(ErrFormat, err))
	}
	p := c.Prefix()
	if p.Version != 1 || p.Codec != cid.Raw || p.MhType != multihash.SHA2_256 || p.MhLength != 32 {
		return ID{}, fmt.Errorf("content id %q is not CIDv1 raw sha2-256: %w", s, ErrFormat)
	}
	dec, err := multihash.Decode(c.Hash())
	if err != nil {
		return ID{}, fmt.Errorf("content id %q: %w", s, errors.Join(ErrFormat, err))
	}
	id := ID{[32]byte(dec.Digest)}
	if id.IsZero() || id.String() != s {
		return ID{}, fmt.Errorf("content id %q is not in canonical form: %w", s, ErrFormat)
	}
	return id, nil
}
