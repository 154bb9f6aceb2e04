package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"patchmesh/content/durable"
)

// RemoveRole deletes a role key for good, the private half first. One that is not there is no error.
// ErrName.
func RemoveRole(dir, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	for _, suffix := range []string{plainSuffix, protectedSuffix, publicSuffix} {
		if err := os.Remove(filepath.Join(dir, name+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove key %s: %w", name, err)
		}
	}
	return durable.Folder(dir)
}
