package cmd

import (
	"os/exec"
	"strings"
	"testing"
)

// maxModules bounds what is linked into the product: each module is somebody who could change what runs
// as root on every machine.
const maxModules = 80

func TestProductLinksFewModules(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./patchmesh").Output()
	if err != nil {
		t.Skipf("the go tool is needed to list what is linked: %v", err)
	}
	modules := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if m := strings.TrimSpace(line); m != "" && m != "patchmesh" {
			modules[m] = true
		}
	}
	if len(modules) < 20 {
		t.Fatalf("only %d modules were listed: the list cannot be right", len(modules))
	}
	t.Logf("%d modules", len(modules))
	if len(modules) > maxModules {
		t.Errorf("%d modules are linked into the product, at most %d may be", len(modules), maxModules)
	}
}
