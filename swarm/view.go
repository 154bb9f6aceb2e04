package swarm

import (
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// View is a copy of the core's state for people to look at.
type View struct {
	At          time.Time
	Epoch       uint64
	HeadVersion int64
	HeardHead   int64 // newest head heard of; greater than HeadVersion while news is being fetched
	Stale       bool
	Egress      bool
	Cache       bool   // this machine is a cache of its site
	WiFi        bool   // this machine is on Wi-Fi
	Uplink      PeerID // of this machine's site, as it sees it
	Tasks       []TaskView
	Payloads    []PayloadView
	Peers       []PeerView
	Store       []StoreView // as of StoreAt
	StoreAt     time.Time
	StoreOver   int64       // bytes that had to go then
	Absent      []SavedPeer // machines of the site that are away
	Budget      BudgetView
	Gate        GateView
	Orch        *OrchView // nil: no orchestration binds this machine
}

// TaskView is one update on this machine.
type TaskView struct {
	Verdict    policy.Verdict
	State      policy.State
	Reason     policy.Reason
	Detail     string
	Facts      map[string]int64
	Since      time.Time
	Failures   int       // to install it, in a row, that were not the machine's own trouble
	RetryAt    time.Time // when it is tried again after a failure; zero: nothing waits for that
	DetectedAt time.Time
	Version    string
	Payload    content.ID // zero while the descriptor is missing
}

// PayloadView is one payload here.
type PayloadView struct {
	ID            content.ID
	Bytes         int64
	HaveBytes     int64
	Chunks        int
	HaveChunks    int
	Ready         bool
	Leased        bool   // this machine holds its WAN lease
	LeaseClaimant PeerID // the neighbour that claims it
	Subnet        int64
	Site          int64
	Cache         int64 // from a cache of the site, in whatever subnet
	Media         int64
	Neighbour     int64 // from a neighbour site
	Seed          int64
	Origin        int64
	Wasted        int64
	Duplicate     int64
}

// PeerView is one session.
type PeerView struct {
	ID       PeerID
	Site     SiteID
	Seed     bool
	Egress   bool
	Cache    bool // by its own word
	WiFi     bool // by its own word
	Shunned  bool
	Gate     policy.Reason // why it serves nobody; empty: it serves
	BytesIn  int64
	BytesOut int64

	SameSubnet bool
	Asks       int // chunks asked for and not answered yet
	Silences   int // in a row, of asks that got no answer
	Shun       Shun
	Payloads   int // of the approved ones: how many it holds anything of, as of StoreAt
	Chunks     int // whole chunks of them
	Wants      int // payloads that it is fetching

	Gives, Takes Eligible // chunks to this machine, and from it
}

// View copies the state. It is cheap next to a Step that installs something, and meant to be called
// a few times a second at most.
func (c *Core) View() View {
	v := View{
		At: c.now, HeadVersion: c.news.version, HeardHead: c.news.heard, Stale: c.stale(),
		Store: c.retain.views, StoreAt: c.retain.at, StoreOver: c.retain.over, Absent: slices.Clone(c.retain.absent),
		Egress: c.egress(), Cache: c.isCache(), WiFi: c.onWiFi(), Uplink: c.uplink(), Budget: c.budgetView(), Gate: c.gateView(), Orch: c.orchView(),
	}
	if c.news.manifest != nil {
		v.Epoch = c.news.manifest.Epoch
	}
	v.Tasks = slices.Grow(v.Tasks, len(c.tasks.tasks)) // nothing stays nil
	v.Payloads, v.Peers = slices.Grow(v.Payloads, len(c.payloads)), slices.Grow(v.Peers, len(c.peers))
	for _, k := range c.tasks.tasks {
		t := TaskView{
			Verdict: k.verdict, State: k.state, Reason: k.reason, Detail: k.detail, Facts: k.facts,
			Since: k.since, Failures: k.failures, DetectedAt: k.detectedAt, Version: k.version,
			RetryAt: c.againAt(k),
		}
		if d := c.describe(k.verdict.Descriptor); d != nil {
			t.Payload = d.Payload
		}
		v.Tasks = append(v.Tasks, t)
	}
	for _, l := range c.payloads {
		p := PayloadView{
			ID: l.id, Bytes: l.bytes, HaveBytes: l.haveBytes, Chunks: l.chunks, HaveChunks: l.have.Count(),
			Ready: l.ready, Leased: l.lease.held,
			Subnet: l.Subnet, Site: l.Site, Cache: l.Cache, Media: l.Media, Neighbour: l.Neighbour, Seed: l.Seed, Origin: l.Origin, Wasted: l.Wasted, Duplicate: l.Duplicate,
		}
		for _, k := range l.lease.claims {
			if k.held {
				p.LeaseClaimant = k.peer
			}
		}
		v.Payloads = append(v.Payloads, p)
	}
	for _, p := range c.peers {
		row := PeerView{
			ID: p.id, Site: p.site, Seed: p.seed, Egress: p.egress, Cache: p.cache, WiFi: p.wifi, Shunned: c.shunned(p.id),
			BytesIn: p.bytesIn, BytesOut: p.bytesOut, SameSubnet: p.sameSubnet, Asks: p.asks, Silences: p.silences, Gate: p.gate.serve,
			Payloads: p.held.payloads, Chunks: p.held.chunks, Wants: p.held.wants,
			Gives: c.givesHere(p), Takes: c.takesHere(p),
		}
		if row.Shunned {
			i, _ := c.findShun(p.id)
			row.Shun = c.tasks.shuns[i]
		}
		v.Peers = append(v.Peers, row)
	}
	return v
}
