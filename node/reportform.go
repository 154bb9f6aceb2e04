package node

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// How a signed report travels. What is signed is its body, plain JSON, whatever the form: so whoever passes a report
// on may change the form for the one it gives it to, and what an older version can read is what a newer one gives it.
//
//   - the plain form is a signedReport as JSON, its body in base64;
//   - the packed form is packedMark, the signature, and the body as one zstd frame that tells its plain size. A machine
//     with thousands of updates would else have no room in one message, and its site would pay for it on the WAN.

// signedReport is a machine's own row of the fleet, signed by its node key. The key is part of the peer ID, so nobody
// can speak for another machine, relays included.
type signedReport struct {
	Body []byte `json:"body"`
	Sig  []byte `json:"sig"`
}

const (
	packedMark    = 2 // no JSON begins with it
	packedHead    = 1 + ed25519.SignatureSize
	packAbove     = 16 << 10 // of body: below it the plain form costs little, and every version reads it
	maxReportBody = content.MaxFramePlain
)

// reportForm encodes a report, packed if its body is large.
func reportForm(s signedReport) ([]byte, error) {
	if len(s.Body) <= packAbove {
		return json.Marshal(s)
	}
	if len(s.Body) > maxReportBody {
		return nil, fmt.Errorf("report of %d bytes: %w", len(s.Body), policy.ErrTooLarge)
	}
	b := append(append(make([]byte, 0, packedHead+len(s.Body)/8), packedMark), s.Sig...)
	return content.AppendFrame(b, s.Body), nil
}

// readReportForm reads either form. Nothing is verified yet.
func readReportForm(b []byte) (signedReport, error) {
	var s signedReport
	if len(b) == 0 || b[0] != packedMark {
		return s, json.Unmarshal(b, &s)
	}
	if len(b) <= packedHead {
		return s, fmt.Errorf("packed report of %d bytes: %w", len(b), policy.ErrFormat)
	}
	s.Sig = b[1:packedHead]
	body, err := content.OpenFrame(b[packedHead:])
	if err != nil {
		return s, fmt.Errorf("packed report: %w", err)
	}
	s.Body = body
	return s, nil
}

// plainForm is the form of a report that every version reads, where it has room in most bytes; else b itself.
func plainForm(b []byte, most int) []byte {
	if len(b) == 0 || b[0] != packedMark {
		return b
	}
	s, err := readReportForm(b)
	if err != nil {
		return b
	}
	if plain, err := json.Marshal(s); err == nil && len(plain) <= most {
		return plain
	}
	return b
}

// formFor is a report as a peer of that version can read it; false: it cannot.
func formFor(version int, b []byte) ([]byte, bool) {
	if version >= wire.VersionPacked {
		return b, true
	}
	b = plainForm(b, wire.MaxReportBytes)
	return b, len(b) > 0 && b[0] != packedMark
}

// Limits of what a body may hold. A few bytes of JSON make a row of hundreds, so lists are counted before they are made.
const (
	maxReportItems = 1 << 17 // in all lists together
	maxReportDepth = 16
)

// checkItems refuses a JSON text with too many items in its lists, or lists too deep in each other. Whether it is JSON at
// all is for the decoder to say.
func checkItems(b []byte) error {
	var inList [maxReportDepth]bool
	depth, items, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth == maxReportDepth {
				return fmt.Errorf("lists within lists within lists: %w", policy.ErrFormat)
			}
			if inList[depth] = c == '['; c == '[' {
				items++
			}
			depth++
		case c == ']' || c == '}':
			depth = max(depth-1, 0)
		case c == ',' && depth > 0 && inList[depth-1]:
			items++
		}
		if items > maxReportItems {
			return fmt.Errorf("more than %d items: %w", maxReportItems, policy.ErrTooLarge)
		}
	}
	return nil
}
