package api

import "time"

// Eligible says whether chunks go one way now, and if not, why.
type Eligible struct {
	OK       bool      `json:"ok"`
	Reason   string    `json:"reason,omitempty"` // from the closed list
	Detail   string    `json:"detail,omitempty"`
	Until    time.Time `json:"until,omitzero"` // when that ends by itself; zero: nobody can say
	NextStep string    `json:"next_step,omitempty"`
}

// Ability is something that a machine does for its site or itself, if it is eligible.
type Ability struct {
	What string `json:"what"` // see AbilityTexts
	Eligible
}

// AbilityTexts say in words what a machine may be eligible for.
var AbilityTexts = map[string]string{
	"serve": "gives chunks to machines of its subnet",
	"far":   "gives chunks to other machines of its site",
	"fetch": "takes chunks",
	"wan":   "takes chunks over the WAN",
	"help":  "fetches for its site what it does not need itself",
}

// Text says it in words: "yes", or "no: host-battery (on battery, 30 % left)".
func (e Eligible) Text() string {
	if e.OK {
		return "yes"
	}
	text := "no: " + e.Reason
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	if !e.Until.IsZero() {
		text += " until " + e.Until.Local().Format("2006-01-02 15:04:05")
	}
	return Clean(text)
}
