//go:build !windows

package durable

import (
	"errors"
	"fmt"
	"os"
)

// Folder returns when renames, new names and removals in a folder are durable. After an error nobody
// knows which of them are.
func Folder(path string) error {
	d, err := os.Open(path)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("sync folder %s: %w", path, err)
	}
	return nil
}
