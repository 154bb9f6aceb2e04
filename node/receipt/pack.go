package receipt

import (
	"encoding/json"
	"fmt"
)

// Pack is how records travel, many at a time. It is not signed: each record is.
type Pack struct {
	// Next is where the giver's list goes on: who asks again says it.
	Next    int64    `json:"next,omitempty"`
	Records [][]byte `json:"records"`
}

// Limits of a pack.
const (
	MaxPackBytes   = 2 << 20
	MaxPackRecords = 4096
)

// Encode writes a pack.
func (p Pack) Encode() ([]byte, error) {
	if p.Records == nil {
		p.Records = [][]byte{}
	}
	b, err := json.Marshal(p)
	if err == nil && (len(b) > MaxPackBytes || len(p.Records) > MaxPackRecords) {
		err = fmt.Errorf("%d bytes: %w", len(b), ErrFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("encode receipts: %w", err)
	}
	return b, nil
}

// Room is how many bytes a record takes in a pack.
func Room(record []byte) int { return (len(record)+2)/3*4 + 3 }

// DecodePack reads one from outside. Its records are not checked yet: that is Open. ErrFormat.
func DecodePack(b []byte) (*Pack, error) {
	if len(b) > MaxPackBytes {
		return nil, fmt.Errorf("receipts of %d bytes: %w", len(b), ErrFormat)
	}
	p := &Pack{}
	if err := decode(b, p); err != nil {
		return nil, err
	}
	if len(p.Records) > MaxPackRecords || p.Next < 0 {
		return nil, fmt.Errorf("%d receipts at once: %w", len(p.Records), ErrFormat)
	}
	return p, nil
}
