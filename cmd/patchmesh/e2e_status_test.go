//go:build linux

package main_test

import (
	"fmt"
	"strings"
)

// The JSON that interface.md promises, as an outsider would read it.
type fleetStatus struct {
	Epoch    uint64       `json:"epoch"`
	Machines []machineRow `json:"machines"`
	Refused  []refusalRow `json:"refused"`
}

type machineRow struct {
	Name    string       `json:"name"`
	Online  bool         `json:"online"`
	Epoch   uint64       `json:"epoch"`
	Updates []updateRow  `json:"updates"`
	Refused []refusalRow `json:"refused"`
}

type refusalRow struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

type updateRow struct {
	Update string           `json:"update"`
	State  string           `json:"state"`
	Reason string           `json:"reason"`
	Detail string           `json:"detail"`
	Facts  map[string]int64 `json:"facts"`
	Bytes  tierBytes        `json:"bytes"`
}

type tierBytes struct {
	Store     int64 `json:"store"`
	Subnet    int64 `json:"subnet"`
	Site      int64 `json:"site"`
	Media     int64 `json:"media"`
	Neighbour int64 `json:"neighbour"`
	Seed      int64 `json:"seed"`
	Origin    int64 `json:"origin"`
	Wasted    int64 `json:"wasted"`
	Duplicate int64 `json:"duplicate"`
}

func (b tierBytes) wan() int64 { return b.Seed + b.Origin }

func (b tierBytes) fetched() int64 {
	return b.Subnet + b.Site + b.Media + b.Neighbour + b.Seed + b.Origin
}

// status is the whole fleet, as the seed tells it.
func (f *fleet) status() fleetStatus {
	f.t.Helper()
	var s fleetStatus
	f.onSeed(&s, "status")
	return s
}

// update is the row of one update; zero where the machine has not told of it.
func (m machineRow) update(id string) updateRow {
	for _, u := range m.Updates {
		if u.Update == id {
			return u
		}
	}
	return updateRow{}
}

// rows are the branch's machines for one update, by name.
func (f *fleet) rows(id string) map[string]updateRow {
	f.t.Helper()
	rows := map[string]updateRow{}
	for _, m := range f.status().Machines {
		if f.machine(m.Name) != nil {
			rows[m.Name] = m.update(id)
		}
	}
	return rows
}

// told is a line about one update on all machines, for messages.
func (f *fleet) told(id string) string {
	rows := f.rows(id)
	var parts []string
	for _, m := range f.machines {
		r := rows[m.name]
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", m.name, r.State, r.Reason, r.Detail)))
	}
	return strings.Join(parts, ", ")
}
