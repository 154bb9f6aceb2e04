package node

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// R-H4: what is signed for a set names all of its packages, as their files say; what somebody else says of them is refused.
func TestRH4WhatIsSignedNamesThePackagesOfASet(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not on this system: there is nothing to make packages with")
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"twin", "libtwin"} {
		dir := t.TempDir()
		control := fmt.Sprintf("Package: %s\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: N N <n@example.org>\nDescription: x\n", name)
		if err := os.MkdirAll(filepath.Join(dir, "p", "DEBIAN"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "p", "DEBIAN", "control"), []byte(control), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("dpkg-deb", "-Zxz", "--build", filepath.Join(dir, "p"), filepath.Join(dir, "x.deb")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		body, err := os.ReadFile(filepath.Join(dir, "x.deb"))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: name + ".deb", Mode: 0o644, Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	n, _ := openSeedFolder(t, "")
	set := func(r *api.ImportRequest) { r.FileName, r.Installer, r.InstallerArgs = "twins.tar", "deb", nil }
	bring(t, n, "twins", b.String(), set)
	want := "packages=libtwin:all=1:2.0-1 twin:all=1:2.0-1"
	e, err := n.Catalogue(context.Background(), api.CatalogueQuery{Update: "twins"})
	if err != nil || !strings.Contains(fmt.Sprint(e.Updates[0]), want) {
		t.Errorf("%+v, %v", e, err)
	}
	for name, args := range map[string]string{"another version": "libtwin:all=1:2.0-1 twin:all=1:3.0-1", "one less": "twin:all=1:2.0-1"} {
		r := api.ImportRequest{SizeBytes: int64(b.Len()), ID: "evil", Severity: "critical"}
		set(&r)
		r.InstallerArgs = map[string]string{"packages": args}
		if i, err := n.Import(context.Background(), r, bytes.NewReader(b.Bytes())); api.ClassOf(err) != api.ClassUsage {
			t.Errorf("%s: %+v, %v", name, i, err)
		}
	}
	r := api.ImportRequest{SizeBytes: int64(b.Len()), ID: "plain"}
	set(&r)
	r.SizeBytes = 300
	if i, err := n.Import(context.Background(), r, bytes.NewReader(b.Bytes()[:300])); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("a damaged set: %+v, %v", i, err)
	}
}
