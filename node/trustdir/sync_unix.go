//go:build !windows

package trustdir

import (
	"errors"
	"fmt"
	"os"
)

// syncDir makes renames and new names in a folder durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("sync folder %s: %w", path, err)
	}
	return nil
}
