package sim

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/rate"
)

// Fleet is what a seed knows of its machines, and what is to be approved: where a forecast begins.
// Rates are bytes per second, zero where nothing is known to limit them.
type Fleet struct {
	At          time.Time
	Update      string   // the one that is asked about
	Manifest    []byte   // what would be in force: policy.Manifest, encoded
	Descriptors [][]byte // of the updates that it approves, encoded; approvals without one are left out
	SeedSite    string
	SeedUp      float64 // of the seed's line, outwards
	Sites       []FleetSite
	Machines    []FleetMachine
}

// FleetSite is a site and its line.
type FleetSite struct {
	Name     string
	WAN, LAN float64 // of the line, and of each machine's link; both directions
	Delay    time.Duration

	DayBytes, MonthBytes int64  // WAN budget; 0: none
	Zone                 string // where its days begin; empty: UTC
	Strict               bool   // no approval passes the budget, whatever it says
	DaySpent, MonthSpent int64
}

// FleetMachine is one enrolled machine as it reported last.
type FleetMachine struct {
	ID, Name, Site string
	Groups         []string
	Zone           string // empty: UTC
	ZoneGuessed    bool   // nobody knows its zone: Zone is another one's
	Egress         bool
	Cache          bool // of its site: it stores what is approved for others there
	On             bool
	LastContact    time.Time
	Installed      map[string]int   // revision, by update
	Have           map[string]int64 // stored bytes, by update
	Foreign        []string         // updates that are not for it, by its own word
	DiskShort      bool             // the payload does not fit, by its own word
	WANDown        float64          // its own limit; 0: none, below 0: nothing may come
}

// Limits of a fleet.
const (
	maxFleetSites   = 100_000
	maxFleetUpdates = 10_000
)

// ErrFleet: what is said of a fleet cannot be.
var ErrFleet = errors.New("not a fleet")

func (f *Fleet) check() error {
	switch {
	case len(f.Machines) > maxMachines || len(f.Sites) > maxFleetSites || len(f.Descriptors) > maxFleetUpdates:
		return fmt.Errorf("%d machines in %d sites with %d updates: %w", len(f.Machines), len(f.Sites), len(f.Descriptors), ErrFleet)
	case f.At.Before(epoch0):
		return fmt.Errorf("it is %s, before this program was made: %w", f.At.Format(time.DateOnly), ErrFleet)
	}
	seen := map[string]bool{}
	for _, m := range f.Machines {
		if m.ID == "" || word(m.ID) != m.ID || m.ID == "seed" || seen[m.ID] {
			return fmt.Errorf("machine %.60q: %w", m.ID, ErrFleet)
		}
		seen[m.ID] = true
	}
	for _, s := range f.Sites {
		if word(s.Name) != s.Name || s.WAN < 0 || s.LAN < 0 || s.Delay < 0 {
			return fmt.Errorf("site %.60q: %w", s.Name, ErrFleet)
		}
	}
	return nil
}

// installTakes is what one installation is taken to need: nobody knows before it is done.
const installTakes = 10 * time.Second

// forecastWork bounds what a forecast costs: whenever a machine hears of a chunk it looks through those that it
// lacks, so the cost grows with the square of the chunks, for each pair of neighbours. Where there would be more,
// several chunks are moved as one: what they weigh stays, and a line carries them in the same time.
const (
	forecastWork = 30e6
	fewestChunks = 6
)

// From so many machines on, each is given fewer neighbours: with all that it really has, the sessions alone
// would need more memory than most computers have.
const (
	largeFleet      = 20_000
	largeNeighbours = 12
)

// fleetWorld is a world that looks like the fleet, at its time. Machines that are off are no part of it.
func (e *forecaster) fleetWorld(horizon time.Duration) error {
	f := e.fleet
	offset := int64(f.At.Sub(epoch0))
	sc := &Scenario{
		Name: "what-if", limit: time.Duration(offset) + horizon, seed: seedSpec{up: exactly(f.SeedUp), lan: exactly(f.lanOf(f.SeedSite))},
	}
	w, err := newWorld(sc, Options{Seed: e.seed})
	if err != nil {
		return err
	}
	e.w = w
	w.now, w.pending = offset, 1 // a forecast ends by its own rules
	if w.org, err = newOrgAt(w.verify, f.At); err != nil {
		return err
	}
	w.hq.disk.docs, w.hq.trust, w.hq.head = w.org.first, w.org.first.trust, w.org.first
	for _, d := range e.descs {
		e.addFleetUpdate(d)
	}
	for _, s := range f.Sites {
		e.addFleetSite(s)
	}
	for i := range f.Machines {
		if m := &f.Machines[i]; m.On {
			e.addFleetMachine(m)
		}
	}
	for _, s := range w.sites {
		s.now, s.say.on = w.now, true
	}
	w.own.on = true
	w.trace.sinks = append(w.trace.sinks, e.read)
	return nil
}

func (f *Fleet) lanOf(site string) float64 {
	if i := slices.IndexFunc(f.Sites, func(s FleetSite) bool { return s.Name == site }); i >= 0 {
		return f.Sites[i].LAN
	}
	return 1e9 / 8
}

func (e *forecaster) addFleetSite(s FleetSite) {
	w := e.w
	if s.Name == e.fleet.SeedSite {
		e.sites[s.Name] = w.hq.site
		if len(e.fleet.Machines) > largeFleet {
			w.hq.site.dialMost = largeNeighbours
		}
		return
	}
	site := w.addSite(siteSpec{
		name: s.Name, wan: exactly(s.WAN), lan: exactly(s.LAN), machines: exactly(1), count: exactly(1),
		delay: exactly(float64(max(s.Delay, time.Millisecond))), lanWait: exactly(float64(300 * time.Microsecond)),
	})
	if len(e.fleet.Machines) > largeFleet {
		site.dialMost = largeNeighbours
	}
	e.sites[s.Name] = site
}

