package policy

import (
	"time"

	"patchmesh/content"
)

// Machine is the facts that plans are made from.
type Machine struct {
	ID, Name, Site string
	Groups         []string
	OS, Arch       string         // as Go names them
	Zone           *time.Location // where its clock hangs, for windows in local time; nil: UTC
	Installers     []string       // kinds that this agent can handle here
	Detected       map[UpdateID]Detection
	Restart        PendingRestart

	// Inventory is what queries of groups are asked of; nil: not collected yet. It is never changed.
	Inventory *Inventory
	Claims    []string // groups that the machine says it is in, see Group.SelfJoin

	// What the machine's own people say: its local file, which may be stricter than what is signed, the
	// updates it holds back (patterns as path.Match reads them), and the wishes of its user.
	Local      map[string]string
	LocalHolds []string
	Wishes     map[UpdateID]Wish
	// LocalTrouble: the file cannot be read, so nobody knows what it would hold back. Empty: it can, or there is none.
	LocalTrouble string

	// What changes from moment to moment, see client.go. Zero: on mains power, nothing waits, nobody shuts it down.
	Power        Power
	Waits        map[UpdateID]Wait
	Met          map[UpdateID]Wait    // since when a revision is known to be meant for this machine
	SetBack      map[UpdateID]SetBack // changes that did not work here, see setback.go
	Unready      map[content.ID]bool  // by descriptor, changes that could not begin now: content is not whole here, or it is not their turn
	Ordered      UpdateID             // somebody else chooses among what is due, and this is it; empty: nobody does, see notOrdered
	ShuttingDown time.Duration        // how long the machine may still be used; 0: it is not being shut down

	// UserElsewhere: another process asks the user and keeps to the local file. The apply role must not
	// refuse what it cannot know; neither guards anything that a signature does not.
	UserElsewhere bool
}

// Detection is what was found of an update on the machine.
type Detection struct {
	Present bool
	Version string
	At      time.Time
	Err     Reason // looking did not work; empty: it did
	// Foreign says why the update is not for this machine, and Detail what was seen; empty: it is.
	Foreign Reason
	Detail  string // of Err or Foreign, for people
}
