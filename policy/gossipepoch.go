package policy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"patchmesh/content"
)

// GossipEpoch is one generation of gossip keys, one key per site. The roster does not hold the keys,
// only what they must hash to: members hand them to each other, and a wrong one is refused.
type GossipEpoch struct {
	ID uint64 `json:"id"`
	// From UseAt on machines seal with the key; from EndAt on they do not open with it any more. Zero
	// EndAt: the newest epoch, whose end is not known yet.
	UseAt time.Time      `json:"use_at"`
	EndAt time.Time      `json:"end_at,omitzero"`
	Keys  []GossipKeySum `json:"keys"` // by site, in order
}

// GossipKeySum commits to the key of one site in one epoch.
type GossipKeySum struct {
	Site string     `json:"site"`
	Sum  content.ID `json:"sum"`
}

// SiteEntry says where machines of a site may be: prefixes as "10.1.0.0/16".
type SiteEntry struct {
	Site     string   `json:"site"`
	Prefixes []string `json:"prefixes"`
	// WAN is what its machines together may take over it; nil: no limit.
	WAN *SiteBudget `json:"wan,omitempty"`
	// StaleDays is the staleness budget of the site: for so many days after their time its machines still
	// take each other's certificates, and go on with approvals. 0: none.
	StaleDays int `json:"stale_days,omitempty"`
	// Neighbours are the sites whose machines give chunks to machines of this one, in order of their names. It
	// goes one way: the other site may take from here only if its own entry says so.
	Neighbours []string `json:"neighbours,omitempty"`
}

// Limits of a roster's gossip epochs and site entries.
const (
	MaxGossipEpochs   = 4
	MaxSites          = 4096
	MaxSitePrefixes   = 32
	maxSitePrefixText = 64
	MaxNeighbours     = 16
)

// SumGossipKey is what a roster states of a key. The key is random to everybody without it, so its
// hash gives nothing away.
func SumGossipKey(org, site string, epoch uint64, key []byte) content.ID {
	b := []byte("patchmesh gossip key v1\x00")
	for _, s := range []string{org, site} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return content.Sum(append(binary.BigEndian.AppendUint64(b, epoch), key...))
}

// SumOf is the commitment to the key of a site; false if the epoch knows no such site.
func (g GossipEpoch) SumOf(site string) (content.ID, bool) {
	for _, k := range g.Keys {
		if k.Site == site {
			return k.Sum, true
		}
	}
	return content.ID{}, false
}

// SitePrefixes lists what the roster states about a site; nil if nothing.
func (r *Roster) SitePrefixes(site string) []string {
	for _, s := range r.Sites {
		if s.Site == site {
			return s.Prefixes
		}
	}
	return nil
}

func checkGossip(all []GossipEpoch) error {
	if len(all) > MaxGossipEpochs {
		return fmt.Errorf("%d gossip epochs, at most %d: %w", len(all), MaxGossipEpochs, ErrTooLarge)
	}
	for i, g := range all {
		newest := i == len(all)-1
		if g.ID == 0 || i > 0 && all[i-1].ID >= g.ID || g.UseAt.IsZero() || newest != g.EndAt.IsZero() || !newest && g.EndAt.Before(g.UseAt) {
			return fmt.Errorf("gossip epoch %d: %w", g.ID, ErrFormat)
		}
		if len(g.Keys) > MaxSites {
			return fmt.Errorf("gossip epoch %d with %d sites: %w", g.ID, len(g.Keys), ErrTooLarge)
		}
		for j, k := range g.Keys {
			if j > 0 && g.Keys[j-1].Site >= k.Site || k.Sum.IsZero() {
				return fmt.Errorf("gossip epoch %d, site %.60q: %w", g.ID, k.Site, ErrFormat)
			}
			if err := checkName("site", k.Site); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkSites(all []SiteEntry) error {
	if len(all) > MaxSites {
		return fmt.Errorf("%d sites, at most %d: %w", len(all), MaxSites, ErrTooLarge)
	}
	for i, s := range all {
		if err := checkName("site", s.Site); err != nil {
			return err
		}
		if i > 0 && all[i-1].Site >= s.Site || s.empty() || len(s.Prefixes) > MaxSitePrefixes {
			return fmt.Errorf("site entry %.60q with %d prefixes: %w", s.Site, len(s.Prefixes), ErrFormat)
		}
		for _, p := range s.Prefixes {
			if err := checkText("site prefix", p, maxSitePrefixText); err != nil {
				return err
			}
		}
		if err := errors.Join(s.WAN.check(), checkStale(s.StaleDays), s.checkNeighbours()); err != nil {
			return fmt.Errorf("site %s: %w", s.Site, err)
		}
	}
	return nil
}
