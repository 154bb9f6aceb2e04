package swarm

import (
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// PeerID names a node of the mesh: the text of its libp2p peer ID. Empty means nobody.
type PeerID string

// SiteID names a site: the machines that share one WAN budget.
type SiteID string

// Req numbers a request. Every request ends in exactly one event that carries its number.
type Req uint64

// Event is a fact, told to the core in the past tense.
type Event interface{ isEvent() }

type (
	// Tick says that time has passed; it is due no later than Core.Wake.
	Tick struct{}

	// PeerUp says that a session with an admitted member is open.
	PeerUp struct {
		Peer       PeerID
		Site       SiteID
		Seed       bool
		Egress     bool
		SameSubnet bool
		Groups     []string // of its certificate
		Older      bool     // its program knows nothing of caches
		Linkless   bool     // its program does not know who is on Wi-Fi
		// Gives and Takes are for machines of other sites: signed policy lets this machine's site take chunks from
		// there, or lets that one take chunks from here.
		Gives, Takes bool
		// HeadVersion is the newest head that the peer says it has adopted, as far as this machine has
		// seen one signed, and Root the version of the root that it was judged by.
		HeadVersion int64
		Root        int64
	}
	// PeerChanged says that a peer gained or lost its way to the WAN.
	PeerChanged struct {
		Peer   PeerID
		Egress bool
	}
	// PeerSynced says that all the peer's have-lists have arrived.
	PeerSynced struct{ Peer PeerID }
	// PeerDown says that the session is gone.
	PeerDown struct{ Peer PeerID }
	// LinkFailed says that no seed could be reached although a Link was asked for.
	LinkFailed struct{}
	// EgressChanged says whether this machine has a route to a seed at all.
	EgressChanged struct{ Egress bool }

	// Heard says that a head whose signature holds was heard; From is empty for gossip. Root is the
	// version of the root whose keys it was judged by: it may be newer than the last ManifestArrived.
	Heard struct {
		From    PeerID
		Version int64
		Root    int64
	}
	// ManifestArrived says that a verified manifest is durable on this machine. Req is zero when
	// it was loaded at start or published here.
	ManifestArrived struct {
		Req       Req
		Version   int64 // of its head
		Root      int64 // version of the root behind it: a newer one may begin with lower head versions
		Manifest  *policy.Manifest
		ExpiresAt time.Time
	}
	// DescriptorArrived says that a verified descriptor and its payload map are at hand.
	DescriptorArrived struct {
		Req        Req
		ID         content.ID
		Descriptor *policy.Descriptor
		Payload    PayloadInfo
	}

	// HaveArrived is the full have-list of a peer for one payload.
	HaveArrived struct {
		From    PeerID
		Payload content.ID
		Want    bool
		Bits    *content.Bits
	}
	// GainedArrived says that a peer now holds more chunks.
	GainedArrived struct {
		From    PeerID
		Payload content.ID
		Indexes []int
	}
	// LostArrived says that a peer no longer holds the payload.
	LostArrived struct {
		From    PeerID
		Payload content.ID
	}
	// LeaseHeard says that a peer claims or gives up the WAN lease of a payload.
	LeaseHeard struct {
		From    PeerID
		Payload content.ID
		Held    bool
	}

	// PayloadOpened answers OpenPayload: the chunks that the store already has.
	PayloadOpened struct {
		Req     Req
		Payload content.ID
		Have    *content.Bits
	}
	// ChunkStored answers FetchChunk and FetchOrigin: the chunk was verified and is in the store.
	ChunkStored struct {
		Req   Req
		Bytes int64 // as stored and sent
		Fresh bool  // false: it was there already
	}
	// ChunksCarried says that chunks of removable media were verified and are in the store, which has Have
	// of the payload now. Nobody asked for them. Bytes are those that were new.
	ChunksCarried struct {
		Payload content.ID
		Have    *content.Bits
		Bytes   int64
	}
	// Assembled answers Assemble: the whole payload was hashed again and is published, or will be with the
	// install that was announced.
	Assembled struct{ Req Req }
	// UploadAsked says that a peer asks for a chunk. Ref names the ask at the driver.
	UploadAsked struct {
		From    PeerID
		Ref     uint64
		Payload content.ID
		Index   int
	}
	// UploadEnded says that a Serve is over, well or not, or that a waiting ask was withdrawn.
	UploadEnded struct {
		Ref   uint64
		Bytes int64
	}

	// Detected answers Detect.
	Detected struct {
		Req     Req
		Present bool
		Version string
		Foreign policy.Reason // why the update is not for this machine; empty: it is
		Detail  string        // of Foreign
	}
	// Installed answers Install and Remove: the machine was changed and detected again.
	Installed struct {
		Req     Req
		Version string
	}
	// InventoryChanged tells the facts about this machine that plans are made from.
	InventoryChanged struct{ Machine policy.Machine }

	// ReportQueued says that a report of a machine is durable in the outbox of this node.
	ReportQueued struct {
		Machine PeerID
		Seq     uint64
	}
	// ReportAcked says that the next hop has taken over a report.
	ReportAcked struct {
		Machine PeerID
		Seq     uint64
	}

	// Failed ends a request without result.
	Failed struct {
		Req    Req
		Class  Class
		Reason policy.Reason
		Detail string
		Facts  map[string]int64
	}
)

// Class says what a failure asks for.
type Class uint8

// The classes of failure, see architecture.md, Errors.
const (
	Retry  Class = iota // time may heal it
	Refuse              // these bytes or this peer are wrong
	Busy                // the peer is alive but has no slot now
	Absent              // the peer does not have it
)

// PayloadInfo is what the core needs to know of a payload map, and what the store has of it.
type PayloadInfo struct {
	ID          content.ID
	Chunks      int
	ChunkBytes  int // nominal stored bytes of one chunk, for budgets
	StoredBytes int64
	Have        *content.Bits // nil: nothing in the store
	Published   bool
	Mirrors     int // web hosts that have it, by the signed description
}

func (Tick) isEvent()              {}
func (PeerUp) isEvent()            {}
func (PeerChanged) isEvent()       {}
func (PeerSynced) isEvent()        {}
func (PeerDown) isEvent()          {}
func (LinkFailed) isEvent()        {}
func (EgressChanged) isEvent()     {}
func (Heard) isEvent()             {}
func (ManifestArrived) isEvent()   {}
func (DescriptorArrived) isEvent() {}
func (HaveArrived) isEvent()       {}
func (GainedArrived) isEvent()     {}
func (LostArrived) isEvent()       {}
func (LeaseHeard) isEvent()        {}
func (PayloadOpened) isEvent()     {}
func (ChunkStored) isEvent()       {}
func (ChunksCarried) isEvent()     {}
func (Assembled) isEvent()         {}
func (UploadAsked) isEvent()       {}
func (UploadEnded) isEvent()       {}
func (Detected) isEvent()          {}
func (Installed) isEvent()         {}
func (InventoryChanged) isEvent()  {}
func (ReportQueued) isEvent()      {}
func (ReportAcked) isEvent()       {}
func (Failed) isEvent()            {}
