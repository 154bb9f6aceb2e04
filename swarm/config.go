package swarm

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the protocol numbers. The zero value is not usable; start from DefaultConfig.
type Config struct {
	// PerPeerAsks is how many chunks may be outstanding at one neighbour. Enough to cover
	// bandwidth x round trip on a LAN with chunks of 256 KiB: 4 x 256 KiB = 1 MiB.
	// FirstAsks is the same for a neighbour that has not sent a good one yet: what a liar wastes of each victim.
	PerPeerAsks, FirstAsks int
	// MaxAskBytes bounds all outstanding chunk bytes of this machine; it bounds receive memory. With less than
	// LeastAskBytes under way it asks out of turn (outofturn.go): each chunk shares the line of its holder with those
	// for others, so it takes a dozen of 256 KiB from several holders to keep the line here busy, and more among many.
	MaxAskBytes, LeastAskBytes int64
	// ServeSlots is how many chunks are sent at once to neighbours; few slots finish chunks early instead of
	// all of them late, and for other sites apart. FarSlots is the same for other sites on a seed: a slow site
	// must not hold up the others. ServeQueue bounds the asks that wait for a slot, over all peers.
	ServeSlots, FarSlots, ServeQueue int
	// Patience is how long a chunk that somebody holds may wait for this machine's turn in the
	// hash order before it is asked for anyway.
	Patience time.Duration
	// FirstCopy is how long the first copy of a chunk in the site may take before it is sent to another
	// neighbour beside.
	FirstCopy time.Duration
	// GainDelay is how long gained chunks that several neighbours have already gather before they are told. Each word
	// of them wakes a machine: told three times as seldom, ten machines behind a WAN take a tenth less of their
	// processors and are done as soon. Among more than ten neighbours they gather for longer, see gainDelay.
	GainDelay time.Duration
	// HedgeAfter is the least silence after which a second holder is asked for a chunk;
	// EndgameHedgeAfter applies once nothing else is left to ask for.
	HedgeAfter, EndgameHedgeAfter time.Duration

	// WANMinBytes and WANMaxBytes bound what a lease holder keeps outstanding at the seed; in
	// between it is WANSpan's worth of the measured rate. What is outstanding when the holder
	// dies has crossed the WAN in vain, so it is kept short.
	WANMinBytes, WANMaxBytes int64
	WANSpan                  time.Duration
	// Sources is in which order holders are asked, and what is asked at all beyond the site.
	Sources Sources
	// LeaseSilence is how long a claim without any new chunk stays respected.
	LeaseSilence time.Duration
	// LeaseSettle is how long a payload must be known, and the view of neighbours unchanged, before
	// the WAN is used: have-bits of neighbours travel in that time. JoinGrace is the same after a
	// start without any neighbour yet: a machine that comes back must find its site first. So long after a start the view
	// must be unchanged for StartSettle: the first neighbour may be one that has just come too, and holds nothing.
	LeaseSettle, StartSettle, JoinGrace time.Duration
	// In a site of more machines than this one has sessions with, claims are passed on (trail.go): TrailEvery is how
	// often a holder says again that it stands by its word, TrailLife how long it is believed without that,
	// ClaimSettle how long a claim stands before it is used, so that a better one is heard of in time. TrailPatience
	// is how long a machine waits for its neighbours to take part before it asks for help.
	TrailEvery, TrailLife, ClaimSettle, TrailPatience time.Duration
	// OrphanWait is how long chunks lost with a leaving neighbour are left alone: it may come back.
	OrphanWait time.Duration
	// LinkRetryMin and LinkRetryMax bound the back-off after the seed could not be reached.
	LinkRetryMin, LinkRetryMax time.Duration

	// AskRetry is the pause before a document is asked for again, from somebody else.
	AskRetry time.Duration
	// DocPatience is how long a neighbour may take for a document before somebody else is asked beside it.
	DocPatience time.Duration
	// MaxDocAsks bounds the descriptors asked for at once.
	MaxDocAsks int

	// ReportMin is the least time between two reports of a changed state. What a report costs grows with the updates that
	// it tells of, so where there are many each adds ReportPerUpdate instead, up to ReportLatest. ProgressEvery is the
	// time between reports of mere progress, per machine of the site, so that the WAN carries at
	// most 1/ProgressEvery progress reports per second from a site. Heartbeat is the time
	// between reports when nothing changes; ReportResend repeats an unacknowledged one.
	ReportMin, ReportPerUpdate, ReportLatest time.Duration
	ProgressEvery, Heartbeat, ReportResend   time.Duration
	// MaxOutbox bounds the machines whose reports are kept for relaying.
	MaxOutbox int

	// ScanEvery is the time between detections of what is installed; each machine looks up to a fifth earlier.
	ScanEvery time.Duration
	// ScanFresh is how old a detection may be when its update is fetched or installed.
	ScanFresh time.Duration
	// InstallRetryMin doubles with each attempt up to InstallRetryMax.
	InstallRetryMin, InstallRetryMax time.Duration
	// EarlyPatience is how long the early copy of a payload is kept while nothing more of it comes.
	EarlyPatience time.Duration
	// SpaceRetry is how often a payload that found the disk full tries again.
	SpaceRetry time.Duration

	// StallAfter is how long a neighbour that was asked may send not one chunk before it counts as silent.
	StallAfter time.Duration
	// ShunFor is how long a peer that sent a wrong chunk is not asked again.
	ShunFor time.Duration
	// SiteCopies is how many whole copies of an approved payload stay in the site before anybody lets one
	// go. EvictSettle is how long after a start nothing is evicted that others may need. ForgetPeer is how
	// long a machine of the site may be away until nothing is kept for it; MaxAbsent bounds their list.
	SiteCopies  int
	EvictSettle time.Duration
	ForgetPeer  time.Duration
	MaxAbsent   int

	// GateBatteryPercent, GateCPUPercent and GateDiskQueue are where a machine stops serving its
	// neighbours, GateFreeBytes where it stops fetching for them; 0: never, as processor and disk are by
	// default, since a machine that is slow for itself is slow for others without a gate too. Metered
	// and VPN say what such links are good for. See gate.go.
	GateBatteryPercent, GateCPUPercent, GateDiskQueue int
	GateFreeBytes                                     int64
	Metered, VPN                                      LinkUse
	MeteredOwn                                        bool // Metered was chosen for this machine: signed policy makes no more of it
	// YieldAbove is how many bytes per second of other traffic of this machine make background fetching
	// from the WAN yield, 0: none does. YieldRate is what it still takes then.
	YieldAbove, YieldRate int64

	// MaxPayloads bounds the have-lists remembered per peer, MaxHaveChunks their length together: a
	// list takes one bit for each chunk.
	MaxPayloads, MaxHaveChunks int
}

