package restart

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
)

// R-C6: what is run has a fixed program, an argument list and a text of ours; another root is nobody's terminal.
func TestRC6TellingRunsTheSystemsOwnCommandWithATextOfOurs(t *testing.T) {
	var ran [][]string
	run := func(_ context.Context, argv []string) error { ran = append(ran, argv); return nil }
	if err := (&Machine{Root: t.TempDir(), Run: run}).TellWaits(context.Background()); err != nil || len(ran) > 0 {
		t.Errorf("another root: %q, %v", ran, err)
	}
	if err := (&Machine{Run: run}).TellWaits(context.Background()); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "darwin" {
		return // nothing there takes a message
	}
	if len(ran) != 1 || ran[0][len(ran[0])-1] != waits {
		t.Fatalf("%q", ran)
	}
	for _, a := range ran[0] {
		if strings.ContainsAny(a, "\n\r\x1b\x00") {
			t.Errorf("%q", a)
		}
	}
	if runtime.GOOS == "linux" && ran[0][0] != "/usr/bin/wall" {
		t.Errorf("%q", ran[0])
	}
}

// R-C6: where nothing writes to terminals, that is an answer for the log and not silence.
func TestRC6AMachineWithoutATellerSaysSo(t *testing.T) {
	argv := tellCommand(waits)
	if len(argv) == 0 || !privileged() {
		t.Skip("this process tells nobody on this system")
	}
	if _, err := os.Stat(argv[0]); err == nil {
		t.Skipf("%s is here, and would tell people", argv[0])
	}
	if err := (&Machine{}).TellWaits(context.Background()); !errors.Is(err, ErrNothingTells) {
		t.Errorf("%v", err)
	}
}
