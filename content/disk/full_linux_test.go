package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// On a real file system that is full, where this process may mount one; elsewhere fault_test.go plays it.
func TestRealFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Logf("no file system may be mounted here: %v", err)
		return
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
	s, err := disk.Open(filepath.Join(dir, "payloads"), noReserve)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // before the unmount

	large, _ := storetest.Packed(t, storetest.Random(1, 3<<20))
	var full *content.NoSpaceError
	if _, err := s.Begin(large); !errors.As(err, &full) || full.FreeBytes > 2<<20 {
		t.Fatalf("begin of 3 MiB on a disk of 2 MiB: %v", err)
	}

	m, stored := storetest.Packed(t, storetest.Random(2, 4*content.MinChunkBytes))
	put(t, s, m, stored, 0) // it would fit, but for a neighbour that fills the disk meanwhile
	ballast := filepath.Join(dir, "ballast")
	fillUp(t, ballast)
	if _, err := s.Put(m.ID(), 2, storetest.ChunkOf(m, stored, 2)); !errors.Is(err, content.ErrNoSpace) {
		t.Fatalf("put to a full disk: %v, want ErrNoSpace", err)
	}
	checkRight(t, s, m, stored)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	publish(t, s, m, stored)
}

func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b := make([]byte, 4096); err == nil; {
		_, err = f.Write(b)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}
