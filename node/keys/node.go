package keys

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	nodeFile      = "node.key"
	maxPeerIDText = 128 // an ed25519 peer id has 52
)

// LoadOrCreateNode reads the identity of this machine from dir, or makes one with 32 bytes of rand.
// ErrExposed, ErrFormat.
func LoadOrCreateNode(dir string, rand io.Reader) (ed25519.PrivateKey, error) {
	if err := prepareFolder(dir); err != nil {
		return nil, err
	}
	key, err := LoadNode(dir)
	if !errors.Is(err, ErrNotFound) {
		return key, err
	}
	if key, err = generate(rand); err != nil {
		return nil, err
	}
	text, err := encodePrivate(key)
	if err != nil {
		return nil, fmt.Errorf("encode node key: %w", err)
	}
	if err := writeNew(filepath.Join(dir, nodeFile), text, 0o600); err != nil {
		if errors.Is(err, ErrExists) {
			return LoadNode(dir) // another process made it meanwhile
		}
		return nil, err
	}
	return key, nil
}

// LoadNode reads the identity of this machine. ErrNotFound, ErrExposed, ErrFormat.
func LoadNode(dir string) (ed25519.PrivateKey, error) {
	path := filepath.Join(dir, nodeFile)
	b, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	key, err := parsePrivate(b)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	return key, nil
}

func generate(rand io.Reader) (ed25519.PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// PeerID is the libp2p peer ID of a public key in its text form. ErrFormat for a key of wrong size.
func PeerID(pub ed25519.PublicKey) (string, error) {
	key, err := crypto.UnmarshalEd25519PublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("peer id: %w: %w", ErrFormat, err)
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("peer id: %w: %w", ErrFormat, err)
	}
	return id.String(), nil
}

// PublicKey is the key inside a peer ID, the inverse of PeerID. Only the canonical text of an Ed25519
// peer ID is taken: one machine must not have two names. ErrFormat.
func PublicKey(peerID string) (ed25519.PublicKey, error) {
	if len(peerID) > maxPeerIDText {
		return nil, fmt.Errorf("peer id of %d characters: %w", len(peerID), ErrFormat)
	}
	id, err := peer.Decode(peerID)
	if err != nil {
		return nil, fmt.Errorf("peer id %q: %w", peerID, ErrFormat)
	}
	key, err := id.ExtractPublicKey()
	if err != nil || key.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("peer id %q holds no ed25519 key: %w", peerID, ErrFormat)
	}
	pub, err := key.Raw()
	if err != nil {
		return nil, fmt.Errorf("peer id %q: %w: %w", peerID, ErrFormat, err)
	}
	if again, err := PeerID(pub); err != nil || again != peerID {
		return nil, fmt.Errorf("peer id %q is not in canonical form: %w", peerID, ErrFormat)
	}
	return pub, CheckPublic(pub)
}
