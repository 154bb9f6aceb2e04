package swarm

import (
	"fmt"
	"slices"
	"strings"

	"patchmesh/policy"
)

// Source names where chunks come from, beyond the store of this machine, which always comes first.
type Source string

// Those of the site say which holders are asked before others; those beyond it who is asked for what nobody in the
// site has.
const (
	SourceCache  Source = "cache"  // holders that are a cache of the site
	SourceWired  Source = "wired"  // holders that are not known to be on Wi-Fi
	SourceSubnet Source = "subnet" // holders in the same subnet
	SourceSite   Source = "site"   // any holder of the site; said or not, it comes last of these

	SourceNeighbour Source = "neighbour" // machines of sites that signed policy lets this one take from
	SourceSeed      Source = "seed"      // a seed across the WAN
	SourceOrigin    Source = "origin"    // web hosts that the signed description names
)

// Sources is an order of sources. What is beyond the site and is not in it is never asked.
type Sources []Source

// DefaultSources is the order where nobody said another.
func DefaultSources() Sources {
	return Sources{SourceWired, SourceSubnet, SourceSite, SourceNeighbour, SourceSeed, SourceOrigin}
}

// ParseSources reads an order as "cache,subnet,site,seed,origin".
func ParseSources(text string) (Sources, error) {
	var s Sources
	for name := range strings.SplitSeq(text, ",") {
		s = append(s, Source(strings.TrimSpace(name)))
	}
	return s, s.check()
}

// Names are the sources, one by one.
func (s Sources) Names() []string {
	names := make([]string, len(s))
	for i, x := range s {
		names[i] = string(x)
	}
	return names
}

// String is what ParseSources reads.
func (s Sources) String() string { return strings.Join(s.Names(), ",") }

// rankOf is the place of a kind of source: of those in the site, of any holder, of those beyond; 0: there is no such source.
func rankOf(x Source) int {
	switch x {
	case SourceCache, SourceWired, SourceSubnet:
		return 1
	case SourceSite:
		return 2
	case SourceNeighbour, SourceSeed, SourceOrigin:
		return 3
	}
	return 0
}

func (s Sources) check() error {
	for i, x := range s {
		switch {
		case rankOf(x) == 0:
			return fmt.Errorf("source %q is not known; there are cache, wired, subnet, site, neighbour, seed and origin", x)
		case slices.Contains(s[:i], x):
			return fmt.Errorf("source %s is named twice", x)
		case i > 0 && rankOf(s[i-1]) > rankOf(x):
			return fmt.Errorf("source %s cannot come after %s: what the site holds never crosses a line, and 'site' is all that is left of it", x, s[i-1])
		}
	}
	return nil
}

// Without is the order without some sources.
func (s Sources) Without(out ...Source) Sources {
	return slices.DeleteFunc(slices.Clone(s), func(x Source) bool { return slices.Contains(out, x) })
}

// PeersOnly is the order without what is beyond the site.
func (s Sources) PeersOnly() Sources { return s.Without(SourceNeighbour, SourceSeed, SourceOrigin) }

// OriginFirst is the order with web hosts asked before anything else that is beyond the site.
func (s Sources) OriginFirst() Sources {
	out := s.Without(SourceOrigin)
	i := slices.IndexFunc(out, func(x Source) bool { return rankOf(x) == 3 })
	if i < 0 {
		i = len(out)
	}
	return slices.Insert(out, i, SourceOrigin)
}

// before: source a is asked, and b is not or later.
func (s Sources) before(a, b Source) bool {
	i, j := slices.Index(s, a), slices.Index(s, b)
	return i >= 0 && (j < 0 || i < j)
}

func (s Sources) has(x Source) bool { return slices.Contains(s, x) }

// rankPeer notes how a holder of the site stands among the others: the less, the sooner it is asked. The first source
// that one of two has and the other has not decides.
func (c *Core) rankPeer(p *peer) {
	p.rank = 0
	for _, x := range c.cfg.Sources {
		is := false
		switch x {
		case SourceCache:
			is = p.cache
		case SourceWired:
			is = !p.wifi
		case SourceSubnet:
			is = p.sameSubnet
		default:
			return
		}
		p.rank <<= 1
		if !is {
			p.rank++
		}
	}
}

// farSources is what this machine asks beyond the site.
type farSources struct{ neighbour, seed, origin bool }

func (s Sources) far() farSources {
	return farSources{neighbour: s.has(SourceNeighbour), seed: s.has(SourceSeed), origin: s.has(SourceOrigin)}
}

// leavesSite: by its order of sources this machine fetches at all what is beyond the site.
func (c *Core) leavesSite() bool {
	return c.self.Seed || c.far.seed || c.far.origin || c.adjacent.allowed
}

// sourceGate is what neighbours are told of the order: who asks no seed is nobody to wait for. It fetches all the same
// what it may from elsewhere.
func (c *Core) sourceGate() policy.Reason {
	if c.self.Seed || c.far.seed {
		return ""
	}
	return policy.ReasonNetPeersOnly
}

// runDry: this machine asks no seed, and nobody else that it may ask has more of a payload. Others may, so it does not keep the
// lease from them.
func (c *Core) runDry(l *payload) bool {
	return !c.far.seed && !c.webUsable(l) && !c.adjacentMay(l)
}

// nextDoorFirst: neighbour sites are asked before what else could be asked now: the seed (from is its id), a web host, or
// nothing.
func (c *Core) nextDoorFirst(from PeerID, other bool) bool {
	switch {
	case !other:
		return true
	case from == "":
		return c.cfg.Sources.before(SourceNeighbour, SourceOrigin)
	}
	return c.cfg.Sources.before(SourceNeighbour, SourceSeed)
}
