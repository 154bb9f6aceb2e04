package node

import (
	"errors"
	"fmt"
	"slices"

	"patchmesh/node/api"
	"patchmesh/swarm"
)

// sources is the order in which this machine asks for chunks, by Sources, PeersOnly and Origin together.
func (c *Config) sources() (swarm.Sources, error) {
	s := swarm.DefaultSources()
	if c.Sources != "" {
		if c.Origin != "" && c.Origin != OriginAuto {
			return nil, errors.New("the order of sources says already when web hosts are asked; leave origin out")
		}
		var err error
		if s, err = swarm.ParseSources(c.Sources); err != nil {
			return nil, fmt.Errorf("sources: %s", api.Clean(err.Error()))
		}
	}
	switch c.Origin {
	case OriginFirst:
		s = s.OriginFirst()
	case OriginNever:
		s = s.Without(swarm.SourceOrigin)
	}
	if c.PeersOnly {
		s = s.PeersOnly()
	}
	return s, nil
}

func (c *Config) checkSources() error {
	_, err := c.sources()
	return err
}

// sourceNames tells people the order where it is not the usual one; of a seed there is none, it fetches nothing.
func (n *Node) sourceNames(order swarm.Sources) []string {
	if n.seed != nil || slices.Equal(order, swarm.DefaultSources()) {
		return nil
	}
	return order.Names()
}
