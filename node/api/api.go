package api

import (
	"context"
	"io"
	"time"
)

// Service is everything people may ask of a node. Reads answer from the latest view; commands
// return once their effect is durable. All methods are safe for concurrent use.
type Service interface {
	Ceremony

	// Status tells the fleet (on a seed) or this machine and what it knows (elsewhere).
	// ClassNotFound when the query names a machine, update or group that is not known.
	Status(ctx context.Context, q StatusQuery) (*Fleet, error)
	// Explain gives the chain of facts from approval to today's state of one update on one machine.
	Explain(ctx context.Context, update, machine string) (*Explanation, error)
	// Node tells about the running node itself: addresses, peers, counters.
	Node(ctx context.Context) (*NodeInfo, error)

	// The rest answers on a seed only and is ClassRefused elsewhere.

	// Invite makes one join token.
	Invite(ctx context.Context, r InviteRequest) (*Invite, error)
	// EnrolRequests lists the machines that wait for an admin's word.
	EnrolRequests(ctx context.Context, q EnrolQuery) (*EnrolList, error)
	// DecideEnrol accepts or rejects one of them. ClassNotFound, ClassRefused if the token is used up.
	DecideEnrol(ctx context.Context, d EnrolDecision) (*EnrolRequest, error)
	// TrustLife says, or states, how long approvals count without news.
	TrustLife(ctx context.Context, r TrustLife) (*TrustLife, error)
	// EnrolKeys lists the keys whose membership certificates count.
	EnrolKeys(ctx context.Context) (*EnrolKeys, error)
	// ChangeEnrolKeys makes a new one, withdraws one, or both. ClassNotFound, ClassRefused.
	ChangeEnrolKeys(ctx context.Context, r EnrolKeyChange) (*EnrolKeys, error)
	// AnswerEnrol answers a sealed request that came on a stick. ClassRefused if it is for another seed.
	AnswerEnrol(ctx context.Context, r SealedRequest) (*SealedAnswer, error)
	// Import reads one payload of r.SizeBytes bytes from body into the catalogue.
	Import(ctx context.Context, r ImportRequest, body io.Reader) (*Imported, error)
	// Approve changes the draft, signs it with the keys at hand and publishes it if the threshold is met.
	Approve(ctx context.Context, r ApproveRequest) (*Published, error)
	// Hold adds a signed stop.
	Hold(ctx context.Context, r HoldRequest) (*Published, error)
	// Release ends a hold by its id.
	Release(ctx context.Context, r ReleaseRequest) (*Published, error)
	// Sign adds signatures with the keys at hand to the pending draft.
	Sign(ctx context.Context, r SignRequest) (*Published, error)
	// Revoke locks a machine out of the mesh, or lets it in again.
	Revoke(ctx context.Context, r RevokeRequest) (*Revoked, error)
	// Site states where the machines of a site may be, or tells it.
	Site(ctx context.Context, r SiteRequest) (*Site, error)
	// SetWindow makes, changes or drops a maintenance window.
	SetWindow(ctx context.Context, r WindowRequest) (*Published, error)
	// SetRings makes, changes or drops a ring plan.
	SetRings(ctx context.Context, r RingsRequest) (*Published, error)
	// Promote opens the next ring of an update's plan. ClassRefused where machines failed.
	Promote(ctx context.Context, r PromoteRequest) (*Published, error)
	// RecordEvidence notes that an update was tested; Evidence tells how its checks stand. Only on a seed.
	RecordEvidence(ctx context.Context, r EvidenceRequest) (*Evidence, error)
	Evidence(ctx context.Context, q EvidenceQuery) (*Evidence, error)
	// Rings tells the plans and how far updates have got along them. Only on a seed.
	Rings(ctx context.Context, q RingsQuery) (*Rings, error)
	// SetSetting states a client setting for a group, or takes it back.
	SetSetting(ctx context.Context, r SettingRequest) (*Published, error)
	// Policy tells the settings of a machine and where each comes from. ClassNotFound.
	Policy(ctx context.Context, q PolicyQuery) (*Policy, error)
	// Wish is the word of this machine's user on an update. ClassNotFound, ClassRefused beyond what policy allows.
	Wish(ctx context.Context, r WishRequest) (*WishTaken, error)
	// Windows tells the maintenance windows and when they open on a machine. ClassNotFound.
	Windows(ctx context.Context, q WindowsQuery) (*Windows, error)
}

