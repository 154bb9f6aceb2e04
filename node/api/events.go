package api

import (
	"context"
	"time"
)

// EventLogger tells what happened on this machine. Every node has it.
type EventLogger interface {
	// Events reads this machine's event log. ClassUsage for a kind that there is not.
	Events(ctx context.Context, q EventQuery) (*EventLog, error)
}

// Kinds of events beside those of the core's notes.
const (
	EventStarted = "started" // the node began to work
	EventStopped = "stopped" // it was told to stop; missing after a crash
	EventDraft   = "draft"   // a draft on this seed waits for signatures
	EventWish    = "wish"    // a user of this machine accepted an update, took that back, or postponed it
	EventCarried = "carried" // this machine has packed for a site without a network, served it or handed in what came back

	// EventInstaller is what an installer printed. Of one that failed, with its reason, the first line of Detail says
	// what it was to do and how it ended, with its exit code if it had one.
	EventInstaller = "installer"
)

// MaxEvents is the most that one answer holds.
const MaxEvents = 5000

// EventQuery chooses events; zero fields choose all.
type EventQuery struct {
	Since  time.Time `json:"since,omitzero"`
	Update string    `json:"update,omitempty"`
	Kind   string    `json:"kind,omitempty"`
	Limit  int       `json:"limit,omitempty"` // newest so many; 0: MaxEvents
}

// EventLog is what a query has found, oldest first.
type EventLog struct {
	AsOf    time.Time `json:"as_of"`
	Machine string    `json:"machine"`
	Events  []Event   `json:"events"`
	More    bool      `json:"more,omitempty"` // older ones match too
}

// Event is one thing that happened on this machine.
type Event struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Update string    `json:"update,omitempty"`
	State  string    `json:"state,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Peer   string    `json:"peer,omitempty"`
	Detail string    `json:"detail,omitempty"`
}
