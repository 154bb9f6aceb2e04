package gossip

import (
	"bytes"
	"fmt"
	"slices"
)

// SetKeys seals with use from now on, opens with it and with also, and with nothing else. New keys
// are added before one is used and old ones removed last, so that at no moment a packet of a member
// that is a step ahead or behind is lost. Calling it again with the same keys does nothing.
func (g *Gossip) SetKeys(use []byte, also ...[]byte) error {
	g.ringMu.Lock()
	defer g.ringMu.Unlock()
	want := append([][]byte{use}, also...)
	for _, k := range want {
		if len(k) != 32 {
			return fmt.Errorf("gossip key of %d bytes, want 32", len(k))
		}
	}
	old := g.ring.GetKeys()
	both := append(slices.Clone(want), old...)
	if err := g.trans.gate.sieve.setKeys(compact(both)); err != nil {
		return err
	}
	for _, k := range want {
		if err := g.ring.AddKey(k); err != nil { // known ones are left alone
			return fmt.Errorf("add gossip key: %w", err)
		}
	}
	if err := g.ring.UseKey(use); err != nil {
		return fmt.Errorf("use gossip key: %w", err)
	}
	for _, k := range old {
		if slices.ContainsFunc(want, func(w []byte) bool { return bytes.Equal(w, k) }) {
			continue
		}
		if err := g.ring.RemoveKey(k); err != nil {
			return fmt.Errorf("remove gossip key: %w", err)
		}
	}
	return g.trans.gate.sieve.setKeys(compact(want))
}

// compact drops keys that stand there twice; there is a handful.
func compact(keys [][]byte) [][]byte {
	var out [][]byte
	for _, k := range keys {
		if !slices.ContainsFunc(out, func(o []byte) bool { return bytes.Equal(o, k) }) {
			out = append(out, k)
		}
	}
	return out
}
