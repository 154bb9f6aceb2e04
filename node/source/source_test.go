package source

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// buildDeb makes a real package with Debian's own tool.
func buildDeb(t testing.TB, compression string) []byte {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not on this system: there is nothing to make real packages with")
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "p", "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	control := "Package: hello-mesh\nVersion: 1:2.0-1~deb12u1\nArchitecture: arm64\nMaintainer: N N <n@example.org>\n" +
		"Pre-Depends: dpkg (>= 1.20)\nDepends: libc6\nDescription: says hello\n to everybody\n"
	if err := os.WriteFile(filepath.Join(dir, "p", "DEBIAN", "control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "x.deb")
	if b, err := exec.Command("dpkg-deb", "-Z"+compression, "--build", filepath.Join(dir, "p"), out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRealPackagesTellWhatTheyAre(t *testing.T) {
	for _, z := range []string{"xz", "gzip", "none", "zstd"} {
		m, err := Describe("x.deb", bytes.NewReader(buildDeb(t, z)))
		if err != nil {
			t.Fatalf("%s: %v", z, err)
		}
		want := Meta{
			DefaultID: "hello-mesh-1-2.0-1~deb12u1", Title: "hello-mesh 1:2.0-1~deb12u1: says hello", Installer: "deb",
			Package: "hello-mesh", Version: "1:2.0-1~deb12u1", Arch: "arm64", Depends: "dpkg (>= 1.20), libc6",
		}
		if m != want {
			t.Errorf("%s:\n%+v, want\n%+v", z, m, want)
		}
	}
}

func TestOtherFilesAreFiles(t *testing.T) {
	m, err := Describe("Über Update (2).bin", bytes.NewReader(nil))
	if err != nil || m.Installer != "file" || m.DefaultID != "ber-update-2-.bin" {
		t.Fatalf("%+v, %v", m, err)
	}
}

func TestDamagedPackagesAreRefused(t *testing.T) {
	b := buildDeb(t, "xz")
	for name, x := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "cut": b[:100], "another magic": append([]byte("!<ARCH>\n"), b[8:]...),
	} {
		if _, err := Describe("x.deb", bytes.NewReader(x)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range []string{
		"Package: ../../etc\nVersion: 1\nArchitecture: all\n", "Package: ok\nVersion: $(id)\nArchitecture: all\n",
		"Package: ok\nVersion: 1\nArchitecture: vax\n", "Version: 1\n", "",
	} {
		if m, err := parseControl(c); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %+v, %v", c, m, err)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add([]byte("!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n"))
	f.Add(zstdDeb(f, 100))
	if _, err := exec.LookPath("dpkg-deb"); err == nil {
		f.Add(buildDeb(f, "gzip"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Describe("x.deb", bytes.NewReader(b))
		if err == nil && (!debPackage.MatchString(m.Package) || m.DefaultID == "") {
			t.Fatalf("%+v", m)
		}
	})
}
