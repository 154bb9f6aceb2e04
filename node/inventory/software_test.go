package inventory

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/policy"
)

func plantRoot(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func stanza(name, status, version string) string {
	return fmt.Sprintf("Package: %s\nStatus: %s\nPriority: optional\nArchitecture: amd64\nVersion: %s\nConffiles:\n /etc/x 0123\nDescription: short\n Version: 9 in a description\n .\n\n", name, status, version)
}

// R-G1: dpkg's own file tells what is there: whatever its files are on the machine for, and nothing that was removed.
func TestRG1StatusOfDpkgIsReadAsDpkgMeansIt(t *testing.T) {
	text := stanza("a", "install ok installed", "1.0") + stanza("b", "deinstall ok config-files", "2.0") + stanza("c", "install ok half-configured", "1:3.0-1") +
		stanza("d", "install reinstreq half-installed", "4") + stanza("e", "hold ok installed", "5") + "Package: cut\nStatus: install ok installed\nVersion: 6"
	got, err := ParseStatus(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range got {
		names = append(names, p.Name+"="+p.Version)
	}
	if want := []string{"a=1.0", "c=1:3.0-1", "e=5", "cut=6"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	long := "Package: x\nStatus: install ok installed\nVersion: 1\nDescription: " + strings.Repeat("a", 300_000) + "\n\n" + stanza("y", "install ok installed", "2")
	if got, err := ParseStatus(strings.NewReader(long)); err != nil || len(got) != 2 || got[1].Name != "y" {
		t.Errorf("a long line: %v, %v", got, err)
	}
	if _, err := ParseStatus(strings.NewReader(strings.Repeat("Package: x\nStatus: install ok installed\n\n", 4*policy.MaxPackages+2))); err == nil {
		t.Error("a database without end was read to its end")
	}
}

// R-G1: below another root it is that one's packages and distribution, and a damaged database is told, not guessed at.
func TestRG1InventoryBelowARoot(t *testing.T) {
	root := plantRoot(t, map[string]string{
		"var/lib/dpkg/status": stanza("openssl", "install ok installed", "3.0.14-1"), "etc/os-release": "NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n",
	})
	q := Question{Root: root, DataDir: root, Agent: "1.2", Now: time.Unix(1e9, 0)}
	v := Collect(context.Background(), q)
	if err := v.Check(); err != nil {
		t.Fatal(err)
	}
	if v.OS != runtime.GOOS || v.Agent != "1.2" || v.DiskBytes <= 0 || v.FreeBytes > v.DiskBytes || len(v.Packages) != 1 || v.Packages[0].Version != "3.0.14-1" || v.Truncated {
		t.Errorf("%+v", v)
	}
	if runtime.GOOS == "linux" && (v.Distribution != "debian" || v.Version != "12" || v.MemoryBytes <= 0 || v.BootedAt.IsZero() || v.Kernel == "") {
		t.Errorf("%+v", v)
	}
	if len(v.Systems) != 1 || v.Systems[0] != (policy.PackageSystem{Name: policy.SystemDeb}) {
		t.Errorf("systems %+v", v.Systems)
	}
	before := Stamp(root)
	if before != Stamp(root) {
		t.Error("the stamp of an unchanged root changes")
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), []byte(stanza("openssl", "install ok installed", "3.0.15-1")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if Stamp(root) == before {
		t.Error("an upgrade went unnoticed")
	}
	if err := os.Remove(filepath.Join(root, "var/lib/dpkg/status")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "var/lib/dpkg/status"), 0o755); err != nil {
		t.Fatal(err)
	}
	v = Collect(context.Background(), q)
	if len(v.Systems) != 1 || v.Systems[0].Error == "" || strings.Contains(v.Systems[0].Error, root) {
		t.Errorf("a database that is a folder: %+v", v.Systems)
	}
	if _, err := v.Installed(policy.SystemDeb, "openssl"); err == nil {
		t.Error("what cannot be read is said to be missing")
	}
	if v := Collect(context.Background(), Question{Root: t.TempDir(), DataDir: root}); len(v.Systems) != 0 || v.Check() != nil {
		t.Errorf("a root without packages: %+v", v.Systems)
	}
}

// R-G1: what rpm writes is read line by line; epochs are part of versions, keys are no packages.
func TestRG1ListOfRPM(t *testing.T) {
	got, err := ParseRPM(strings.NewReader("bash\t0\t5.2-1\tx86_64\nvim\t2\t9.0-1\tx86_64\ngpg-pubkey\t0\tabc-1\t(none)\n"))
	if err != nil || len(got) != 2 || got[1].Version != "2:9.0-1" || got[1].Arch != "x86_64" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := ParseRPM(strings.NewReader("bash\t0\t5.2-1\tx86_64\nerror: database is locked\n")); err == nil || len(got) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// The real machine answers something, whatever it is.
func TestRG1InventoryOfThisMachine(t *testing.T) {
	v := Collect(context.Background(), Question{DataDir: t.TempDir(), Agent: "test", Now: time.Now()})
	if err := v.Check(); err != nil || v.DiskBytes <= 0 {
		t.Errorf("%v; %d bytes of disk", err, v.DiskBytes)
	}
	if free, known := MemoryFree(); runtime.GOOS == "linux" && (!known || free <= 0) {
		t.Errorf("%d bytes of memory are free, known %v", free, known)
	}
}

func FuzzStatus(f *testing.F) {
	f.Add(stanza("a", "install ok installed", "1"))
	f.Add("Package:\nStatus: install ok installed\n\nVersion\n :\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		got, _ := ParseStatus(strings.NewReader(text))
		v := &policy.Inventory{}
		if v.Keep(got); v.Check() != nil {
			t.Fatalf("kept %q", got)
		}
		rows, _ := ParseRPM(strings.NewReader(text))
		if v.Keep(rows); v.Check() != nil {
			t.Fatalf("kept %q", rows)
		}
	})
}
