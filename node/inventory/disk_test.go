package inventory

import (
	"path/filepath"
	"testing"
)

func TestFreeSpaceOfAPathThatDoesNotExistYet(t *testing.T) {
	dir := t.TempDir()
	free, total, err := Free(dir)
	if err != nil || free <= 0 || total < free {
		t.Fatalf("%d free of %d, %v", free, total, err)
	}
	_, again, err := Free(filepath.Join(dir, "not", "there", "yet"))
	if err != nil || again != total {
		t.Fatalf("file system of %d bytes, of a path below it %d, %v", total, again, err)
	}
}
