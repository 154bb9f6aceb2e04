package main

import (
	"io"
	"os"
	"path/filepath"
	"time"

	"patchmesh/node"
	"patchmesh/node/api"
	"patchmesh/node/daemon"
)

func (a *app) serviceInstall(s serviceFlags) error {
	if err := needRoot(s.dryRun); err != nil {
		return err
	}
	if err := s.fill(a.data); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.spec.DataDir, "state.db")); err != nil && !s.dryRun {
		return api.Errorf(api.ClassUsage, "%s belongs to no mesh yet", s.spec.DataDir).
			WithHint("enrol this machine first: 'patchmesh join TOKEN --data %s'", s.spec.DataDir)
	}
	if s.spec.Apply { // a seed installs nothing, so nothing updates it
		s.spec.Slots = node.DefaultSlots
	}
	m := daemon.Manager{
		Sys: daemon.Linux{}, UnitDir: daemon.SystemdUnits, DryRun: s.dryRun,
		Prepared: func() bool { return node.ApplyPrepared(s.spec.ApplyState) },
		Prepare: func() error {
			_, err := node.PrepareApply(s.spec.ApplyState, s.spec.DataDir, false, time.Now)
			return err
		},
		PrepareSlots: func() error { return node.PrepareSlots(s.spec.Slots, s.spec.Program, version) },
		SlotsReady:   func() bool { return node.SlotsReady(s.spec.Slots, s.spec.Program, version) },
	}
	r, err := m.Install(s.spec)
	if err != nil {
		return err
	}
	return a.print(r, func(w io.Writer) { writeServiceReport(w, r) })
}

func removeServices(dryRun bool) (*daemon.Report, error) {
	return daemon.Manager{Sys: daemon.Linux{}, UnitDir: daemon.SystemdUnits, DryRun: dryRun}.Remove()
}

func serviceStates() (serviceState, error) {
	units, running := daemon.Manager{Sys: daemon.Linux{}, UnitDir: daemon.SystemdUnits}.Status()
	return serviceState{Running: running, Units: units}, nil
}