// StatusQuery narrows Status; empty fields do not narrow.
type StatusQuery struct {
	Machine string `json:"machine,omitempty"` // id or name
	Update  string `json:"update,omitempty"`
	Group   string `json:"group,omitempty"`
}

// Fleet is the answer of Status.
type Fleet struct {
	Org     string    `json:"org"`
	Epoch   uint64    `json:"epoch"` // newest trusted manifest here; 0 before the first
	AsOf    time.Time `json:"as_of"`
	Stale   bool      `json:"stale,omitempty"`   // the timestamp expired: nothing new is taken up
	Reason  string    `json:"reason,omitempty"`  // node-wide trouble, from the closed list
	Detail  string    `json:"detail,omitempty"`  // facts for Reason
	Refused []Refusal `json:"refused,omitempty"` // newest last, bounded: what this node turned away
	// Attention is what waits for a person: brakes of a seed that approvers have not decided about.
	Attention []Attention `json:"attention,omitempty"`
	Machines  []Machine   `json:"machines"`
	// Vendors are of the updates in Machines whose payload was made around a vendor's file, each once.
	Vendors []UpdateVendor `json:"vendors,omitempty"`
	Drafts  []WaitingDraft `json:"drafts,omitempty"` // on a seed: what waits for signatures
}

// Refusal records hostile or broken input that this node turned away.
type Refusal struct {
	At     time.Time `json:"at"`
	Peer   string    `json:"peer,omitempty"`
	Reason string    `json:"reason"` // trust-bad-chunk, trust-bad-signature, trust-unknown-key, trust-rollback-epoch ...
	Detail string    `json:"detail,omitempty"`
	Count  int       `json:"count"`
}

// Machine is one row of the fleet.
type Machine struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Site        string    `json:"site"`
	Groups      []string  `json:"groups"`
	Online      bool      `json:"online"`
	Egress      bool      `json:"egress"`
	Cache       bool      `json:"cache,omitempty"` // it is a cache of its site
	WiFi        bool      `json:"wifi,omitempty"`  // it is on Wi-Fi
	LastContact time.Time `json:"last_contact,omitzero"`
	LastReport  time.Time `json:"last_report,omitzero"`
	LastScan    time.Time `json:"last_scan,omitzero"`
	Epoch       uint64    `json:"epoch"`
	Version     string    `json:"agent_version,omitempty"`
	// ReportVersion is that of what the machine reports; 0: of before there were any. See ReportVersion.
	ReportVersion int       `json:"report_version,omitempty"`
	Reason        string    `json:"reason,omitempty"` // machine-wide trouble
	Detail        string    `json:"detail,omitempty"`
	Refused       []Refusal `json:"refused,omitempty"`
	Traffic       *Traffic  `json:"traffic,omitempty"` // nil: nothing is limited
	Updates       []Update  `json:"updates"`
	// LeftOut is how many of its updates the machine's last report had no room for, of those that had not changed for
	// longest. What it said of them before is among Updates, if it did.
	LeftOut int `json:"updates_left_out,omitempty"`
	// BaselineMissing are updates of the baselines of its groups that it does not have.
	BaselineMissing []string `json:"baseline_missing,omitempty"`
}

// ReportVersion is the version of what machines report, which is their row of the fleet. It grows when something is added that a seed
// of before would not show; what is there keeps its name and its meaning for ever. So a seed takes every report, shows states,
// reasons and compliances that it does not know as they are, and says of which machines it may not show all.
const ReportVersion = 1

