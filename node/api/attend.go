package api

import (
	"context"
	"time"

	"patchmesh/policy"
)

// Attendant is what a machine does for those who use it. A Service may have it.
type Attendant interface {
	// Notices tells what policy has the people at this machine told now.
	Notices(ctx context.Context, q NoticesQuery) (*Notices, error)
	// AtShutdown installs, while the machine is being shut down, what policy lets be installed then. ClassRefused on
	// a machine that is not being shut down.
	AtShutdown(ctx context.Context, r ShutdownRequest) (*ShutdownDone, error)
}

// NoticesQuery asks for the notices of this machine.
type NoticesQuery struct{}

// Notices is the answer of Notices, as of now.
type Notices struct {
	Level string          `json:"level"` // none, restart-only or all
	List  []policy.Notice `json:"notices"`
	// Offers are the updates that wait for the user's word, for who asks: whatever Level and the quiet hours say.
	Offers []policy.Notice `json:"offers"`
	// WakeAt is when the machine should be awake for what waits for a window; zero: nothing, or policy wakes nobody.
	WakeAt time.Time `json:"wake_at,omitzero"`
	// Told is what people were told of restarts lately, the newest last; TellAt is when they are told again, if nothing changes.
	Told   []policy.Told `json:"told,omitempty"`
	TellAt time.Time     `json:"tell_at,omitzero"`
}

// ShutdownRequest says how long the machine may still be used.
type ShutdownRequest struct {
	Within time.Duration `json:"within_ns"` // at most policy.MaxShutdownRun counts
}

// ShutdownDone is what became of it.
type ShutdownDone struct {
	Installed []string          `json:"installed"`
	Failed    map[string]string `json:"failed,omitempty"` // why, by update
}
