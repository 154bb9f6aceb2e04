package restart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// bootName is the name that the kernel gives each boot.
func bootName() (string, error) { return firstLine("/proc/sys/kernel/random/boot_id") }

func firstLine(path string) (string, error) {
	b, err := readSmall(path)
	line, _, _ := strings.Cut(string(b), "\n")
	if err == nil && strings.TrimSpace(line) == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return strings.TrimSpace(line), nil
}

const maxSmallFile = 64 << 10

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSmallFile))
}

// askedBySystem: distributions that do not leave Debian's marker say it in ways of their own.
func (m *Machine) askedBySystem() (time.Time, string, bool) { return time.Time{}, "", false }

// maxEntries bounds a folder that any user can fill.
const maxEntries = 4096

// people counts the users who are signed in, and names what blocks a restart. systemd keeps a small file
// for each session and each lock.
func (m *Machine) people() (users int, blockers []string) {
	root := cmpRoot(m.Root)
	eachFile(filepath.Join(root, "run/systemd/sessions"), func(f map[string]string) {
		if strings.HasPrefix(f["CLASS"], "user") && f["STATE"] != "closing" {
			users++
		}
	})
	eachFile(filepath.Join(root, "run/systemd/inhibit"), func(f map[string]string) {
		if f["MODE"] == "block" && strings.Contains(":"+f["WHAT"]+":", ":shutdown:") {
			blockers = append(blockers, clip(f["WHO"])+": "+clip(f["WHY"]))
		}
	})
	return users, sortedUnique(blockers)
}

// eachFile reads the KEY=VALUE lines of the files in a folder.
func eachFile(dir string, take func(map[string]string)) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxEntries)
	for _, name := range names {
		path := filepath.Join(dir, name)
		if fi, err := os.Lstat(path); err != nil || !fi.Mode().IsRegular() { // sessions have pipes beside them
			continue
		}
		b, err := readSmall(path)
		if err != nil {
			continue
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(b)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				fields[key] = strings.Trim(value, `"`)
			}
		}
		take(fields)
	}
}

// commands are tried one after the other.
func commands(delay time.Duration, silent bool) [][]string {
	if silent && delay > 0 {
		return [][]string{{"/sbin/shutdown", "-r", "--no-wall", fmt.Sprintf("+%d", minutes(delay))}}
	}
	if delay == 0 {
		return [][]string{{"/usr/bin/systemctl", "reboot"}, {"/sbin/shutdown", "-r", "now", warning}}
	}
	return [][]string{{"/sbin/shutdown", "-r", fmt.Sprintf("+%d", minutes(delay)), warning}}
}

// goingDown asks systemd, which says "stopping" from the moment in which a shutdown, halt or restart begins.
func goingDown(ctx context.Context) bool {
	cmd := exec.CommandContext(ctx, "/usr/bin/systemctl", "is-system-running")
	cmd.Dir, cmd.Env = "/", []string{"LC_ALL=C"}
	out, _ := cmd.Output() // its exit code is a failure for everything but "running"
	return strings.TrimSpace(string(out)) == "stopping"
}

func runTool(ctx context.Context, argv []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, clip(string(out)))
	}
	return nil
}
