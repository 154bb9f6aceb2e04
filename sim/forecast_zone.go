package sim

import (
	"fmt"
	"slices"
	"strings"

	"patchmesh/policy"
)

// ZoneGuess tells of machines whose time zone nobody knows. Their local windows, deadlines and active hours were read by
// another clock, so that what is said of them may be wrong by hours.
type ZoneGuess struct {
	Zone     string   `json:"zone"` // that was taken: the seed's
	Machines int      `json:"machines"`
	Sites    []string `json:"sites"` // where they are, sorted
}

// guessZone counts an affected machine whose zone was guessed.
func (f *Forecast) guessZone(m *FleetMachine) {
	if !m.ZoneGuessed {
		return
	}
	if f.ZoneGuessed == nil {
		f.ZoneGuessed = &ZoneGuess{Zone: m.Zone}
	}
	g := f.ZoneGuessed
	g.Machines++
	if i, known := slices.BinarySearch(g.Sites, m.Site); !known {
		g.Sites = slices.Insert(g.Sites, i, m.Site)
	}
}

// text is the guess for people.
func (g *ZoneGuess) text() string {
	const most = 10
	sites := strings.Join(g.Sites[:min(len(g.Sites), most)], ", ")
	if more := len(g.Sites) - most; more > 0 {
		sites += fmt.Sprintf(" and %d more", more)
	}
	zone := ""
	if _, named := policy.ParseZone(g.Zone); named {
		zone = ", " + g.Zone
	}
	return fmt.Sprintf("%d machine(s) have told no time zone (%s): their local times are read by the clock of the seed%s", g.Machines, sites, zone)
}
