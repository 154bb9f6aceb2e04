package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// decodeExact reads one of our own documents. Only the bytes that encode the same value again are
// taken: a field named twice, or in capitals, could show one thing to an approver and mean another.
func decodeExact(b []byte, limit int, into any) error {
	if err := decodeStrict(b, limit, into); err != nil {
		return err
	}
	if again, err := json.Marshal(into); err != nil || !bytes.Equal(again, b) {
		return fmt.Errorf("not in the one form that it is written in: %w", ErrFormat)
	}
	return nil
}

// encodeAtMost writes one of our own documents. ErrTooLarge if others would refuse it.
func encodeAtMost(what string, doc any, limit int) ([]byte, error) {
	b, err := json.Marshal(doc)
	if err == nil && len(b) > limit {
		err = fmt.Errorf("%d bytes, at most %d: %w", len(b), limit, ErrTooLarge)
	}
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	return b, nil
}

// decodeStrict reads one JSON document of at most limit bytes: no unknown field, nothing behind it.
func decodeStrict(b []byte, limit int, into any) error {
	if len(b) > limit {
		return fmt.Errorf("%d bytes, at most %d: %w", len(b), limit, ErrTooLarge)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.Join(ErrFormat, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("data after the document: %w", ErrFormat)
	}
	return nil
}