// DefaultConfig suits sites of a few to a few hundred machines on LANs of 100 Mbit/s and more.
func DefaultConfig() Config {
	return Config{
		PerPeerAsks: 4, FirstAsks: 1, MaxAskBytes: 8 << 20, LeastAskBytes: 3 << 20,
		ServeSlots: 6, FarSlots: 64, ServeQueue: 512,
		Patience: 300 * time.Millisecond, GainDelay: 240 * time.Millisecond, FirstCopy: 2 * time.Second,
		HedgeAfter: 2 * time.Second, EndgameHedgeAfter: 700 * time.Millisecond,
		WANMinBytes: 3 << 19, WANMaxBytes: 8 << 20, WANSpan: 250 * time.Millisecond,
		Sources:      DefaultSources(),
		LeaseSilence: 20 * time.Second,
		LeaseSettle:  30 * time.Millisecond, StartSettle: time.Second, JoinGrace: 4 * time.Second,
		TrailEvery: time.Second, TrailLife: 5 * time.Second, ClaimSettle: 200 * time.Millisecond, TrailPatience: 500 * time.Millisecond,
		OrphanWait:   8 * time.Second,
		LinkRetryMin: time.Second, LinkRetryMax: 15 * time.Second,
		AskRetry: 40 * time.Millisecond, DocPatience: 3 * time.Second, MaxDocAsks: 16,
		ReportMin: 250 * time.Millisecond, ReportPerUpdate: time.Millisecond, ReportLatest: 5 * time.Second, ProgressEvery: 200 * time.Millisecond,
		Heartbeat: 45 * time.Second, ReportResend: 3 * time.Second, MaxOutbox: 2048,
		ScanEvery: 22 * time.Hour, ScanFresh: 15 * time.Minute,
		InstallRetryMin: 30 * time.Second, InstallRetryMax: time.Hour,
		SiteCopies: 3, EvictSettle: 30 * time.Second, ForgetPeer: 60 * 24 * time.Hour, MaxAbsent: 1024,
		SpaceRetry: 2 * time.Second, EarlyPatience: 10 * time.Minute,
		ShunFor:            24 * time.Hour,
		StallAfter:         10 * time.Second,
		GateBatteryPercent: 40, GateFreeBytes: 512 << 20, Metered: UsePeersOnly, VPN: UsePeersOnly, YieldRate: 32 << 10,
		MaxPayloads: 8192, MaxHaveChunks: 8 << 20, // 1 MiB: 2 TiB of payloads in chunks of 256 KiB
	}
}