// Update is the state of one update on one machine.
type Update struct {
	Update     string    `json:"update"`
	Revision   int       `json:"revision"`
	Title      string    `json:"title,omitempty"`
	Compliance string    `json:"compliance"`
	State      string    `json:"state"`
	Reason     string    `json:"reason"`
	Detail     string    `json:"detail,omitempty"` // facts for Reason, for people: "needs 64.0 MiB, 12.1 MiB free"
	Since      time.Time `json:"since,omitzero"`
	SizeBytes  int64     `json:"size_bytes"`
	HaveBytes  int64     `json:"have_bytes"` // of StoredBytes
	Bytes      Bytes     `json:"bytes"`
	// StoredBytes is the payload as it travels and is stored: less than SizeBytes where it compresses.
	StoredBytes int64 `json:"stored_bytes"`
	SentBytes   int64 `json:"sent_bytes"` // given to other machines
	// Sources come with a report soon after the payload is whole, and every hour.
	Sources []Source `json:"sources,omitempty"`
	// Facts are the numbers behind Reason: disk-short has needed_bytes and free_bytes.
	Facts map[string]int64 `json:"facts,omitempty"`
	// Failures to install it, in a row, that were not the machine's own trouble, such as a full disk.
	Failures int `json:"failures,omitempty"`
	// RetryAt is when it is tried again after it failed, if approvals and windows allow it then. Approving it anew makes
	// it come at once.
	RetryAt time.Time `json:"retry_at,omitzero"`
	// Hold is the id of the hold that stops it; Excepted are holds that would, were it not for an exception.
	Hold     string     `json:"hold,omitempty"`
	Excepted []Excepted `json:"excepted,omitempty"`
	// StalledIn is what an update of state stalled was last known to do, Since when it began that.
	StalledIn string `json:"stalled_in,omitempty"`
}

// Bytes counts payload bytes by the tier they came from. Seed and Origin crossed the WAN.
type Bytes struct {
	Store     int64 `json:"store"`
	Subnet    int64 `json:"subnet"`
	Site      int64 `json:"site"`
	Cache     int64 `json:"cache"` // from a cache of the site, in whatever subnet
	Media     int64 `json:"media"`
	Neighbour int64 `json:"neighbour"`
	Seed      int64 `json:"seed"`
	Origin    int64 `json:"origin"`
	Wasted    int64 `json:"wasted"`    // failed verification
	Duplicate int64 `json:"duplicate"` // verified, but already there
}

// WAN is the part that crossed the WAN.
func (b Bytes) WAN() int64 { return b.Seed + b.Origin }

// Total is all that arrived and was kept.
func (b Bytes) Total() int64 {
	return b.Store + b.Subnet + b.Site + b.Cache + b.Media + b.Neighbour + b.Seed + b.Origin
}

// Explanation is a chain of facts that ends in a reason, an owner and a next step.
type Explanation struct {
	Update   string   `json:"update"`
	Machine  string   `json:"machine"`
	State    string   `json:"state"`
	Reason   string   `json:"reason"`
	Chain    []Fact   `json:"chain"`
	Owner    string   `json:"owner"` // admin, user, machine, network, update, nobody
	NextStep string   `json:"next_step"`
	Losing   []string `json:"losing_approvals,omitempty"`
}

// Fact is one link of the chain.
type Fact struct {
	At   time.Time `json:"at,omitzero"`
	Step string    `json:"step"` // approval, manifest, hold, plan, fetch, verify, install, report
	Text string    `json:"text"`
}

// NodeInfo tells about the running node.
type NodeInfo struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Org     string     `json:"org"`
	Site    string     `json:"site"`
	Seed    bool       `json:"seed"`
	Egress  bool       `json:"egress"`
	Cache   bool       `json:"cache,omitempty"` // this machine is a cache of its site
	WiFi    bool       `json:"wifi,omitempty"`  // this machine is on Wi-Fi
	Listen  string     `json:"listen"`
	Version string     `json:"agent_version"`
	Epoch   uint64     `json:"epoch"`
	Started time.Time  `json:"started"`
	Peers   []PeerInfo `json:"peers"`

	Membership *Membership `json:"membership,omitempty"`
	Traffic    *Traffic    `json:"traffic,omitempty"`
	Abilities  []Ability   `json:"abilities"` // what it gives and takes now, and what not
}

