package winetest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Build makes a program for Windows in a folder: what "go build" makes of a package, or with test its test binary.
// flags are passed on. It returns the file.
func Build(t testing.TB, dir, pkg string, test bool, flags ...string) string {
	t.Helper()
	name := strings.NewReplacer("/", "_", ".", "").Replace(pkg) + ".exe"
	out := filepath.Join(dir, name)
	args := []string{"build"}
	if test {
		args = []string{"test", "-c"}
	}
	args = append(append(args, "-overlay", overlay(t, dir), "-o", out), flags...)
	c := exec.Command("go", append(args, pkg)...)
	c.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
	if b, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build %s for Windows: %v\n%s", pkg, err, b)
	}
	return out
}

// overlay lets the standard library delete files as older Windows do. It is a file that "go build -overlay" reads.
func overlay(t testing.TB, dir string) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "internal", "syscall", "windows", "at_windows.go")
	b, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	// A variable of the standard library for its own tests. Without it the source is left as it is.
	b = bytes.Replace(b, []byte("\nvar TestDeleteatFallback bool\n"), []byte("\nvar TestDeleteatFallback = true\n"), 1)
	changed := filepath.Join(dir, "at_windows.go.txt")
	if err := os.WriteFile(changed, b, 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), doc, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "overlay.json")
}
