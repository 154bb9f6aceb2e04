//go:build !linux

package control

import "path/filepath"

// socketPath is the name of a socket; done does nothing.
func socketPath(dir, name string) (path string, done func(), err error) {
	return filepath.Join(dir, name), func() {}, nil
}
