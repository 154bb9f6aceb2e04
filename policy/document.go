package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Bounds of the shape of a TUF document, whoever signed it.
const (
	maxSignatures = 64
	maxNesting    = 16

	// maxVersionJump bounds how far a version may run ahead: a stolen online key must not push it to
	// the end of its range, after which no honest version could follow. maxFirstVersion is the same
	// for a machine that has seen none yet.
	maxVersionJump  = 1 << 20
	maxFirstVersion = 1 << 32
)

// parseSigned decodes one signed TUF document. What it returns holds no nil that a document could
// have planted; no signature has been checked.
func parseSigned[T metadata.Roles](what string, b []byte, limit int) (*metadata.Metadata[T], error) {
	if len(b) > limit {
		return nil, fmt.Errorf("%s of %d bytes, at most %d: %w", what, len(b), limit, ErrTooLarge)
	}
	if err := checkShape(what, b); err != nil {
		return nil, err
	}
	m, err := new(metadata.Metadata[T]).FromBytes(b)
	if err != nil {
		return nil, translate(what, err)
	}
	return m, nil
}

// checkShape refuses documents over which go-tuf would stumble before it has checked a signature:
// null in place of an object (its decoder and verifier write and read through the nil pointer),
// deep nesting, thousands of signatures (it compares them pairwise). It also refuses fields outside
// the signed part: nobody has signed them.
func checkShape(what string, b []byte) error {
	var envelope struct {
		Signed     json.RawMessage `json:"signed"`
		Signatures []struct {
			KeyID string `json:"keyid"`
			Sig   string `json:"sig"`
		} `json:"signatures"`
	}
	if err := decodeStrict(b, len(b), &envelope); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if len(envelope.Signatures) > maxSignatures {
		return fmt.Errorf("%s with %d signatures: %w", what, len(envelope.Signatures), ErrTooLarge)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	for depth := 0; ; {
		token, err := d.Token()
		switch {
		case err != nil:
			return nil // decodeStrict has read all of it: no error is left but its end
		case token == nil:
			return fmt.Errorf("%s holds a null: %w", what, ErrFormat)
		case token == json.Delim('{') || token == json.Delim('['):
			depth++
		case token == json.Delim('}') || token == json.Delim(']'):
			depth--
		}
		if depth > maxNesting {
			return fmt.Errorf("%s is nested deeper than %d: %w", what, maxNesting, ErrFormat)
		}
	}
}

// checkSpelling refuses any bytes but those that the signer wrote. A signature covers the meaning of
// a document, not its spaces: without this, whoever passes a head on could make it too long for a
// gossip packet, or make two machines believe that a seed speaks with two tongues.
func checkSpelling[T metadata.Roles](what string, m *metadata.Metadata[T], b []byte) error {
	if again, err := m.ToBytes(false); err != nil || !bytes.Equal(again, b) {
		return fmt.Errorf("%s is not spelled as it was signed: %w", what, ErrFormat)
	}
	return nil
}

// parseTimestamp decodes a head as the given root wants it: one snapshot named, and exactly as many
// signatures as are needed, since any more could be added, changed and dropped on the way.
func parseTimestamp(root *metadata.Metadata[metadata.RootType], b []byte) (*metadata.Metadata[metadata.TimestampType], error) {
	m, err := parseSigned[metadata.TimestampType]("timestamp", b, MaxTimestampBytes)
	if err != nil {
		return nil, err
	}
	if err := checkSpelling("timestamp", m, b); err != nil {
		return nil, err
	}
	if snap := m.Signed.Meta[snapshotFile]; snap == nil || len(m.Signed.Meta) != 1 || snap.Version < 1 {
		return nil, fmt.Errorf("timestamp does not name one snapshot: %w", ErrFormat)
	}
	if need := root.Signed.Roles[metadata.TIMESTAMP].Threshold; len(m.Signatures) > need {
		return nil, fmt.Errorf("timestamp with %d signatures where %d are needed: %w", len(m.Signatures), need, ErrFormat)
	}
	return m, nil
}

// checkJump refuses a version that runs away from the one that is trusted; have is 0 if none is.
func checkJump(what string, have, got int64) error {
	limit := have + maxVersionJump
	if have == 0 {
		limit = maxFirstVersion
	}
	if got < 1 || got > limit {
		return fmt.Errorf("%s version %d runs far ahead of %d: %w", what, got, have, ErrFormat)
	}
	return nil
}

// translate makes go-tuf's errors ours.
func translate(what string, err error) error {
	var bad *metadata.ErrBadVersionNumber
	var unsigned *metadata.ErrUnsignedMetadata
	var hash *metadata.ErrLengthOrHashMismatch
	var expired *metadata.ErrExpiredMetadata
	kind := ErrFormat
	switch {
	case errors.As(err, &unsigned):
		kind = ErrThreshold
	case errors.As(err, &bad):
		kind = ErrRollback
	case errors.As(err, &hash):
		kind = ErrHash
	case errors.As(err, &expired):
		kind = ErrExpired
	}
	return fmt.Errorf("%s: %w: %w", what, kind, err)
}

// blame tells a stranger's signature from a broken one of a key that counts.
func blame(trusted []string, sigs []metadata.Signature) error {
	for _, s := range sigs {
		if slices.Contains(trusted, s.KeyID) {
			return ErrBadSignature
		}
	}
	return ErrUnknownKey
}
