package restart

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// bootName is the number that the system counts up each time it starts.
func bootName() (string, error) {
	const key = `SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters`
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, key, registry.QUERY_VALUE)
	if err != nil {
		return "", fmt.Errorf("read the number of this boot: %w", err)
	}
	defer k.Close()
	n, _, err := k.GetIntegerValue("BootId")
	if err != nil {
		return "", fmt.Errorf("read the number of this boot: %w", err)
	}
	return strconv.FormatUint(n, 10), nil
}

// askedBySystem looks for the keys that Windows makes while a restart is due. They have no time of their
// own: it counts from when the system was started.
func (m *Machine) askedBySystem() (time.Time, string, bool) {
	for _, k := range []struct{ key, why string }{
		{`SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending`, "the component store asks for it"},
		{`SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired`, "Windows Update asks for it"},
	} {
		h, err := registry.OpenKey(registry.LOCAL_MACHINE, k.key, registry.QUERY_VALUE|registry.WOW64_64KEY)
		if err != nil {
			continue
		}
		_ = h.Close()
		return time.Now().Add(-windows.DurationSinceBoot()).UTC().Truncate(time.Minute), k.why, true
	}
	return time.Time{}, "", false
}

// people counts the sessions in which somebody is active; Windows asks programs itself when it shuts down.
func (m *Machine) people() (users int, blockers []string) {
	var sessions *windows.WTS_SESSION_INFO
	var n uint32
	if err := windows.WTSEnumerateSessions(0, 0, 1, &sessions, &n); err != nil {
		return 0, nil
	}
	defer windows.WTSFreeMemory(uintptr(unsafe.Pointer(sessions)))
	for _, s := range unsafe.Slice(sessions, min(n, 4096)) {
		if s.State == windows.WTSActive {
			users++
		}
	}
	return users, nil
}

// goingDown: nothing that can be asked tells it on this system.
func goingDown(context.Context) bool { return false }

// commands warn people in any case: this system's own command does not restart without. /d
// says planned, operating system, security fix, for the system's own log.
func commands(delay time.Duration, _ bool) [][]string {
	return [][]string{{systemTool("shutdown.exe"), "/r", "/t", strconv.Itoa(int(delay / time.Second)), "/d", "p:2:17", "/c", warning}}
}

func runTool(ctx context.Context, argv []string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, clip(string(out)))
	}
	return nil
}
