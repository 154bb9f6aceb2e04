package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A brake is a seed's own stop, in the roster that its online key signs: where the keys of the approvers are elsewhere,
// a halt would else wait for them while machines go on failing. It holds one revision of one update, everywhere, for a
// few days at most. It can approve nothing, release nothing and lengthen nothing; a threshold ends it early by an
// exception, or makes a hold of it. Whoever has stolen a seed could as well stop renewing the head, so a brake
// gives a thief no more than a delay, and everybody is shown whose it is.
type Brake struct {
	Update   UpdateID  `json:"update"` // one: a thief stops no more than he names
	Revision int       `json:"revision"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
	Until    time.Time `json:"until"`
}

// Limits of brakes.
const (
	MaxBrakes    = 64
	MaxBrakeLife = 7 * day // as long as a head by default
	brakeSlack   = time.Hour
	brakePrefix  = "brake"
)

// ID names the brakes of one revision. It follows from what is braked, so that an exception that the approvers have
// signed meets every later brake of that revision too, however often an online key puts one on.
func (b Brake) ID() string {
	sum := sha256.Sum256([]byte(string(b.Update) + "\x00" + strconv.Itoa(b.Revision)))
	return brakePrefix + "." + hex.EncodeToString(sum[:6])
}

func compareBrakes(a, b Brake) int {
	return cmp.Or(strings.Compare(string(a.Update), string(b.Update)), cmp.Compare(a.Revision, b.Revision))
}

// checkBrakes is part of the roster's check.
func (r *Roster) checkBrakes() error {
	if len(r.Brakes) > MaxBrakes {
		return fmt.Errorf("%d brakes: %w", len(r.Brakes), ErrTooLarge)
	}
	for i, b := range r.Brakes {
		if _, err := ParseUpdateID(string(b.Update)); err != nil {
			return err
		}
		if b.Revision < 1 || b.Reason == "" || b.Update == AllUpdates {
			return fmt.Errorf("brake of %s revision %d, which is no single one, or without a reason: %w", b.Update, b.Revision, ErrFormat)
		}
		if b.At.IsZero() || b.At.After(r.IssuedAt) || !b.Until.After(b.At) || b.Until.Sub(b.At) > MaxBrakeLife {
			return fmt.Errorf("brake of %s from %s to %s, at most %d days: %w", b.Update, b.At.UTC().Format(time.RFC3339), b.Until.UTC().Format(time.RFC3339), MaxBrakeLife/day, ErrFormat)
		}
		if err := checkText("brake reason", b.Reason, maxReasonBytes); err != nil {
			return err
		}
		if i > 0 && compareBrakes(r.Brakes[i-1], b) >= 0 {
			return fmt.Errorf("brake of %s is out of order or double: %w", b.Update, ErrFormat)
		}
	}
	return nil
}

// Brake gives the roster with a brake, in place of one of the same revision. ErrFormat, ErrTooLarge.
func (r *Roster) Brake(b Brake) (*Roster, error) {
	b.At, b.Until = stamp(b.At), stamp(b.Until)
	next := *r
	next.Brakes = slices.DeleteFunc(slices.Clone(r.Brakes), func(o Brake) bool { return compareBrakes(o, b) == 0 })
	next.Brakes = append(next.Brakes, b)
	slices.SortFunc(next.Brakes, compareBrakes)
	if next.IssuedAt.Before(b.At) {
		next.IssuedAt = b.At // it is issued anew
	}
	if err := next.checkBrakes(); err != nil {
		return nil, fmt.Errorf("brake %s: %w", b.Update, err)
	}
	return &next, nil
}

// Unbrake gives the roster without some brakes; nil if none of them is there.
func (r *Roster) Unbrake(drop func(Brake) bool) *Roster {
	next := *r
	next.Brakes = slices.DeleteFunc(slices.Clone(r.Brakes), drop)
	if len(next.Brakes) == len(r.Brakes) {
		return nil
	}
	return &next
}

// holds are the brakes as holds of the manifest in force.
func (r *Roster) holds() []Hold {
	if r == nil {
		return nil
	}
	out := make([]Hold, 0, len(r.Brakes))
	for _, b := range r.Brakes {
		out = append(out, Hold{ID: b.ID(), Update: b.Update, Kind: HoldBrake, Reason: b.Reason, At: b.At, ExpiresAt: b.Until, role: RosterRole, revision: b.Revision})
	}
	return out
}

// HaltPrefix begins the ids of halts: holds that a ring plan has asked for.
const HaltPrefix = "ring-"

// Halt says whether a hold of the main approvers is one that a ring plan has asked for, since machines failed. Like a
// brake, whose place it takes, it was made by counting: so it may be opened for a machine that is known to be well.
func (h Hold) Halt() bool {
	return h.role == "" && h.Kind == HoldPause && h.Group == "" && h.Update != AllUpdates && strings.HasPrefix(h.ID, HaltPrefix)
}

// SameStop says of two holds whether they are a seed's brake and a halt of one update, or two halts of it: one stop, in
// two documents.
func (h Hold) SameStop(o Hold) bool {
	stop := func(h Hold) bool { return h.Kind == HoldBrake || h.Halt() }
	return h.Update == o.Update && stop(h) && stop(o) && (h.Halt() || o.Halt())
}

// early: a brake that begins far ahead of what is known to be the time was made by a thief to last longer.
func (h Hold) early(now time.Time) bool {
	return h.Kind == HoldBrake && h.At.After(now.Add(brakeSlack))
}

// Covers says whether a hold is about a revision of an update, on whatever machines.
func (h Hold) Covers(u UpdateID, revision int) bool {
	return (h.Update == u || h.Update == AllUpdates) && (h.revision == 0 || h.revision == revision)
}

// HeldEverywhere says whether a hold stops a revision on every machine: one of the approvers, of a role, or a seed's
// brake that they have not opened for all. signed is true for the first alone: a role's hold is its own to release, and
// answers nothing that the main approvers were asked.
func (m *Manifest) HeldEverywhere(u UpdateID, revision int, now time.Time) (held, signed bool) {
	all := map[string]int{GroupAll: 0}
	for _, h := range m.Holds {
		if h.Group != "" && h.Group != GroupAll || h.Match != nil || !h.Covers(u, revision) || h.Over(now) || h.early(now) {
			continue
		}
		if _, open := m.exceptionFor(h, all, Machine{}, now); open {
			continue
		}
		held, signed = true, signed || h.role == "" && h.Kind != HoldBrake
	}
	return held, signed
}

// Revision is the one that a brake is about; 0 for holds of every revision.
func (h Hold) Revision() int { return h.revision }

// AsSafeguard is a brake as approvers could have signed it, for documents that no online key has a part in; other holds
// stay as they are. ok is false where it is about another revision than the one approved.
func (h Hold) AsSafeguard(approved []Approval) (safeguard Hold, ok bool) {
	if h.Kind != HoldBrake {
		return h, true
	}
	ok = slices.ContainsFunc(approved, func(a Approval) bool { return h.Covers(a.Update, a.Revision) })
	h.Kind = HoldSafeguard
	return h, ok
}
