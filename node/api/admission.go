package api

import "time"

// RevokeRequest locks a machine out. Undo lets it in again.
type RevokeRequest struct {
	Machine string `json:"machine"` // id, or a name that only one machine has
	Reason  string `json:"reason,omitempty"`
	Undo    bool   `json:"undo,omitempty"`
}

// Revoked says what became of it. The news is on its way when it arrives.
type Revoked struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Site      string    `json:"site,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	At        time.Time `json:"at,omitzero"`
	Undone    bool      `json:"undone,omitempty"`
	Unchanged bool      `json:"unchanged,omitempty"` // it was locked out already
}

// SiteRequest states where the machines of a site may be, or asks for it when Prefixes is empty and
// Clear is not set.
type SiteRequest struct {
	Site     string   `json:"site"`
	Prefixes []string `json:"prefixes,omitempty"` // as 10.1.0.0/16
	Clear    bool     `json:"clear,omitempty"`
	// WANBudget is what its machines together may take over the WAN: day=SIZE, month=SIZE[@ZONE].
	WANBudget       []string `json:"wan_budget,omitempty"`
	WANBudgetStrict bool     `json:"wan_budget_strict,omitempty"` // no approval passes it, whatever it says
	// StaleDays is the staleness budget, for sites that are visited more rarely than certificates and
	// approvals last. Negative: none any more.
	StaleDays int `json:"stale_days,omitempty"`
	// Neighbours are the sites whose machines give chunks to machines of this one; "none" alone: none any more.
	Neighbours []string `json:"neighbours,omitempty"`
}

// Site is what the roster says of a site.
type Site struct {
	Site     string   `json:"site"`
	Prefixes []string `json:"prefixes"` // empty: each machine goes by the subnets it sees

	WANBudget       []string `json:"wan_budget,omitempty"` // day=SIZE, month=SIZE[@ZONE]
	WANBudgetStrict bool     `json:"wan_budget_strict,omitempty"`
	StaleDays       int      `json:"stale_days,omitempty"`
	Neighbours      []string `json:"neighbours,omitempty"` // sites that it may take chunks from
	Overlaps        []string `json:"overlaps,omitempty"`   // prefixes that others have stated too, and which counts
}
