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

// changes are those words of the standard library that an old Wine needs other ones for: by file, what to what. Words
// that a release of Go no longer has are left as they are.
var changes = map[string][2]string{
	// A variable of the library for its own tests: files are deleted as older Windows do.
	"src/internal/syscall/windows/at_windows.go": {"\nvar TestDeleteatFallback bool\n", "\nvar TestDeleteatFallback = true\n"},
	// What is asked of a socket a second time is what Wine knows.
	"src/net/fd_windows.go": {"windows.SIO_UDP_NETRESET,", "windows.SIO_UDP_NETRESET-windows.SIO_UDP_NETRESET+syscall.SIO_UDP_CONNRESET,"},
}

// overlay writes the changes as a file that "go build -overlay" reads.
func overlay(t testing.TB, dir string) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for name, words := range changes {
		source := filepath.Join(strings.TrimSpace(string(root)), filepath.FromSlash(name))
		b, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		replace[source] = filepath.Join(dir, filepath.Base(name)+".txt")
		if err := os.WriteFile(replace[source], bytes.Replace(b, []byte(words[0]), []byte(words[1]), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	doc, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), doc, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "overlay.json")
}
