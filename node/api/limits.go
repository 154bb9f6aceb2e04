package api

import "time"

// Traffic is what a node may move at present, and why not more.
type Traffic struct {
	Limits []Limit  `json:"limits"`
	Budget *Budget  `json:"wan_budget,omitempty"` // nil: the site has none
	Gates  []Gate   `json:"gates"`                // closed ones
	Origin []Mirror `json:"origins,omitempty"`
	// Sources is the order in which chunks are asked for, where it is not the usual one; what is beyond the site and is not
	// named is never asked.
	Sources []string `json:"sources,omitempty"`
	// Yielding: background fetching over the WAN gives way to other traffic of the machine.
	Yielding bool `json:"yielding,omitempty"`
}

// Limit is a rate that holds now for one class of link (lan, site, wan) and direction (down, up).
type Limit struct {
	Class         string    `json:"class"`
	Dir           string    `json:"dir"`
	BytesPerSec   int64     `json:"bytes_per_second"`
	Off           bool      `json:"off,omitempty"`       // nothing may pass
	Unlimited     bool      `json:"unlimited,omitempty"` // at this hour
	Until         time.Time `json:"until,omitzero"`      // when it may change; zero: never
	WaitedSeconds float64   `json:"waited_seconds"`
	Why           string    `json:"why,omitempty"` // where nobody set it: wifi
	// From says where it comes from, and Group for which groups it is signed.
	From  string `json:"from,omitempty"`
	Group string `json:"group,omitempty"`
	// NowBytesPerSec is what sessions of this class have moved in this direction over the last while, all of it: chunks,
	// which the limit is for, and the trickle of news and reports.
	NowBytesPerSec int64 `json:"now_bytes_per_second,omitempty"`
}

// Where a limit comes from.
const (
	LimitDefault = "default"
	LimitFlag    = "flag"   // the command line of 'patchmesh run'
	LimitSigned  = "signed" // client policy
	LimitLocal   = "local"  // policy.json, where it is stricter than what is signed
)

// Text says what may pass and until when; off and unlimited are the words for nothing and for everything.
func (l Limit) Text(off, unlimited string) string {
	text := Rate(float64(l.BytesPerSec))
	switch {
	case l.Off:
		text = off
	case l.Unlimited:
		text = unlimited
	}
	if !l.Until.IsZero() {
		text += " until " + l.Until.Local().Format("Mon 15:04")
	}
	return text
}

// Source says in words where a limit comes from.
func (l Limit) Source() string {
	switch l.From {
	case LimitFlag:
		return "from --limit"
	case LimitSigned:
		return "signed for " + Clean(l.Group)
	case LimitLocal:
		return "from policy.json"
	case LimitDefault:
		if l.Why != "" {
			return "default on Wi-Fi"
		}
		return "default"
	}
	return ""
}

// Budget is what the machines of the site may take from the WAN, and have taken, in payload bytes. A zero
// limit is none.
type Budget struct {
	DayBytes   int64     `json:"day_bytes"`
	DayLimit   int64     `json:"day_limit_bytes,omitempty"`
	DayEnd     time.Time `json:"day_end"`
	MonthBytes int64     `json:"month_bytes"`
	MonthLimit int64     `json:"month_limit_bytes,omitempty"`
	MonthEnd   time.Time `json:"month_end"`
	Most       string    `json:"most_by,omitempty"` // id of the machine that took most this month
}

// Gate is something that this machine does not do at present.
type Gate struct {
	What   string `json:"what"` // serve, wan, fetch, help
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// Mirror is a web host that something was fetched from, or was to be.
type Mirror struct {
	Host   string `json:"host"`
	Bytes  int64  `json:"bytes"`
	Failed int64  `json:"failed"`
	Last   string `json:"last_error,omitempty"`
}

// Any says whether there is anything to tell.
func (t *Traffic) Any() bool {
	return len(t.Limits) > 0 || t.Budget != nil || len(t.Gates) > 0 || len(t.Origin) > 0 || len(t.Sources) > 0 || t.Yielding
}

// Text says it in words: "does not serve others: host-battery (on battery, 30 % left)".
func (g Gate) Text() string {
	what, ok := map[string]string{"serve": "serve others", "wan": "use the WAN", "fetch": "fetch at all", "help": "fetch for others"}[g.What]
	if !ok {
		what = g.What
	}
	text := "does not " + what + ": " + g.Reason
	if g.Detail != "" {
		text += " (" + g.Detail + ")"
	}
	return Clean(text)
}