func (e *forecaster) addFleetMachine(f *FleetMachine) {
	site := e.sites[f.Site]
	if site == nil {
		return // check has refused it; nothing to hang it on
	}
	m := e.w.addMachine(site, f.ID, false)
	m.egress, m.cache = f.Egress, f.Cache
	m.facts = e.facts(f)
	m.disk.full = f.DiskShort
	for _, u := range e.w.updates {
		name := string(u.id)
		if rev := f.Installed[name]; rev > 0 {
			m.setFleetInstalled(u, rev)
		}
		if slices.Contains(f.Foreign, name) {
			m.setFleetInstalled(u, u.rev) // wants nothing, which is all that counts here
		}
		if have := f.Have[name]; have > 0 {
			m.fillDisk(u, have)
		}
	}
	if i := slices.IndexFunc(e.fleet.Sites, func(s FleetSite) bool { return s.Name == f.Site }); i >= 0 {
		m.disk.snap.WAN = e.spent(e.fleet.Sites[i], f, site)
	}
	e.machines[f.ID] = m
}

func (m *machine) setFleetInstalled(u *update, rev int) {
	if m.disk.installed == nil {
		m.disk.installed = map[policy.UpdateID]int{}
	}
	m.disk.installed[u.id] = rev
}

// fillDisk puts as much of a payload on a disk as the machine says that it has. Which chunks they are
// nobody has said: those of a machine that is on its way are drawn, as they come in no order.
func (m *machine) fillDisk(u *update, bytes int64) {
	f := m.disk.open(u)
	if bytes >= u.info.StoredBytes {
		f.have, f.published = content.FullBits(u.info.Chunks), true
		return
	}
	n := int(float64(u.info.Chunks) * float64(bytes) / float64(u.info.StoredBytes))
	for _, i := range rand.New(rand.NewPCG(uint64(m.index), 0xd15c)).Perm(u.info.Chunks)[:n] {
		f.have.Set(i)
	}
}

// spent is what the site has taken of its budget already: the first machine of it brings the figure.
func (e *forecaster) spent(s FleetSite, f *FleetMachine, site *site) rate.Ledger {
	if len(site.machines) != 1 || s.DaySpent == 0 && s.MonthSpent == 0 {
		return nil
	}
	p := s.budget().Period(e.fleet.At)
	return rate.Ledger{{Machine: f.ID, Day: p.Day, DayBytes: s.DaySpent, Month: p.Month, MonthBytes: max(s.MonthSpent, s.DaySpent)}}
}

func (s FleetSite) budget() rate.Budget {
	b := rate.Budget{DayBytes: s.DayBytes, MonthBytes: s.MonthBytes, Zone: time.UTC}
	if z, err := time.LoadLocation(s.Zone); err == nil {
		b.Zone = z
	}
	return b
}

// facts are what plans of this machine are made from. What machines do not report is taken to be as the
// updates want it.
func (e *forecaster) facts(f *FleetMachine) policy.Machine {
	p := policy.Machine{ID: f.ID, Name: f.Name, Site: f.Site, Groups: f.Groups, Arch: e.arch, Installers: e.installers, Zone: time.UTC}
	if z, ok := policy.ParseZone(f.Zone); ok { // as machines tell theirs
		p.Zone = z
	} else if z, err := time.LoadLocation(f.Zone); err == nil {
		p.Zone = z
	}
	return p
}

// addFleetUpdate takes an update as it is described. Its chunks are as many as content makes of it, or
// fewer and larger where the fleet is large.
func (e *forecaster) addFleetUpdate(d *policy.Descriptor) {
	b, err := d.Encode()
	if err != nil {
		return // it was decoded from its encoding
	}
	chunk := int64(content.ChunkBytesFor(d.PlainBytes))
	if d.StoredBytes < d.PlainBytes && d.PlainBytes > 0 { // compressed: as many chunks, each smaller
		chunk = max(1, int64(math.Ceil(float64(chunk)*float64(d.StoredBytes)/float64(d.PlainBytes))))
	}
	if most := e.fleet.mostChunks(); (d.StoredBytes+chunk-1)/chunk > most {
		chunk = (d.StoredBytes + most - 1) / most
		e.coarse = max(e.coarse, chunk)
	}
	w := e.w
	u := &update{
		index: len(w.updates), id: d.Update, rev: d.Revision, desc: d, descID: content.Sum(b), descBytes: len(b), installTime: installTakes,
		info: swarm.PayloadInfo{
			ID: d.Payload, Chunks: int((d.StoredBytes + chunk - 1) / chunk), ChunkBytes: int(min(chunk, math.MaxInt32)), StoredBytes: d.StoredBytes,
		},
	}
	w.updates = append(w.updates, u)
	w.byDesc[u.descID], w.byMap[d.Payload], w.byName[u.id] = u, u, u
	f := w.hq.disk.open(u)
	f.have, f.published = content.FullBits(u.info.Chunks), true
	w.hq.hold(u)
}

// mostChunks is in how many pieces a payload may move.
func (f *Fleet) mostChunks() int64 {
	neighbours := maxDialled
	if len(f.Machines) > largeFleet {
		neighbours = largeNeighbours
	}
	in, pairs := map[string]int{}, 0
	for i := range f.Machines {
		if m := &f.Machines[i]; m.On {
			pairs += min(in[m.Site], neighbours)
			in[m.Site]++
		}
	}
	return max(fewestChunks, int64(math.Sqrt(forecastWork/float64(max(1, 2*pairs)))))
}
