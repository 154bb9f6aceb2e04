package inventory

import (
	"os"
	"path/filepath"
	"testing"
)

// R-B13: who made a machine and what he calls it is what the firmware says, in its own letters; what makers leave in
// every machine is no answer, so that a safeguard holds there rather than passes by.
func TestRB13TheFirmwareTellsMakerAndModel(t *testing.T) {
	for name, c := range map[string]struct{ files, want [2]string }{
		"a laptop":               {[2]string{"LENOVO\n", "20QD001 / X1\n"}, [2]string{"LENOVO", "20QD001 / X1"}},
		"a maker of two letters": {[2]string{"HP", "EliteBook 840 G8"}, [2]string{"HP", "EliteBook 840 G8"}},
		"a board of nobody":      {[2]string{"To Be Filled By O.E.M.", "System Product Name"}, [2]string{}},
		"says nothing":           {[2]string{"", "Default string"}, [2]string{}},
		"rewrites a terminal":    {[2]string{"Evil\x1b[2K", "a\nb"}, [2]string{line("Evil\x1b[2K"), line("a\nb")}},
	} {
		sys := t.TempDir()
		dmi := filepath.Join(sys, "class", "dmi", "id")
		if err := os.MkdirAll(dmi, 0o755); err != nil {
			t.Fatal(err)
		}
		for i, f := range []string{"sys_vendor", "product_name"} {
			if err := os.WriteFile(filepath.Join(dmi, f), []byte(c.files[i]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if v, m := makerIn(sys); v != c.want[0] || m != c.want[1] {
			t.Errorf("%s: %q %q", name, v, m)
		}
	}
	sys := t.TempDir()
	tree := filepath.Join(sys, "firmware", "devicetree", "base")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "model"), []byte("Raspberry Pi 4 Model B Rev 1.4\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	if v, m := makerIn(sys); v != "" || m != "Raspberry Pi 4 Model B Rev 1.4" {
		t.Errorf("a board with a device tree: %q %q", v, m)
	}
}
