package sim

import "time"

// The bytes of a run, counted from single chunks: what a driver or a report says in sum is compared with it.

// chunkSet is which chunks of an update there are. The zero value is none.
type chunkSet struct {
	bits []uint64
	n    int64
}

// put adds a chunk; false if it was there.
func (s *chunkSet) put(i int64) bool {
	for int(i/64) >= len(s.bits) {
		s.bits = append(s.bits, 0)
	}
	if s.bits[i/64]&(1<<(i%64)) != 0 {
		return false
	}
	s.bits[i/64] |= 1 << (i % 64)
	s.n++
	return true
}

// chunksOf finds the set of an update, or makes it.
func chunksOf(sets map[string]*chunkSet, u string) *chunkSet {
	if sets[u] == nil {
		sets[u] = &chunkSet{}
	}
	return sets[u]
}

// maxChunksNamed bounds what a trace can make the checker keep for one update.
const maxChunksNamed = 1 << 22

// gotChunk counts a chunk that a machine has stored: in its own store, and in what its site got across the WAN.
func (c *Checker) gotChunk(m *checked, u *checkedUpdate, name, tier string, i, bytes int64) {
	if i < 0 || i >= min(u.chunks, maxChunksNamed) {
		return
	}
	chunksOf(m.chunks, name).put(i)
	s := c.sites[m.site]
	if tier != "wan" || s == nil {
		return
	}
	s.across += bytes
	if chunksOf(s.chunks, name).put(i) {
		s.distinct += bytes
	}
}

// complete is a fault if a machine calls whole what it has never had all chunks of, whatever its driver says.
func (c *Checker) complete(m *checked, name string) {
	u := c.updates[name]
	if u == nil || u.chunks > maxChunksNamed {
		return
	}
	if n := chunksOf(m.chunks, name).n; n < u.chunks {
		c.fault(m.id, "wrong-byte", "begins to install %s, of which it has stored %d of %d chunks", name, n, u.chunks)
	}
}

// leaseAfter is how long chunks may still come across the WAN after the last machine of a site gave the lease up: what
// it had asked for, on a slow line, and what a cut held back.
const leaseAfter = int64(2 * time.Minute)

// wanLine counts what crosses a site's line. It does so for somebody who holds the lease, and is one of the chunks that
// somebody stores: finishBytes compares.
func (c *Checker) wanLine(f fact) {
	s := c.sites[f.str("site")]
	if s == nil {
		c.fault("", "trace", "bytes across the WAN to a site that nobody has introduced")
		return
	}
	u := f.str("u")
	if c.updates[u] == nil {
		c.fault("", "trace", "bytes of an update that nobody has introduced")
		return
	}
	s.wan[u] += f.num("bytes")
	if at, freed := s.freed[u]; s.held[u] == 0 && (!freed || c.now-at > leaseAfter) {
		c.fault("", "lease", "%s crosses the WAN to %s, where nobody holds its lease", u, f.str("site"))
	}
}

// finishBytes compares what crossed a site's line with the chunks that came across it: more of them than bytes that
// crossed would be a line that counts too little, and different chunks are all that a site needs.
func (c *Checker) finishBytes(name string, s *checkedSite) {
	var crossed, want int64
	for u, bytes := range s.wan {
		crossed += bytes
		want += c.updates[u].bytes
	}
	if s.across > crossed {
		c.fault("", "wan", "%d bytes of chunks came across the WAN to %s, its line carried %d", s.across, name, crossed)
	}
	switch {
	case s.distinct > 0:
		c.within("wan", name, float64(crossed)/float64(min(s.distinct, want)))
	case want > 0:
		c.within("wan", name, float64(crossed)/float64(want))
	}
}
