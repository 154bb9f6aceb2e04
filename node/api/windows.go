package api

import (
	"time"

	"patchmesh/policy"
)

// ZoneLocal as the zone of a window is that of each machine's own clock.
const ZoneLocal = policy.ZoneLocal

// WindowRequest makes a maintenance window, in place of the one with the same id, or drops it.
type WindowRequest struct {
	Window     policy.Window `json:"window"`
	Drop       bool          `json:"drop,omitempty"`   // only the id counts
	Reason     string        `json:"reason,omitempty"` // for the approval log
	Passphrase Secret        `json:"passphrase,omitempty"`
}

// WindowsQuery asks for the windows in force, and when the next ones open on a machine.
type WindowsQuery struct {
	Machine string `json:"machine,omitempty"` // id or name; empty: this one
	Count   int    `json:"count,omitempty"`   // openings to tell; 0: 5
}

// Windows is the answer of Windows.
type Windows struct {
	Windows  []policy.Window  `json:"windows"` // all in force, sorted by id
	Machine  string           `json:"machine"`
	Groups   []string         `json:"groups"`
	Anytime  bool             `json:"anytime"` // no window addresses the machine
	Openings []policy.Opening `json:"openings"`
	Zone     string           `json:"zone"` // where the clock hangs that windows in local time were read by
	// ZoneAssumed: windows in local time were read by the clock of the node that answers, not by that of the machine.
	ZoneAssumed bool      `json:"zone_assumed,omitempty"`
	AsOf        time.Time `json:"as_of"`
	Epoch       uint64    `json:"epoch"`
	// UnknownZones are of windows and limits of the machine that the node which answers does not know. A window there stays closed.
	UnknownZones []policy.LostZone `json:"unknown_zones,omitempty"`
}
