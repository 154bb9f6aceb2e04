package wire

import "patchmesh/swarm/orch"

const (
	maxCardBytes = orch.MaxCardBytes + orch.SigBytes
	maxCardBody  = maxVarint + maxCardBytes
)

// Card is a card of an orchestration with the signature of its member behind it. Whoever sends it may be another one.
type Card struct{ Signed []byte }

// Kind is KindCard.
func (Card) Kind() Kind { return KindCard }

func (m Card) check() error {
	var c checks
	c.that(len(m.Signed) > orch.SigBytes, "signed card")
	c.size("signed card", len(m.Signed), maxCardBytes)
	return c.err
}

func (m Card) appendBody(dst []byte) []byte { return appendBytes(dst, m.Signed) }

func decodeCard(d *decoder) Message {
	m := Card{Signed: d.bytes(maxCardBytes, "signed card")}
	if len(m.Signed) <= orch.SigBytes {
		d.fail("signed card", ErrFormat)
	}
	return m
}
