//go:build darwin || windows

package daemon

import (
	"context"
	"fmt"
	"os"

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
	go func() {
		err := p.run(ctx)
		if ctx.Err() == nil {
			// Nobody has asked it to end. The manager would go on believing that it runs: only a process that is gone
			// without a word is one that it starts again.
			os.Exit(1)
		}
		p.ended <- err
	}()
	return nil
}

// Stop implements service.Interface.
func (p *program) Stop(service.Service) error {
	p.cancel()
	return <-p.ended
}

func manager(s Spec, p *program) (service.Service, error) {
	return service.New(p, &service.Config{
		Name: "patchmesh", DisplayName: "patchmesh", Description: "approved updates, from machine to machine",
		Executable: s.Program, Arguments: s.Arguments(),
		// Of the Windows service manager. Without these a service that ends stays ended.
		Option: service.KeyValue{"OnFailure": "restart", "OnFailureDelayDuration": "5s", "OnFailureResetPeriod": 3600},
	})
}

// Arguments are those of the one service: the node, under the launcher where updates of patchmesh itself have a folder.
func (s Spec) Arguments() []string {
	run := append([]string{"run", "--data", s.DataDir}, s.RunArgs...)
	if s.Slots == "" {
		return run
	}
	return append([]string{"launch", "--slots", s.Slots, "--"}, run...)
}

// Under runs f as the service manager wants it, or at once where a person started it.
func Under(ctx context.Context, f func(context.Context) error) error {
	if service.Interactive() {
		ctx, stop := untilAsked(ctx)
		defer stop()
		return f(ctx)
	}
	s, err := manager(Spec{}, &program{ctx: ctx, run: f})
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return s.Run()
}

// Control installs, removes, starts or stops the one service of such a system. To install it again takes over what
// has changed.
func Control(s Spec, verb string) error {
	m, err := manager(s, &program{ctx: context.Background()})
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	if verb == "install" {
		if st, err := m.Status(); err == nil { // it is there
			if st == service.StatusRunning {
				_ = m.Stop()
			}
			if err := m.Uninstall(); err != nil {
				return fmt.Errorf("replace service: %w", err)
			}
		}
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
