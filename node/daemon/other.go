//go:build darwin || windows

package daemon

import (
	"context"
	"fmt"

	"github.com/kardianos/service"
)

// program is what the service manager starts and stops.
type program struct {
	ctx    context.Context
	run    func(context.Context) error
	cancel context.CancelFunc
	ended  chan error
}

// Start implements service.Interface; it must not wait.
func (p *program) Start(service.Service) error {
	ctx, cancel := context.WithCancel(p.ctx)
	p.cancel, p.ended = cancel, make(chan error, 1)
	go func() { p.ended <- p.run(ctx) }()
	return nil
}

// Stop implements service.Interface.
func (p *program) Stop(service.Service) error {
	p.cancel()
	return <-p.ended
}

func manager(s Spec, p *program) (service.Service, error) {
	args := append([]string{"run", "--data", s.DataDir}, s.RunArgs...)
	return service.New(p, &service.Config{
		Name: "patchmesh", DisplayName: "patchmesh", Description: "approved updates, from machine to machine",
		Executable: s.Program, Arguments: args,
	})
}

// Under runs f as the service manager wants it, or at once where a person started it.
func Under(ctx context.Context, f func(context.Context) error) error {
	if service.Interactive() {
		return f(ctx)
	}
	s, err := manager(Spec{}, &program{ctx: ctx, run: f})
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return s.Run()
}

// Control installs, removes, starts or stops the one service of such a system.
func Control(s Spec, verb string) error {
	m, err := manager(s, &program{ctx: context.Background()})
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	if err := service.Control(m, verb); err != nil {
		return fmt.Errorf("%s service: %w", verb, err)
	}
	return nil
}

// State tells whether the service is installed and runs.
func State() (UnitState, error) {
	m, err := manager(Spec{}, &program{ctx: context.Background()})
	if err != nil {
		return UnitState{}, fmt.Errorf("service manager: %w", err)
	}
	st, err := m.Status()
	u := UnitState{Unit: "patchmesh", Installed: err == nil, Active: err == nil && st == service.StatusRunning}
	return u, nil
}
