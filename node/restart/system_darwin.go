package restart

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootName is the name that the kernel gives each boot.
func bootName() (string, error) {
	s, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return "", fmt.Errorf("read kern.bootsessionuuid: %w", err)
	}
	return s, nil
}

func (m *Machine) askedBySystem() (time.Time, string, bool) { return time.Time{}, "", false }

// people counts the sessions that who(1) lists; nothing tells what blocks a restart.
func (m *Machine) people() (users int, blockers []string) {
	out, err := exec.Command("/usr/bin/who").Output()
	if err != nil {
		return 0, nil
	}
	return strings.Count(string(out), "\n"), nil
}

// goingDown: nothing that can be asked tells it on this system.
func goingDown(context.Context) bool { return false }

// commands warn people in any case: this system's own command does not restart without.
func commands(delay time.Duration, _ bool) [][]string {
	when := "now"
	if delay > 0 {
		when = fmt.Sprintf("+%d", minutes(delay))
	}
	return [][]string{{"/sbin/shutdown", "-r", when, warning}}
}

func runTool(ctx context.Context, argv []string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, clip(string(out)))
	}
	return nil
}
