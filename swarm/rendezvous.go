package swarm

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// weight is the rendezvous weight of a peer for a key: every machine computes the same order of
// peers from it without talking (Thaler and Ravishankar 1996). n tells apart the chunks of one key.
// The finalizer of SplitMix64 (Steele, Lea, Flood 2014) spreads inputs that differ in few bits.
func weight(key []byte, n int, id PeerID) uint64 {
	var buf [8]byte
	binary.LittleEndian.PutUint64(buf[:], uint64(n))
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(key)
	_, _ = d.Write(buf[:])
	_, _ = d.WriteString(string(id))
	z := d.Sum64()
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// baseWeight is the part of chunkWeight that does not depend on the chunk. It is never zero.
func baseWeight(key []byte, id PeerID) uint64 { return weight(key, 2, id) | 1 }

// chunkWeight orders those that want a payload for each of its chunks, the greater first. It is weight in two
// steps, because the second one runs for every chunk and neighbour again and again.
func chunkWeight(base uint64, i int) uint64 {
	z := base + uint64(i+1)*0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// before orders two peers for a key: the greater weight comes first, the id breaks ties.
func before(wa uint64, a PeerID, wb uint64, b PeerID) bool {
	if wa != wb {
		return wa > wb
	}
	return a < b
}
