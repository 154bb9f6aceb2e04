package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// S-PASTCVE, folders: advisories of tools that write what others send.
func TestPastCVEs(t *testing.T) {
	m, stored := storetest.Packed(t, storetest.Random(5, 2*content.MinChunkBytes))
	for _, c := range []struct {
		id, of, here string
		attack       func(t *testing.T)
	}{
		{"CVE-2017-1000420", "Syncthing", "a link in the folder makes the store overwrite a file elsewhere", func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Symlink(victimFile(t), filepath.Join(dir, m.ID().String()+".part")); err != nil {
				t.Skipf("no links here: %v", err)
			}
			s, err := disk.Open(dir, noReserve)
			if err == nil {
				defer s.Close()
				_, err = s.Begin(m)
			}
			if !errors.Is(err, disk.ErrUnsafe) {
				t.Fatalf("%v, want ErrUnsafe", err)
			}
		}},
		{"CVE-2025-59349", "Dragonfly", "a folder that somebody made before us, open to all, is used as it is", func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("access lists are another matter")
			}
			dir := filepath.Join(t.TempDir(), "payloads")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			s, err := disk.Open(dir, noReserve)
			if err != nil {
				return // refused is as good
			}
			defer s.Close()
			if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
				t.Fatalf("the folder has mode %v, %v", fi.Mode(), err)
			}
		}},
		{"CVE-2010-1512", "aria2", "a file name inside what was fetched decides where it is written", func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			publish(t, s, m, stored)
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if name := e.Name(); name != ".lock" && filepath.Ext(name) != ".lock" && name[:len(m.ID().String())] != m.ID().String() {
					t.Errorf("%s is named by something else than its hash", name)
				}
			}
		}},
	} {
		t.Run(c.id+" "+c.of, func(t *testing.T) {
			t.Log(c.here)
			c.attack(t)
		})
	}
}
