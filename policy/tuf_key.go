package policy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
)

// Sizes of RSA keys: the specification wants 2048 bits at least; more than 8192 only burns time.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// roleKeys says who signs a role: the keys as they stand in the delegating document, and how many
// of them it takes.
type roleKeys struct {
	keys      map[string]any
	ids       []string
	threshold int
}

// tufKey is one public key that may count: verify says whether it made a signature.
type tufKey struct {
	public string // the key itself: the same key under two ids counts once
	verify func(payload, sig []byte) bool
}

// openTUFKey reads a key object. Its id must be the one that the specification computes: SHA-256
// over the canonical form (section 4.3). Without all, only Ed25519 keys are taken.
func openTUFKey(id string, raw any, all bool) (tufKey, error) {
	object, _ := raw.(map[string]any)
	form, err := canonical(raw)
	if err != nil {
		return tufKey{}, err
	}
	if sum := sha256.Sum256(form); hex.EncodeToString(sum[:]) != id {
		return tufKey{}, fmt.Errorf("its id is not the one that belongs to it: %w", ErrWeakKey)
	}
	keyType, _ := object["keytype"].(string)
	scheme, _ := object["scheme"].(string)
	value, _ := object["keyval"].(map[string]any)
	public, _ := value["public"].(string)
	switch name := keyType + "/" + scheme; {
	case name == "ed25519/ed25519":
		return openEd25519(public)
	case !all:
		return tufKey{}, fmt.Errorf("%.60q is not Ed25519, and nothing else is wanted here: %w", name, ErrUnknownKey)
	case name == "rsa/rsassa-pss-sha256":
		return openRSA(public)
	case name == "ecdsa/ecdsa-sha2-nistp256", name == "ecdsa-sha2-nistp256/ecdsa-sha2-nistp256":
		return openECDSA(public)
	default:
		return tufKey{}, fmt.Errorf("%.60q is no kind of key that the specification names: %w", name, ErrUnknownKey)
	}
}

func openEd25519(public string) (tufKey, error) {
	if err := checkPublicHex(public); err != nil {
		return tufKey{}, err
	}
	k, _ := hex.DecodeString(public) // it is 32 bytes in hex, as was just checked
	return tufKey{public: string(k), verify: func(payload, sig []byte) bool {
		return ed25519.Verify(k, payload, sig)
	}}, nil
}

func openRSA(public string) (tufKey, error) {
	parsed, form, err := openPEM(public)
	if err != nil {
		return tufKey{}, err
	}
	k, ok := parsed.(*rsa.PublicKey)
	if !ok || k.N.BitLen() < minRSABits || k.N.BitLen() > maxRSABits {
		return tufKey{}, fmt.Errorf("not an RSA key of %d to %d bits: %w", minRSABits, maxRSABits, ErrWeakKey)
	}
	return tufKey{public: form, verify: func(payload, sig []byte) bool {
		sum := sha256.Sum256(payload)
		return rsa.VerifyPSS(k, crypto.SHA256, sum[:], sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
	}}, nil
}

func openECDSA(public string) (tufKey, error) {
	parsed, form, err := openPEM(public)
	if err != nil {
		return tufKey{}, err
	}
	k, ok := parsed.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return tufKey{}, fmt.Errorf("not a key on the curve P-256: %w", ErrWeakKey)
	}
	return tufKey{public: form, verify: func(payload, sig []byte) bool {
		sum := sha256.Sum256(payload)
		return ecdsa.VerifyASN1(k, sum[:], sig)
	}}, nil
}

// openPEM reads a public key in PEM; form is its one binary spelling.
func openPEM(text string) (key any, form string, err error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, "", fmt.Errorf("public key is not in PEM: %w", ErrFormat)
	}
	var b []byte
	if key, err = x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		b, err = x509.MarshalPKIXPublicKey(key)
	}
	if err != nil {
		return nil, "", fmt.Errorf("public key: %w: %w", ErrFormat, err)
	}
	return key, string(b), nil
}

// check counts the keys of a role that signed the payload. A key that cannot count (unknown kind,
// weak, wrong id, missing) is left out rather than an error: the others may reach the threshold.
func (r roleKeys) check(what string, payload []byte, sigs map[string][]byte, all bool) error {
	if r.threshold < 1 {
		return fmt.Errorf("%s: a threshold of %d: %w", what, r.threshold, ErrFormat)
	}
	signed := map[string]bool{}
	var unusable error
	for _, id := range r.ids {
		sig, ok := sigs[id]
		if !ok {
			continue
		}
		k, err := openTUFKey(id, r.keys[id], all)
		if err != nil {
			unusable = fmt.Errorf("; key %.16s does not count: %w", id, err)
			continue
		}
		if k.verify(payload, sig) {
			signed[k.public] = true
		}
	}
	if len(signed) >= r.threshold {
		return nil
	}
	why := ""
	if unusable != nil {
		why = unusable.Error()
	}
	return fmt.Errorf("%s: %d of %d signatures hold%s: %w", what, len(signed), r.threshold, why, ErrThreshold)
}