// Validate names every field that makes no sense, all at once.
func (c Config) Validate() error {
	var errs []error
	positive := func(name string, v int64) {
		if v <= 0 {
			errs = append(errs, fmt.Errorf("%s must be positive, is %d", name, v))
		}
	}
	positive("PerPeerAsks", int64(c.PerPeerAsks))
	positive("FirstAsks", int64(c.FirstAsks))
	positive("MaxAskBytes", c.MaxAskBytes)
	positive("LeastAskBytes", c.LeastAskBytes)
	positive("ServeSlots", int64(c.ServeSlots))
	positive("FarSlots", int64(c.FarSlots))
	positive("ServeQueue", int64(c.ServeQueue))
	positive("Patience", int64(c.Patience))
	positive("FirstCopy", int64(c.FirstCopy))
	positive("GainDelay", int64(c.GainDelay))
	positive("HedgeAfter", int64(c.HedgeAfter))
	positive("EndgameHedgeAfter", int64(c.EndgameHedgeAfter))
	positive("WANMinBytes", c.WANMinBytes)
	positive("WANSpan", int64(c.WANSpan))
	positive("LeaseSilence", int64(c.LeaseSilence))
	positive("TrailEvery", int64(c.TrailEvery))
	if c.TrailLife <= c.TrailEvery {
		errs = append(errs, fmt.Errorf("TrailLife %v does not outlast TrailEvery %v", c.TrailLife, c.TrailEvery))
	}
	positive("LinkRetryMin", int64(c.LinkRetryMin))
	positive("AskRetry", int64(c.AskRetry))
	positive("DocPatience", int64(c.DocPatience))
	positive("MaxDocAsks", int64(c.MaxDocAsks))
	positive("ReportMin", int64(c.ReportMin))
	positive("ReportLatest", int64(c.ReportLatest))
	positive("Heartbeat", int64(c.Heartbeat))
	positive("MaxOutbox", int64(c.MaxOutbox))
	positive("ScanEvery", int64(c.ScanEvery))
	positive("ScanFresh", int64(c.ScanFresh))
	positive("InstallRetryMin", int64(c.InstallRetryMin))
	positive("SpaceRetry", int64(c.SpaceRetry))
	positive("EarlyPatience", int64(c.EarlyPatience))
	positive("SiteCopies", int64(c.SiteCopies))
	positive("ForgetPeer", int64(c.ForgetPeer))
	positive("MaxAbsent", int64(c.MaxAbsent))
	positive("StallAfter", int64(c.StallAfter))
	positive("MaxPayloads", int64(c.MaxPayloads))
	positive("MaxHaveChunks", int64(c.MaxHaveChunks))
	if c.WANMaxBytes < c.WANMinBytes {
		errs = append(errs, fmt.Errorf("WANMaxBytes %d is below WANMinBytes %d", c.WANMaxBytes, c.WANMinBytes))
	}
	if c.LinkRetryMax < c.LinkRetryMin {
		errs = append(errs, fmt.Errorf("LinkRetryMax %v is below LinkRetryMin %v", c.LinkRetryMax, c.LinkRetryMin))
	}
	return errors.Join(append(errs, c.Sources.check())...)
}
