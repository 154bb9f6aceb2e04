package policy

import (
	"fmt"
	"time"
)

// SiteBudget is what the machines of a site together may take over the WAN, in payload bytes. A zero amount
// is no limit; one of the two is positive.
type SiteBudget struct {
	DayBytes   int64  `json:"day_bytes,omitempty"`
	MonthBytes int64  `json:"month_bytes,omitempty"`
	Zone       string `json:"zone,omitempty"`   // IANA name of where days and months begin; empty: UTC
	Strict     bool   `json:"strict,omitempty"` // no approval passes it, whatever it says
}

const maxZoneBytes = 64

func (b *SiteBudget) check() error {
	if b == nil {
		return nil
	}
	if b.DayBytes < 0 || b.MonthBytes < 0 || b.DayBytes+b.MonthBytes <= 0 {
		return fmt.Errorf("WAN budget of %d bytes a day and %d a month: %w", b.DayBytes, b.MonthBytes, ErrFormat)
	}
	return checkText("zone of a WAN budget", b.Zone, maxZoneBytes)
}

// SiteBudget is the budget of a site; nil: none is stated.
func (r *Roster) SiteBudget(site string) *SiteBudget {
	if r == nil {
		return nil
	}
	for _, s := range r.Sites {
		if s.Site == site {
			return s.WAN
		}
	}
	return nil
}

// MaxStaleDays bounds a staleness budget: a site that was told of nothing for so long is out of date in
// earnest, and a stolen machine must not be one of it for longer. It is shorter than the time for which a
// revocation is kept after the end of a certificate.
const MaxStaleDays = 90

func checkStale(days int) error {
	if days < 0 || days > MaxStaleDays {
		return fmt.Errorf("staleness budget of %d days, at most %d: %w", days, MaxStaleDays, ErrFormat)
	}
	return nil
}

func (s SiteEntry) empty() bool {
	return len(s.Prefixes) == 0 && s.WAN == nil && s.StaleDays == 0 && len(s.Neighbours) == 0
}

// SiteStale is the staleness budget of a site; 0 if none is stated.
func (r *Roster) SiteStale(site string) time.Duration {
	if r == nil {
		return 0
	}
	for _, s := range r.Sites {
		if s.Site == site {
			return time.Duration(s.StaleDays) * day
		}
	}
	return 0
}
