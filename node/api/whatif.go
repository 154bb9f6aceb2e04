package api

import (
	"context"
	"time"
)

// Prophet tells what a forecast is made from. Only seeds have it.
type Prophet interface {
	// WhatIf gives the fleet as this seed knows it, with the approvals that would be in force if r were
	// signed. Nothing is signed or changed by it, and no passphrase is needed. ClassNotFound, ClassRefused.
	WhatIf(ctx context.Context, r ApproveRequest) (*Prospect, error)
}

// Prospect is a fleet as its seed knows it, and one approval that is not there yet.
type Prospect struct {
	AsOf         time.Time `json:"as_of"`
	Update       string    `json:"update"`
	Revision     int       `json:"revision"`
	PayloadBytes int64     `json:"payload_bytes"`
	// Manifest would be in force: the encoded document, unsigned. Descriptors are those that it names.
	Manifest    []byte   `json:"manifest"`
	Descriptors [][]byte `json:"descriptors"`
	Pending     bool     `json:"pending,omitempty"` // a draft with other changes waits; they are in Manifest too
	SeedSite    string   `json:"seed_site"`
	Zone        string   `json:"zone"` // of this seed: taken for machines that are not in Zones, and then told as a guess
	// Zones are those that machines have told, by id, in the form of policy.ParseZone.
	Zones    map[string]string `json:"zones,omitempty"`
	Sites    []ProspectSite    `json:"sites"`
	Machines []Machine         `json:"machines"` // without seeds and those that are locked out
}

// ProspectSite is what is known of a site's line.
type ProspectSite struct {
	Site string `json:"site"`
	// BytesPerSec is the fastest that a payload was seen to come over the line, and of which update; zero: none
	// was. The line can carry at least that.
	BytesPerSec float64 `json:"measured_bytes_per_second,omitempty"`
	MeasuredBy  string  `json:"measured_by,omitempty"`
	RTTSeconds  float64 `json:"rtt_seconds,omitempty"` // to this seed; zero: not known
	// The signed WAN budget, and what is spent by the reports; zero limits are none.
	DayLimit   int64  `json:"day_limit_bytes,omitempty"`
	MonthLimit int64  `json:"month_limit_bytes,omitempty"`
	DayBytes   int64  `json:"day_bytes,omitempty"`
	MonthBytes int64  `json:"month_bytes,omitempty"`
	Zone       string `json:"zone,omitempty"` // of the budget's days
	Strict     bool   `json:"strict,omitempty"`
}
