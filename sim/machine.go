package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// machine is one node: a core and the little of the world that a driver gives it.
type machine struct {
	// What every entry reads lies together.
	site    *site
	core    *swarm.Core // nil: it is off
	clock   *clock      // nil: it keeps true time
	tickAt  int64       // when a Tick is queued; 0: none
	part    int         // machines of one site with different numbers do not reach each other
	bridges bool        // but this one reaches all of them: it stands in both networks
	lies    lies
	inc     uint32 // grows with every stop
	index   int
	seat    int // in the site
	id      swarm.PeerID

	seats    []*session     // those within a site that is not too large, by seat
	asks     []ask          // outstanding at peers
	refs     []upload       // asked here
	audience []swarm.PeerID // of the last delta
	heard    []*session     // theirs with this machine, in the same order
	sessions []*session     // sorted by the index of the peer
	lastRef  uint64
	rate     float64
	up, down pipe
	from     tiers
	disk     disk

	seed   bool
	egress bool
	cache  bool // of its site, as 'run --cache' makes one
	facts  policy.Machine
	trust  *policy.Trust
	head   *docs // newest head whose signature holds

	linkWant bool
	linking  bool
	linkGen  uint32

	told    int   // machines of the site, as gossip told it last; 0: not yet
	dialAt  int64 // when the next round of dialling is queued; 0: none
	rumour  rumour
	unread  swarm.Unread[*docs]
	chasing bool // chaseNext is running or planned
	reports map[swarm.PeerID]uint64

	revoked  bool
	knewHold bool
	away     bool // off for so long that nobody waits for it
	loud     int  // the most that it has had in hand, as it said last
	wants    int  // updates that the newest manifest asks of it and it lacks; -1: not counted yet
	wantsOf  *docs
	wantsTil int64 // when an answer changes by itself; 0: never

	firstAt, lastAt int64 // of its installations
}

// tiers counts payload bytes by where they came from.
type tiers struct{ LAN, WAN, Media, Wasted, Duplicate int64 }

// ask is one chunk that this machine has asked a peer for.
type ask struct {
	req       swarm.Req
	peer      *machine
	u         *update
	index     int
	origin    bool
	withdrawn bool
}

// upload is one chunk that a peer has asked this machine for.
type upload struct {
	ref     uint64
	to      *machine
	gen     uint32
	req     swarm.Req
	u       *update
	index   int
	sending bool
}

// The types of entries that are not events of the core.
type (
	turnOn   struct{}
	dialMore struct{}
)

func (m *machine) groups(spec []groupSpec, i int) {
	for _, g := range spec {
		if i >= g.from && i < g.to {
			m.facts.Groups = append(m.facts.Groups, g.name)
		}
	}
}

func (m *machine) on() bool { return m.core != nil }

// now is the time by this machine's own clock.
func (m *machine) now() time.Time {
	if m.clock == nil {
		return m.site.trueTime()
	}
	return m.clock.now(m.site.now)
}

// step tells the core one event and does what it answers: the loop that node has too.
func (m *machine) step(ev swarm.Event) {
	if m.core == nil {
		return
	}
	m.core.Elapse(time.Duration(m.site.now))
	for _, act := range m.core.Step(m.now(), ev) {
		m.do(act)
	}
	m.rearm()
}

// rearm queues a Tick no later than the core wants one.
func (m *machine) rearm() {
	wake := m.core.Wake()
	if wake.IsZero() {
		return
	}
	at := m.site.now + max(int64(wake.Sub(m.now())), int64(time.Millisecond))
	if m.tickAt != 0 && m.tickAt <= at {
		return
	}
	m.tickAt = at
	m.site.push(entry{at: at, m: m, inc: m.inc, kind: ticking})
}

func (m *machine) ticked() {
	if m.tickAt != m.site.now {
		return // an earlier one was queued meanwhile
	}
	m.tickAt = 0
	if wake := m.core.Wake(); wake.IsZero() || m.now().Before(wake) {
		m.rearm()
		return
	}
	m.step(swarm.Tick{})
}

