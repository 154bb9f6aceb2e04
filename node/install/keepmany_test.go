package install

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// keepMany fills a folder with kept payloads of that size, the first one the oldest.
func keepMany(t *testing.T, n int, size int64) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		name := filepath.Join(dir, fmt.Sprintf("%s%04d", keptPrefix, i))
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(size); err != nil { // takes no room
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1_700_000_000+int64(i), 0)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func keptLeft(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, keptPrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// A set of 200 packages keeps as many; the way back of the update before them is still there.
func TestManyKeptPackagesLeaveTheWayBackOfAnother(t *testing.T) {
	dir := keepMany(t, 201, 1000)
	pruneKept(dir, nil)
	if left := keptLeft(t, dir); len(left) != 201 {
		t.Errorf("%d of 201 are left", len(left))
	}
}

func TestKeptPayloadsAreBoundedByNumberAndBytes(t *testing.T) {
	dir := keepMany(t, 600, 1000)
	pruneKept(dir, []string{keptPrefix + "0000"})
	left := keptLeft(t, dir)
	if len(left) != 513 || filepath.Base(left[0]) != keptPrefix+"0000" || filepath.Base(left[1]) != keptPrefix+"0088" {
		t.Errorf("%d are left, from %s and %s on: want the needed one and the 512 newest", len(left), left[0], left[1])
	}
	dir = keepMany(t, 20, 256<<20)
	pruneKept(dir, nil)
	if left := keptLeft(t, dir); len(left) != 8 || filepath.Base(left[0]) != keptPrefix+"0012" {
		t.Errorf("%d of 256 MiB are left, from %s on: want the 8 newest", len(left), left[0])
	}
}