// PeerInfo is one connected peer.
type PeerInfo struct {
	ID         string `json:"id"`
	Site       string `json:"site"`
	Addr       string `json:"addr"`
	Seed       bool   `json:"seed"`
	Egress     bool   `json:"egress"`
	Cache      bool   `json:"cache,omitempty"`
	WiFi       bool   `json:"wifi,omitempty"` // by its own word
	BytesIn    int64  `json:"bytes_in"`       // payload bytes received
	BytesOut   int64  `json:"bytes_out"`      // payload bytes served
	Standing   string `json:"standing"`       // good, shunned
	ShunReason string `json:"shun_reason,omitempty"`

	Name             string    `json:"name,omitempty"`
	State            string    `json:"state"`          // connected, or away: a machine of the site that was there and is expected back
	Tier             string    `json:"tier,omitempty"` // on which its bytes count: subnet, site, neighbour, seed
	ConnectedAt      time.Time `json:"connected_at,omitzero"`
	SeenAt           time.Time `json:"seen_at,omitzero"` // last, of one that is away
	ShunnedUntil     time.Time `json:"shunned_until,omitzero"`
	RTTSeconds       float64   `json:"rtt_seconds,omitempty"` // zero: not known
	InBytesPerSec    float64   `json:"in_bytes_per_second"`   // smoothed over 20 s
	OutBytesPerSec   float64   `json:"out_bytes_per_second"`  //
	AsksOpen         int       `json:"asks_open"`             // chunks asked for and not answered yet
	Silences         int       `json:"silences"`              // asks in a row without an answer
	HeldPayloads     int       `json:"held_payloads"`         // approved ones of which it has anything
	HeldChunks       int       `json:"held_chunks"`           // whole chunks of them
	FetchingPayloads int       `json:"fetching_payloads"`     // that it is still fetching
	LackingPayloads  int       `json:"lacking_payloads"`      // of one that is away: that it was fetching when it left
	Gated            string    `json:"gated,omitempty"`       // why it serves nobody at present, by its own word
	Gives            Eligible  `json:"gives"`                 // chunks to this machine
	Takes            Eligible  `json:"takes"`                 // chunks from this machine
}

// InviteRequest asks for a join token. Zero Uses means 1, zero ExpiresIn means one hour.
type InviteRequest struct {
	Site      string        `json:"site"`
	Groups    []string      `json:"groups"`
	Uses      int           `json:"uses"`
	ExpiresIn time.Duration `json:"expires_in"`
	// ApproveEach: each machine needs an admin's word besides the token.
	ApproveEach bool `json:"approve_each,omitempty"`
	// NamePattern is a shell pattern ("till-*") that names of machines must match; empty: any.
	NamePattern string `json:"name_pattern,omitempty"`
}

// Invite is a join token. It is a secret: whoever holds it becomes a member of the mesh.
type Invite struct {
	Token     string    `json:"token"`
	Site      string    `json:"site"`
	Groups    []string  `json:"groups"`
	Uses      int       `json:"uses"`
	ExpiresAt time.Time `json:"expires_at"`

	ApproveEach bool   `json:"approve_each,omitempty"`
	NamePattern string `json:"name_pattern,omitempty"`
}

// ImportRequest describes a file for the catalogue. Empty metadata is read from the file where it has some.
type ImportRequest struct {
	FileName       string            `json:"file_name"` // base name only
	SizeBytes      int64             `json:"size_bytes"`
	ID             string            `json:"id,omitempty"`
	Title          string            `json:"title,omitempty"`
	Severity       string            `json:"severity,omitempty"`
	Classification string            `json:"classification,omitempty"`
	Product        string            `json:"product,omitempty"`
	CVEs           []string          `json:"cves,omitempty"`
	Installer      string            `json:"installer,omitempty"`
	InstallerArgs  map[string]string `json:"installer_args,omitempty"`
	Supersedes     []string          `json:"supersedes,omitempty"`
	// Origins are URLs of the same bytes at their vendor's, OriginHosts where their redirects may lead.
	Origins     []string     `json:"origins,omitempty"`
	OriginHosts []string     `json:"origin_hosts,omitempty"`
	Vendor      *VendorClaim `json:"vendor,omitempty"`
	ImportRules
}

// Imported says what Import made.
type Imported struct {
	Update      string `json:"update"`
	Revision    int    `json:"revision"`
	Title       string `json:"title"`
	Installer   string `json:"installer"`
	Descriptor  string `json:"descriptor"` // content id
	Payload     string `json:"payload"`    // content id of the payload map
	SizeBytes   int64  `json:"size_bytes"`
	StoredBytes int64  `json:"stored_bytes"` // what travels: less than SizeBytes where zstd helped
	Chunks      int    `json:"chunks"`
	SHA256      string `json:"sha256"`
	Unchanged   bool   `json:"unchanged,omitempty"` // the same revision was there already
	Listing     string `json:"listing,omitempty"`   // what becomes of it undecided, see ListingNext; empty: it is listed, or decided about

	Warnings []string `json:"warnings,omitempty"` // what its import says that leads nowhere as things are
}