// take is where everything arrives that happens to this machine.
func (m *machine) take(e *entry) {
	if e.kind != inWhat {
		m.takeChunky(e)
		return
	}
	from, what := e.from, e.what
	if _, on := what.(turnOn); on {
		m.boot()
		return
	}
	switch x := what.(type) {
	case hello:
		m.greeted(x)
		return
	case farewell:
		m.left(x)
		return
	}
	if m.core == nil {
		return
	}
	switch x := what.(type) {
	case dialMore:
		m.dial()
	case arrival:
		m.wanArrival(x)
	case func():
		x()
	case swarm.Event:
		m.step(x)
	default:
		m.read(from, what)
	}
}

// takeChunky is take for what happens for every chunk.
func (m *machine) takeChunky(e *entry) {
	if m.core == nil {
		return
	}
	switch e.kind {
	case ticking:
		m.ticked()
	case chunkAsked:
		m.asked(e.from, chunkAsk{e.req, e.u, int(e.index)})
	case chunkHere:
		m.chunkArrived(e.from, chunk{e.req, e.u, int(e.index), e.good})
	case sentOff:
		m.sent(uint64(e.req), e.u.bytesOf(int(e.index)))
	}
}

// read takes what peers say.
func (m *machine) read(from *machine, what any) {
	switch x := what.(type) {
	case refusal:
		m.refused(x)
	case withdrawal:
		m.withdrawn(from, x)
	case whisper:
		m.hear(nil, x.head)
	case gossipRound:
		m.gossip()
	case chunkRead:
		m.farRead(from, x)
	case headTold:
		m.hear(from, x.head)
	case docsAsk:
		m.docsAsked(from, x)
	case docsAnswer:
		m.docsAnswered(from, x)
	case reportSent:
		m.reportArrived(from, x)
	case reportAck:
		m.reportAcked(x)
	case paperAsk:
		m.paperAsked(from, x)
	case paperAnswer:
		m.paperAnswered(x)
	case welcome:
		m.welcomed(from, x)
	case bye:
		m.drop(from, false)
	default:
		panic(fmt.Sprintf("sim: unknown entry %T", what))
	}
}

// boot starts the program on a machine with what its disk holds.
func (m *machine) boot() {
	if m.core != nil {
		return
	}
	w := m.site.w
	cfg := swarm.DefaultConfig()
	m.trust, m.head = m.disk.docs.trust, m.disk.docs
	m.facts.Detected = nil
	core, err := swarm.New(cfg, swarm.Self{
		Peer: m.id, Site: swarm.SiteID(m.site.name), Seed: m.seed, Egress: m.egress, Cache: m.cache, Machine: m.facts,
	}, m.disk.snap, rand.New(rand.NewPCG(w.seed^uint64(m.inc)<<40, uint64(m.index)+0x1000)), m.now())
	if err != nil {
		panic(err) // the configuration is the program's own
	}
	m.core = core
	m.site.say.say(m.site.now, "boot").str("m", string(m.id)).num("epoch", int64(m.trust.Epoch())).num("head", m.trust.HeadVersion()).end()
	m.soon(0, m.manifestEvent(0))
	for _, o := range m.disk.outbox {
		m.soon(0, swarm.ReportQueued{Machine: o.machine, Seq: o.seq})
	}
	if !m.seed {
		m.redial(discovery)
	}
	m.site.stirGossip()
	m.site.countMembers()
}

func (m *machine) manifestEvent(req swarm.Req) swarm.Event {
	t := m.trust
	return swarm.ManifestArrived{Req: req, Version: t.HeadVersion(), Root: t.RootVersion(), Manifest: t.Manifest(), ExpiresAt: t.ExpiresAt()}
}

// How a machine stops.
const (
	stopClean = "off"   // the program says goodbye and syncs
	stopKill  = "kill"  // the process ends; its connections break at once, what it wrote stays
	stopPower = "power" // the machine falls silent; what was not synced is lost
)

