//go:build !linux

package control

import "path/filepath"

// socketPath is the name of the socket; done does nothing.
func socketPath(dataDir string) (path string, done func(), err error) {
	return filepath.Join(dataDir, socketName), func() {}, nil
}