// ApproveRequest changes what is approved. Passphrase opens the approver keys and is never stored.
type ApproveRequest struct {
	Update    string    `json:"update"`
	Also      []Revised `json:"also,omitempty"` // further updates: the same is said of each, signed together
	Group     string    `json:"group"`
	Action    string    `json:"action"` // empty: install
	NotBefore time.Time `json:"not_before,omitzero"`
	Deadline  time.Time `json:"deadline,omitzero"`
	LocalTime bool      `json:"local_time,omitempty"` // both are what each machine's own clock shows, written as if it were UTC
	Expedite  bool      `json:"expedite,omitempty"`

	Revision int  `json:"revision,omitempty"` // 0: the newest
	Withdraw bool `json:"withdraw,omitempty"` // take the approval of the group back; nothing else may be asked for then

	// IgnoreWindows lets it be installed while every maintenance window is closed.
	IgnoreWindows bool   `json:"ignore_windows,omitempty"`
	IgnoreBudget  bool   `json:"ignore_budget,omitempty"` // its content may pass the WAN budget of a site
	Rings         string `json:"rings,omitempty"`         // ring plan that it goes along; Group empty: all

	// DeadlineMinutes is a deadline that counts from when each ring is opened; with Rings alone, and instead of Deadline.
	DeadlineMinutes int `json:"deadline_minutes,omitempty"`

	Role       string `json:"role,omitempty"`   // delegated role that decides it; empty: the main approvers
	Reason     string `json:"reason,omitempty"` // for the approval log
	Passphrase Secret `json:"passphrase,omitempty"`
}

// MaxAlso bounds the further updates of a request.
const MaxAlso = 20000

// Revised names an update and its revision; 0: the newest.
type Revised struct {
	Update   string `json:"update"`
	Revision int    `json:"revision,omitempty"`
}

// HoldRequest adds a stop; Update may be "all", an empty Group means all machines.
type HoldRequest struct {
	Update string `json:"update"`
	Group  string `json:"group,omitempty"`
	Reason string `json:"reason"`
	Role   string `json:"role,omitempty"` // delegated role that holds; empty: the main approvers
	HoldScope
	Passphrase Secret `json:"passphrase,omitempty"`
}

// ReleaseRequest ends a hold. A hold of a delegated role is that role's to release: its id begins with
// the role's name and a dot.
type ReleaseRequest struct {
	Hold       string `json:"hold"`
	Reason     string `json:"reason,omitempty"` // for the approval log
	Passphrase Secret `json:"passphrase,omitempty"`
}

// SignRequest signs the pending draft.
type SignRequest struct {
	Role       string `json:"role,omitempty"`   // whose draft; empty: the main approvers
	Digest     string `json:"digest,omitempty"` // sign only the draft that was shown, see DraftView; empty: whatever it is
	Passphrase Secret `json:"passphrase,omitempty"`
}

// Published says what became of a change to the draft.
type Published struct {
	Epoch      uint64   `json:"epoch"`               // of the manifest that holds the change
	Published  bool     `json:"published"`           // false: signatures are missing
	Hold       string   `json:"hold,omitempty"`      // id of the hold that was added or released
	Exception  string   `json:"exception,omitempty"` // id of the exception that was made or taken back
	Signatures int      `json:"signatures"`          // made so far
	Threshold  int      `json:"threshold"`           // needed
	Missing    []string `json:"missing,omitempty"`   // ids of approver keys that have not signed
	Machines   int      `json:"machines"`            // enrolled machines that the change addresses
	Summary    string   `json:"summary"`             // what changed, one line
	Unchanged  bool     `json:"unchanged,omitempty"` // the draft said so already: nothing was published
	Role       string   `json:"role,omitempty"`      // the delegated role that decided; Epoch is its serial then

	DeadlineBy string `json:"deadline_by,omitempty"` // of an approval without a deadline: the setting that gives it one, NAME=VALUE for a group

	Changes []DraftChange `json:"changes,omitempty"` // what was shown before signing
	Listed  []string      `json:"listed,omitempty"`  // updates that join it as detect-only for all, since nobody has decided about them for all
	// Warnings are what the change does not do as its words may suggest, for people.
	Warnings []string `json:"warnings,omitempty"`
}
