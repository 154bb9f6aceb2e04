package durable

import (
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"testing"
)

// Whoever believes that a name is durable in a folder that is not there would acknowledge what is lost.
func TestFolderSyncsWhatIsThereAndSaysWhatIsNot(t *testing.T) {
	dir := t.TempDir()
	if err := Folder(dir); err != nil {
		t.Errorf("a folder: %v", err)
	}
	if err := Folder(filepath.Join(dir, "nothing")); !errors.Is(err, fs.ErrNotExist) && runtime.GOOS != "windows" {
		t.Errorf("no folder: %v", err)
	}
}
