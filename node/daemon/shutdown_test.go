package daemon

import (
	"os"
	"strings"
	"testing"
)

// R-H10: the unit for the shutdown does nothing while the machine is on, is stopped before those that it needs, and
// is not waited for without end. A seed, which installs nothing, has none.
func TestRH10TheServiceManagerCallsAtShutdown(t *testing.T) {
	unit := spec().shutdownUnit()
	for _, want := range []string{
		"After=" + NetUnit + " " + ApplyUnit + "\n", "\nRemainAfterExit=yes\n", "\nTimeoutStopSec=31min\n",
		"\nExecStop=/usr/local/bin/patchmesh service at-shutdown --data /var/lib/patchmesh --within 30m\n", "\nUser=patchmesh\n",
	} {
		if !strings.Contains(unit, want) {
			t.Errorf("no %q in:\n%s", want, unit)
		}
	}
	if strings.Contains(unit, "ExecStart") {
		t.Errorf("it does something while the machine is on:\n%s", unit)
	}
	seed := spec()
	seed.Apply = false
	_, m := manage(t)
	m.DryRun = true
	for _, c := range []struct {
		s    Spec
		want bool
	}{{spec(), true}, {seed, false}} {
		r, err := m.Install(c.s)
		if err != nil {
			t.Fatal(err)
		}
		if _, has := r.Units[m.path(ShutdownUnit)]; has != c.want {
			t.Errorf("installs updates %v: has the unit %v", c.s.Apply, has)
		}
	}
	if _, err := os.Stat(m.path(ShutdownUnit)); err == nil {
		t.Error("a dry run wrote it")
	}
}
