package install_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"patchmesh/node/install"
)

// S-PASTCVE, the system: advisories of tools that put files and packages into place.
func TestPastCVEs(t *testing.T) {
	for _, c := range []struct {
		id, of, here string
		attack       func(t *testing.T, i install.Installer, root, outside string)
	}{
		{"CVE-2022-36113", "cargo", "a link below the root leads the file out of it", func(t *testing.T, i install.Installer, root, outside string) {
			if err := os.Symlink(outside, filepath.Join(root, "link")); err != nil {
				t.Skipf("no links here: %v", err)
			}
			_, err := i.Install(t.Context(), fileJob(root, "/link/victim", []byte("attack")))
			wantReason(t, "through a link", err, install.ReasonDenied)
		}},
		{"CVE-2022-1664", "dpkg", `".." in a path leads out of the root`, func(t *testing.T, i install.Installer, root, outside string) {
			for _, dest := range []string{"/../" + filepath.Base(outside) + "/victim", "/a/../../" + filepath.Base(outside) + "/victim", "../victim"} {
				_, err := i.Install(t.Context(), fileJob(root, dest, []byte("attack")))
				wantReason(t, dest, err, install.ReasonDenied)
			}
		}},
		{"CVE-2019-20916", "pip", "the name that comes with the bytes decides where they go", func(t *testing.T, i install.Installer, root, outside string) {
			j := fileJob(root, "/opt/tool", []byte("body"))
			j.Spec.FileName = "../../" + filepath.Base(outside) + "/victim"
			if _, err := i.Install(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			if got := read(t, filepath.Join(root, "opt", "tool")); got != "body" {
				t.Fatalf("dest holds %q", got)
			}
		}},
		{"CVE-2021-32760", "containerd", "permissions are changed of a file behind a link", func(t *testing.T, i install.Installer, root, outside string) {
			if err := os.Symlink(filepath.Join(outside, "victim"), filepath.Join(root, "tool")); err != nil {
				t.Skipf("no links here: %v", err)
			}
			j := fileJob(root, "/tool", []byte("attack"))
			j.Spec.Args["mode"] = "0777"
			_, _ = i.Install(t.Context(), j)
			if fi, err := os.Stat(filepath.Join(outside, "victim")); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
				t.Fatalf("the file outside has mode %v, %v", fi.Mode(), err)
			}
		}},
		{"CVE-2025-0509", "Sparkle", "the bytes that were checked are exchanged before they are installed", func(t *testing.T, i install.Installer, root, _ string) {
			j := fileJob(root, "/opt/tool", []byte("approved"))
			j.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte("attacker"))), nil }
			if _, err := i.Install(t.Context(), j); err == nil {
				t.Fatal("other bytes were installed")
			}
			if _, err := os.Lstat(filepath.Join(root, "opt", "tool")); !os.IsNotExist(err) {
				t.Fatalf("something is at the destination: %v", err)
			}
		}},
		{"CVE-2019-3462", "apt", "what a mirror or a man in the middle puts in place of the file is installed", func(t *testing.T, i install.Installer, root, _ string) {
			for _, n := range []int{0, 7, 9, 1 << 20} { // shorter, longer, endless: the described size does not fit either
				j := fileJob(root, "/opt/tool", []byte("approved"))
				j.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(make([]byte, n))), nil }
				if _, err := i.Install(t.Context(), j); err == nil {
					t.Fatalf("%d other bytes were installed", n)
				}
			}
		}},
	} {
		t.Run(c.id+" "+c.of, func(t *testing.T) {
			t.Log(c.here)
			root, outside := t.TempDir(), t.TempDir()
			write(t, filepath.Join(outside, "victim"), "precious", 0o600)
			c.attack(t, installer(t, "file"), root, outside)
			if got := read(t, filepath.Join(outside, "victim")); got != "precious" {
				t.Fatalf("the file outside holds %q", got)
			}
		})
	}
}
