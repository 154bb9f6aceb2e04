package restart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// waits is what people at terminals read while a restart waits. Nothing of it comes from an update.
const waits = "An update needs a restart of this machine. Please save your work, and restart it when it suits you. 'patchmesh notices' tells more."

// ErrNothingTells: this machine has no command that writes to people's terminals. They still see a restart that waits when
// they ask, and the system's own warning of one that is ordered.
var ErrNothingTells = errors.New("this machine has nothing that tells people at terminals")

const tellTime = 10 * time.Second

// TellWaits tells those who are signed in at a terminal that a restart waits, by the system's own command where there is
// one. It says nothing where this process is not the system's (root): another user's message is a nuisance that people
// can turn off, and that names the wrong sender. ErrNothingTells where there is none.
func (m *Machine) TellWaits(ctx context.Context) error {
	if !m.system() {
		return nil
	}
	run := m.Run
	if run == nil {
		if !privileged() {
			return nil
		}
		run = runTool
	}
	argv := tellCommand(waits)
	if len(argv) == 0 {
		return nil
	}
	if _, err := os.Stat(argv[0]); err != nil && m.Run == nil {
		return fmt.Errorf("%w: %w", ErrNothingTells, err) // a home edition has no msg.exe, a small system no wall
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	return run(ctx, argv)
}
