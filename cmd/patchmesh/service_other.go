//go:build darwin || windows

package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"patchmesh/node"
	"patchmesh/node/daemon"
)

const bothRoles = "one service does everything here: the process that speaks to the network also installs updates"

// serviceInstall makes one service of the node with its apply role.
func (a *app) serviceInstall(s serviceFlags) error {
	if err := needRoot(s.dryRun); err != nil {
		return err
	}
	if err := s.fill(a.data); err != nil {
		return err
	}
	if s.spec.Apply && runtime.GOOS == "windows" { // a seed installs nothing, so nothing updates it
		s.spec.Slots = node.DefaultSlots
	}
	r := &daemon.Report{Steps: []daemon.Done{{What: fmt.Sprintf("service patchmesh: %s %s", s.spec.Program, strings.Join(s.spec.Arguments(), " ")), Changed: true}}, Note: bothRoles}
	if !s.dryRun {
		if s.spec.Slots != "" {
			if err := node.PrepareSlots(s.spec.Slots, s.spec.Program, version); err != nil {
				return err
			}
		}
		for _, verb := range []string{"install", "start"} {
			if err := daemon.Control(s.spec, verb); err != nil {
				return err
			}
		}
		r.Started = true
	}
	return a.print(r, func(w io.Writer) { writeServiceReport(w, r) })
}

func removeServices(dryRun bool) (*daemon.Report, error) {
	r := &daemon.Report{Steps: []daemon.Done{{What: "service patchmesh", Changed: true}}, Note: "data and keys stay"}
	if dryRun {
		return r, nil
	}
	_ = daemon.Control(daemon.Spec{}, "stop") // it may be stopped already
	return r, daemon.Control(daemon.Spec{}, "uninstall")
}

func serviceStates() (serviceState, error) {
	u, err := daemon.State()
	return serviceState{Running: true, Units: []daemon.UnitState{u}}, err
}
