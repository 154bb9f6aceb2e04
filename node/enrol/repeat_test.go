package enrol

import (
	"bytes"
	"crypto/rand"
	"testing"
)

// A relay that hands the same request to the seed twice gets two answers, and they differ: serial and
// time do. Sealed with one key and nonce, they would give away the key stream, and with it the gossip
// key, to anybody who knows one of the two texts; most of an answer is public.
func TestAnswersToARepeatedRequestShareNoKeyStream(t *testing.T) {
	tok, box := newToken(t)
	pending, err := NewRequest(tok, newKey(t), "till-3", nil, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var sealed [2][]byte
	for i := range sealed {
		o, err := OpenRequest(box, pending.Request)
		if err != nil {
			t.Fatal(err)
		}
		a := Answer{Status: StatusMember, Org: "acme", Cert: bytes.Repeat([]byte{byte(i)}, 200), GossipKey: bytes.Repeat([]byte("k"), 32)}
		if sealed[i], err = o.Answer(a); err != nil {
			t.Fatal(err)
		}
		if got, err := pending.Open(sealed[i]); err != nil || !bytes.Equal(got.Cert, a.Cert) {
			t.Fatalf("answer %d: %v", i, err)
		}
	}
	// Most of the two texts is the same; the sealed bytes must not be.
	same := 0
	for i, b := range sealed[0] {
		if b == sealed[1][i] {
			same++
		}
	}
	if same > len(sealed[0])/16 {
		t.Errorf("%d of %d sealed bytes are the same in both answers", same, len(sealed[0]))
	}
	for n := range 40 { // a cut answer is refused, at any length
		if _, err := pending.Open(sealed[0][:n]); err == nil {
			t.Errorf("an answer cut to %d bytes opened", n)
		}
	}
}
