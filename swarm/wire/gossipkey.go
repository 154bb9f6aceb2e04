package wire

import (
	"encoding/binary"
	"math"
)

// GossipKeyBytes is the size of a gossip key.
const GossipKeyBytes = 32

const maxVarint = binary.MaxVarintLen64

// GossipKeyAsk asks a member for the gossip key of the sender's site in an epoch that the roster
// names. A member without it stays silent.
type GossipKeyAsk struct{ Epoch uint64 }

// Kind is KindGossipKeyAsk.
func (GossipKeyAsk) Kind() Kind { return KindGossipKeyAsk }

func (g GossipKeyAsk) check() error {
	var c checks
	c.that(g.Epoch > 0, "gossip epoch")
	return c.err
}

func (g GossipKeyAsk) appendBody(dst []byte) []byte { return binary.AppendUvarint(dst, g.Epoch) }

func decodeGossipKeyAsk(d *decoder) Message { return GossipKeyAsk{Epoch: d.epoch()} }

// GossipKey is the answer: a key that the receiver measures against what the roster states of it.
type GossipKey struct {
	Epoch uint64
	Key   [GossipKeyBytes]byte
}

// Kind is KindGossipKey.
func (GossipKey) Kind() Kind { return KindGossipKey }

func (g GossipKey) check() error { return GossipKeyAsk{g.Epoch}.check() }

func (g GossipKey) appendBody(dst []byte) []byte {
	return append(binary.AppendUvarint(dst, g.Epoch), g.Key[:]...)
}

func decodeGossipKey(d *decoder) Message {
	g := GossipKey{Epoch: d.epoch()}
	copy(g.Key[:], d.take(GossipKeyBytes, "gossip key"))
	return g
}

func (d *decoder) epoch() uint64 {
	v := d.uvarint(math.MaxUint64, "gossip epoch")
	if v == 0 {
		d.fail("gossip epoch of zero", ErrFormat)
	}
	return v
}

// String keeps the key out of logs.
func (g GossipKey) String() string { return "gossip key" }
