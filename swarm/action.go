package swarm

import (
	"patchmesh/content"
	"patchmesh/policy"
)

// Action is a request to the driver, in the imperative. Those with a Req are answered by exactly
// one event; the others are not answered.
type Action interface{ isAction() }

type (
	// Link asks for a session with some seed across the WAN (Want) or says that none is needed.
	// Answered by PeerUp or LinkFailed as often as the state changes.
	Link struct{ Want bool }
	// Unlink closes the session with a peer that fell silent.
	Unlink struct {
		Peer   PeerID
		Reason policy.Reason
	}

	// Announce spreads the newest adopted head: as rumour and to every session but seeds.
	Announce struct{ Version int64 }
	// AskManifest fetches and verifies the documents behind the newest verified head.
	AskManifest struct {
		Req     Req
		From    PeerID
		Version int64
	}
	// AskDescriptor fetches a descriptor and its payload map; the driver looks at home first.
	// From is empty when only home is to be asked.
	AskDescriptor struct {
		Req  Req
		From PeerID
		ID   content.ID
	}

	// TellHave sends the full have-list of a payload to a neighbour.
	TellHave struct {
		To      PeerID
		Payload content.ID
		Want    bool
		Bits    *content.Bits // owned by the core: encode before returning
	}
	// TellSynced ends the first have-lists of a session.
	TellSynced struct{ To PeerID }
	// TellGained sends a delta to several neighbours, in this order. The slices are the core's own: valid until
	// the next Step.
	TellGained struct {
		To      []PeerID
		Payload content.ID
		Indexes []int
	}
	// TellLease sends a claim, or its end.
	TellLease struct {
		To      PeerID
		Payload content.ID
		Held    bool
	}
	// TellEgress tells a neighbour whether this machine may serve as egress now.
	TellEgress struct {
		To     PeerID
		Egress bool
	}

	// OpenPayload makes room in the store.
	OpenPayload struct {
		Req     Req
		Payload content.ID
	}
	// FetchChunk asks a neighbour for one chunk. Ahead is about how many bytes of the payload will be asked of it,
	// those of this chunk included: the driver may prepare for much.
	FetchChunk struct {
		Req     Req
		From    PeerID
		Payload content.ID
		Index   int
		Ahead   int64
	}
	// FetchOrigin asks a seed across the WAN or a machine of a neighbour site for one chunk or, where From is
	// empty, the web host that stands at Mirror in the signed description. Only a lease holder emits it. Ahead is as in FetchChunk.
	FetchOrigin struct {
		Req     Req
		From    PeerID
		Payload content.ID
		Index   int
		Mirror  int
		Ahead   int64
	}
	// CancelFetch withdraws a FetchChunk; the request still ends in its event.
	CancelFetch struct{ Req Req }
	// Serve sends a chunk that a peer asked for; ends in UploadEnded with the same Ref.
	Serve struct {
		Ref     uint64
		Payload content.ID
		Index   int
	}
	// RefuseUpload turns an ask down.
	RefuseUpload struct {
		Ref   uint64
		Class Class
	}
	// Assemble hashes the whole payload again and publishes it. Installs: an Install follows at once, and
	// since that hashes the whole as well, it may do for both.
	Assemble struct {
		Req      Req
		Payload  content.ID
		Installs bool
	}

	// Detect looks whether the update is on the machine.
	Detect struct {
		Req        Req
		Descriptor content.ID
	}
	// Install installs a payload that is whole. The intent has been saved.
	Install struct {
		Req        Req
		Descriptor content.ID
	}
	// Remove takes the update off the machine. The intent has been saved.
	Remove struct {
		Req        Req
		Descriptor content.ID
	}

	// Report makes a signed report of the present View with this number and keeps it in the outbox.
	Report struct{ Seq uint64 }
	// Forward sends a report from the outbox to the next hop.
	Forward struct {
		To      PeerID
		Machine PeerID
		Seq     uint64
	}

	// Save makes the snapshot durable before the next action begins.
	Save struct{ Snapshot Snapshot }
	// Note is said to people: logs, metrics, console.
	Note struct {
		Kind    NoteKind
		Peer    PeerID
		Update  policy.UpdateID
		Payload content.ID
		State   policy.State
		Reason  policy.Reason
		Text    string
	}
)

// NoteKind classifies a Note; metrics count by it.
type NoteKind string

// The kinds of notes.
const (
	NoteRefused NoteKind = "refused" // hostile or broken input was turned away
	NoteTask    NoteKind = "task"    // an update changed its state
	NoteLease   NoteKind = "lease"   // the WAN lease of a payload was claimed, lost or given up
	NoteNews    NoteKind = "news"    // a manifest was adopted
	NoteLink    NoteKind = "link"    // the way to the seed came or went
	NoteStore   NoteKind = "store"   // a payload was evicted, or damage was found
	NoteGate    NoteKind = "gate"    // this machine stopped or began to serve or to use the WAN
)

func (Link) isAction()          {}
func (Unlink) isAction()        {}
func (Announce) isAction()      {}
func (AskManifest) isAction()   {}
func (AskDescriptor) isAction() {}
func (TellHave) isAction()      {}
func (TellSynced) isAction()    {}
func (TellGained) isAction()    {}
func (TellLease) isAction()     {}
func (TellEgress) isAction()    {}
func (OpenPayload) isAction()   {}
func (FetchChunk) isAction()    {}
func (FetchOrigin) isAction()   {}
func (CancelFetch) isAction()   {}
func (Serve) isAction()         {}
func (RefuseUpload) isAction()  {}
func (Assemble) isAction()      {}
func (Detect) isAction()        {}
func (Install) isAction()       {}
func (Remove) isAction()        {}
func (Report) isAction()        {}
func (Forward) isAction()       {}
func (Save) isAction()          {}
func (Note) isAction()          {}
