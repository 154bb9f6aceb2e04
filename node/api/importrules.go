package api

import "encoding/json"

// ImportRules are the signed rules of an update, as the documents that policy knows as conditions:
// whether it is for a machine, whether it is there, and whether the machine is well afterwards. Empty:
// the installer alone decides.
type ImportRules struct {
	Applicable    json.RawMessage `json:"applicable,omitempty"`
	Installed     json.RawMessage `json:"installed,omitempty"`
	Probe         json.RawMessage `json:"probe,omitempty"`
	ProbeSeconds  int             `json:"probe_seconds,omitempty"`
	MaxRunSeconds int             `json:"max_run_seconds,omitempty"`
}
