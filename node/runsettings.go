package node

import (
	"bytes"
	"encoding/json"
)

// runSettings are what the command line of the last run said that others have to know while nothing runs: the doctor
// looks at the file systems that are really used, and lets no more go than that run would have.
type runSettings struct {
	Root         string `json:"root,omitempty"`
	ApplySocket  string `json:"apply_socket,omitempty"`
	Sockets      string `json:"sockets,omitempty"`
	StoreQuota   string `json:"store_quota,omitempty"`
	StoreReserve string `json:"store_reserve,omitempty"`
}

const runSettingsKey = "run.settings"

// rememberRun keeps them. Most runs are like the one before and write nothing.
func (n *Node) rememberRun() {
	b, err := json.Marshal(runSettings{n.cfg.Root, n.cfg.ApplySocket, n.cfg.Sockets, n.cfg.StoreQuota, n.cfg.StoreReserve})
	if err != nil {
		return
	}
	if old, err := n.db.Value(runSettingsKey); err == nil && bytes.Equal(old, b) {
		return
	}
	if err := n.db.PutValue(runSettingsKey, b); err != nil {
		n.log.Warn("the settings of this run were not kept; while it is stopped the doctor looks at / alone", "err", err)
	}
}

// recallRun takes over those of the last run. A folder that never ran has none, and what cannot be read counts as none.
func (n *Node) recallRun() {
	b, err := n.db.Value(runSettingsKey)
	var s runSettings
	if err != nil || json.Unmarshal(b, &s) != nil {
		return
	}
	n.cfg.Root, n.cfg.ApplySocket, n.cfg.Sockets = s.Root, s.ApplySocket, s.Sockets
	n.cfg.StoreQuota, n.cfg.StoreReserve = s.StoreQuota, s.StoreReserve
}
