package daemon

import (
	"strings"
	"testing"
)

func TestRJ11BothServicesStartThroughThePointer(t *testing.T) {
	for name, unit := range map[string]string{NetUnit: spec().netUnit(), ApplyUnit: spec().applyUnit()} {
		if !strings.Contains(unit, "ExecStart=/usr/local/bin/patchmesh launch --slots /usr/local/lib/patchmesh -- ") {
			t.Errorf("%s does not start through the launcher:\n%s", name, unit)
		}
		if !strings.Contains(unit, "Restart=on-failure") { // a version that makes room ends with an exit code of its own
			t.Errorf("%s is not started again:\n%s", name, unit)
		}
	}
}