// stop ends the program on a machine.
func (m *machine) stop(how string) {
	if m.core == nil {
		return
	}
	m.site.say.say(m.site.now, "down").str("m", string(m.id)).str("why", how).end()
	if how == stopPower {
		m.disk.loseUnsynced(m.site.now)
	}
	for _, ses := range m.sessions {
		if how == stopPower {
			m.silence(ses)
			continue
		}
		ses.sentAt = 0 // what is still being sent breaks off
		m.letter(ses, bye{}, 0)
	}
	if m.linking { // the seed may have answered already
		hq := m.site.w.hq
		m.site.toSite(hq.site, entry{at: m.site.now + int64(m.site.delay(hq.site)) + 1, m: hq, inc: anyInc, what: farewell{m, m.linkGen}})
	}
	m.core = nil
	m.inc++
	m.tickAt, m.dialAt = 0, 0
	for _, ses := range m.sessions {
		ses.over = true
	}
	m.sessions, m.seats, m.asks, m.refs = nil, nil, nil, nil
	m.audience, m.heard = nil, nil
	m.linkWant, m.linking = false, false
	m.unread, m.chasing = swarm.Unread[*docs]{}, false
	m.rumour = rumour{}
	m.told = 0
	m.site.countMembers()
}

// goal counts what the newest manifest wants installed here and is not. It is for the end of a run
// only: the checker judges by its own reading of the trace.
func (m *machine) goal() int {
	w := m.site.w
	if m.wants >= 0 && m.wantsOf == w.org.newest && (m.wantsTil == 0 || w.now < m.wantsTil) {
		return m.wants
	}
	m.wantsOf = w.org.newest
	m.wants = 0
	facts := m.facts
	facts.Detected = nil
	plan := policy.MakePlan(w.org.newest.trust.Manifest(), w.describe1, facts, false, epoch0.Add(time.Duration(w.now)))
	m.wantsTil = since(plan.NextAt)
	for _, v := range plan.Verdicts {
		switch v.Verb {
		case policy.VerbWait: // it will be asked for: the run goes on until then
			m.wants++
		case policy.VerbInstall:
			if m.disk.installed[v.Update] != v.Revision {
				m.wants++
			}
		case policy.VerbStage: // so is what waits for a window
			if !v.Until.IsZero() && m.disk.installed[v.Update] != v.Revision {
				m.wants++
			}
		case policy.VerbRemove:
			if m.disk.installed[v.Update] != 0 {
				m.wants++
			}
		}
	}
	return m.wants
}

func (w *World) describe1(id content.ID) *policy.Descriptor {
	if u := w.byDesc[id]; u != nil {
		return u.desc
	}
	return nil
}

// done: nothing is left to be waited for.
func (m *machine) done() bool {
	w := m.site.w
	if m.seed || m.revoked || m.away || m.lies != 0 || !m.site.reachable() {
		return true
	}
	return m.core != nil && m.disk.docs == w.org.newest && m.goal() == 0
}

// reachable: news and bytes have a way into the site.
func (s *site) reachable() bool {
	if s.index == 0 || s.carried {
		return true
	}
	for _, m := range s.machines {
		if m.egress && m.lies == 0 && !m.away && !m.revoked {
			return true
		}
	}
	return false
}

// lies is what a machine does beside what it should.
type lies uint8

const (
	lieChunks  lies = 1 << iota // says that it holds everything, sends wrong bytes
	lieBits                     // says that it holds everything, answers that it does not
	lieSilent                   // says that it holds everything, answers nothing
	lieHeads                    // shows its oldest documents to everybody for ever
	lieLeases                   // claims every WAN lease again and again, and fetches nothing
	lieRefuses                  // takes all the chunks that it can get and serves none
)

var lieNames = []string{"chunks", "bits", "silent", "heads", "leases", "refuses"}

func (l lies) String() string {
	var out []string
	for i, n := range lieNames {
		if l&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return strings.Join(out, ",")
}
