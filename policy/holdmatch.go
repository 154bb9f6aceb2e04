package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// HoldMatch is the predicate of a safeguard: the machines on which an update is known to do harm. All that is
// set must fit.
type HoldMatch struct {
	OS        []string   `json:"os,omitempty"`        // one of these, as Go names them
	Arch      []string   `json:"arch,omitempty"`      // one of these, as Go names them
	Present   []UpdateID `json:"present,omitempty"`   // all of these are there
	Installer []string   `json:"installer,omitempty"` // the machine has all of these kinds
	// Query asks the inventory, as that of a group does: maker and model, distribution and version, installed
	// packages in the order of their package system, memory, the version of patchmesh.
	Query *Condition `json:"query,omitempty"`
}

const maxMatchNames = 32

// checkMatch: only a safeguard has a predicate, one that asks something; and a freeze has an end and is for
// everything, as calendars are.
func (h Hold) checkMatch() error {
	if h.Kind == HoldFreeze && (h.Update != AllUpdates || h.ExpiresAt.IsZero()) {
		return fmt.Errorf("freeze %s must be for all updates and have an end: %w", h.ID, ErrFormat)
	}
	m := h.Match
	if m == nil {
		return nil
	}
	n := len(m.OS) + len(m.Arch) + len(m.Present) + len(m.Installer)
	if m.Query != nil {
		if n++; m.Query.CheckQuery() != nil {
			return fmt.Errorf("hold %s: %w", h.ID, m.Query.CheckQuery())
		}
	}
	if h.Kind != HoldSafeguard || n == 0 || n > maxMatchNames {
		return fmt.Errorf("hold %s of kind %s has a predicate of %d names: %w", h.ID, h.Kind, n, ErrFormat)
	}
	for _, names := range [][]string{m.OS, m.Arch, m.Installer} {
		if err := checkNames("predicate", names); err != nil {
			return fmt.Errorf("hold %s: %w", h.ID, err)
		}
	}
	for _, u := range m.Present {
		if _, err := ParseUpdateID(string(u)); err != nil {
			return fmt.Errorf("hold %s: %w", h.ID, err)
		}
	}
	return nil
}

// fits says whether a machine is one of those. What is not known of it counts as fitting: a known issue is
// not to be met because a machine has not been looked at yet.
func (m *HoldMatch) fits(mach Machine) bool {
	if m == nil {
		return true
	}
	one := func(names []string, is string) bool { return len(names) == 0 || is == "" || slices.Contains(names, is) }
	if !one(m.OS, mach.OS) || !one(m.Arch, mach.Arch) {
		return false
	}
	for _, u := range m.Present {
		if d, seen := mach.Detected[u]; seen && d.Err == "" && !d.Present {
			return false
		}
	}
	for _, kind := range m.Installer {
		if mach.Installers != nil && !slices.Contains(mach.Installers, kind) {
			return false
		}
	}
	return m.Query == nil || m.Query.Evaluate(inventoryFacts{mach.Inventory, mach}).Truth != No
}

// String says all of a predicate in one line, for people.
func (m *HoldMatch) String() string {
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"os", m.OS}, {"architecture", m.Arch}, {"installer", m.Installer}} {
		if len(p.names) > 0 {
			parts = append(parts, p.what+" "+strings.Join(p.names, " or "))
		}
	}
	for _, u := range m.Present {
		parts = append(parts, string(u)+" installed")
	}
	if m.Query != nil {
		b, err := json.Marshal(m.Query)
		if err != nil {
			b = []byte("a query that cannot be shown")
		}
		parts = append(parts, "what fits "+string(b))
	}
	return strings.Join(parts, ", ")
}

// Validate says what is wrong with a hold. ErrFormat.
func (h Hold) Validate() error { return h.check() }
