package api

import (
	"context"
	"time"

	"patchmesh/policy"
)

// Surveyor tells what machines are: their inventory and their groups.
type Surveyor interface {
	// Inventory tells what is known of machines: of this one, or on a seed of any. ClassNotFound.
	Inventory(ctx context.Context, q InventoryQuery) (*Inventories, error)
	// Scan looks at this machine now: its inventory, and whether its updates are there.
	Scan(ctx context.Context, r ScanRequest) (*Scanned, error)
	// Groups lists the groups and who is in them, as far as this node knows.
	Groups(ctx context.Context, q GroupsQuery) (*Groups, error)
	// SetGroup makes, changes or drops a group. On a seed only.
	SetGroup(ctx context.Context, r GroupRequest) (*Published, error)
	// Claim says of this machine that it is in a group, or no more. ClassRefused where the group does not let it.
	Claim(ctx context.Context, r ClaimRequest) (*Claimed, error)
}

// InventoryQuery asks for inventories.
type InventoryQuery struct {
	Machine string `json:"machine,omitempty"` // id or name; empty: this one
	All     bool   `json:"all,omitempty"`     // every machine that is known here
	// Package narrows the lists of packages to names of this pattern (path.Match); none: all of them.
	Package string `json:"package,omitempty"`
}

// Inventories is the answer of Inventory.
type Inventories struct {
	AsOf     time.Time          `json:"as_of"`
	Machines []MachineInventory `json:"machines"`
}

// MachineInventory is what is known of one machine. All texts are the machine's own.
type MachineInventory struct {
	ID        string              `json:"id"`
	Name      string              `json:"name"`
	Site      string              `json:"site"`
	Groups    []policy.Membership `json:"groups"`
	Inventory *policy.Inventory   `json:"inventory,omitempty"` // nil: it has not reported any
	Detail    string              `json:"detail,omitempty"`    // why it is missing or not whole
}

// ScanRequest asks for a look at this machine.
type ScanRequest struct{}

// Scanned says what was found. The updates are looked for one after the other; 'status' shows the answers.
type Scanned struct {
	Machine   string           `json:"machine"`
	At        time.Time        `json:"at"`
	Packages  int              `json:"packages"`
	Updates   int              `json:"updates"` // that are being looked for
	Inventory policy.Inventory `json:"inventory"`
}

// GroupsQuery narrows Groups to those of one machine.
type GroupsQuery struct {
	Machine string `json:"machine,omitempty"` // id or name
}

// Groups is the answer of Groups.
type Groups struct {
	Epoch  uint64      `json:"epoch"`
	Groups []GroupInfo `json:"groups"`
	// Claims are what machines say of themselves and what does not count: for groups that are not there, or
	// that do not let them.
	Claims []GroupClaim `json:"claims"`
}

// GroupInfo is one group.
type GroupInfo struct {
	policy.Group
	BuiltIn  bool          `json:"built_in,omitempty"`
	Machines []GroupMember `json:"machines"`
}

// GroupMember is one machine in a group, or, with source unknown, perhaps in it.
type GroupMember struct {
	Machine string `json:"machine"`
	ID      string `json:"id"`
	Source  string `json:"source"`
	Detail  string `json:"detail,omitempty"`
}

// GroupClaim is a claim that does not count.
type GroupClaim struct {
	Machine string `json:"machine"`
	ID      string `json:"id"`
	Group   string `json:"group"`
	Source  string `json:"source"` // refused, no-such-group, or GroupUnlisted
	Detail  string `json:"detail,omitempty"`
}

// GroupUnlisted is the source of a group into which the machine was enrolled and that nothing signed lists.
const GroupUnlisted = policy.MemberUnlisted

// GroupRequest makes a group, in place of the one with the same name, or drops it.
type GroupRequest struct {
	Group      policy.Group `json:"group"`
	Drop       bool         `json:"drop,omitempty"`   // only the name counts
	Reason     string       `json:"reason,omitempty"` // for the approval log
	Passphrase Secret       `json:"passphrase,omitempty"`
}

// ClaimRequest says that this machine is in a group.
type ClaimRequest struct {
	Group string `json:"group"`
	Leave bool   `json:"leave,omitempty"`
}

// Claimed says what became of it.
type Claimed struct {
	Machine string   `json:"machine"`
	Claims  []string `json:"claims"` // all that this machine says
	Counts  bool     `json:"counts"` // the group is there and lets machines join
	Detail  string   `json:"detail,omitempty"`
}
