package wire

import "fmt"

// MaxRumourBytes bounds a rumour: with memberlist's headers, label and encryption it must fit one
// packet of 1,400 bytes, and a larger one would never be sent and never reported.
const MaxRumourBytes = 1200

// MaxSiteBytes bounds the name of a site.
const MaxSiteBytes = 64

const rumourVersion = 1

// Rumour is the only thing gossip spreads: a site and its signed TUF timestamp.
type Rumour struct {
	Site      string
	Timestamp []byte
}

// EncodeRumour gives the bytes of r; ErrTooLarge if they would not fit a packet.
func EncodeRumour(r Rumour) ([]byte, error) {
	var c checks
	c.text("site", r.Site, MaxSiteBytes)
	c.that(len(r.Timestamp) > 0, "no timestamp")
	if c.err != nil {
		return nil, fmt.Errorf("rumour: %w", c.err)
	}
	b := appendBytes(appendText([]byte{rumourVersion}, r.Site), r.Timestamp)
	if len(b) > MaxRumourBytes {
		return nil, fmt.Errorf("rumour of %d bytes, at most %d: %w", len(b), MaxRumourBytes, ErrTooLarge)
	}
	return b, nil
}

// DecodeRumour reads a rumour.
func DecodeRumour(b []byte) (Rumour, error) {
	if len(b) > MaxRumourBytes {
		return Rumour{}, fmt.Errorf("rumour of %d bytes: %w", len(b), ErrTooLarge)
	}
	if len(b) == 0 || b[0] != rumourVersion {
		return Rumour{}, fmt.Errorf("rumour version: %w", ErrFormat)
	}
	d := decoder{b: b[1:]}
	r := Rumour{Site: d.text(MaxSiteBytes, "site"), Timestamp: d.bytes(MaxRumourBytes, "timestamp")}
	if err := d.end(); err != nil {
		return Rumour{}, fmt.Errorf("rumour: %w", err)
	}
	if len(r.Timestamp) == 0 {
		return Rumour{}, fmt.Errorf("rumour without timestamp: %w", ErrFormat)
	}
	return r, nil
}
