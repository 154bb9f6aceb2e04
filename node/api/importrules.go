package api

import (
	"encoding/json"
	"time"
)

// ImportRules are the signed rules of an update, as the documents that policy knows as conditions:
// whether it is for a machine, whether it is there, and whether the machine is well afterwards. Empty:
// the installer alone decides.
type ImportRules struct {
	Applicable    json.RawMessage `json:"applicable,omitempty"`
	Installed     json.RawMessage `json:"installed,omitempty"`
	Probe         json.RawMessage `json:"probe,omitempty"`
	ProbeSeconds  int             `json:"probe_seconds,omitempty"`
	MaxRunSeconds int             `json:"max_run_seconds,omitempty"`

	// Scripts before and after each install.
	Before *Hook `json:"before,omitempty"`
	After  *Hook `json:"after,omitempty"`

	// Properties that a file does not say of itself; empty: unknown, or what the file says.
	Version       string   `json:"version,omitempty"`
	Restart       string   `json:"restart,omitempty"`    // never, maybe, always
	Exclusive     string   `json:"exclusive,omitempty"`  // yes, no
	Disruptive    string   `json:"disruptive,omitempty"` // no: it stops no service, asks nobody and restarts nothing; yes
	AsksUser      string   `json:"asks_user,omitempty"`  // never, maybe, always
	NotRemovable  bool     `json:"not_removable,omitempty"`
	References    []string `json:"references,omitempty"` // advisories, knowledge base numbers
	Languages     []string `json:"languages,omitempty"`
	Licence       string   `json:"licence,omitempty"` // its text
	Prerequisites []string `json:"prerequisites,omitempty"`
	// Mitigates is the update that this one stands in for, until MitigationEnds.
	Mitigates      string    `json:"mitigates,omitempty"`
	MitigationEnds time.Time `json:"mitigation_ends,omitzero"`
	// Withdrawn: the vendor has taken the update back.
	Withdrawn bool `json:"withdrawn,omitempty"`
}
