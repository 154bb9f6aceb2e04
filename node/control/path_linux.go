package control

import (
	"fmt"
	"os"
	"path/filepath"
)

// socketPath is a name for the socket that the kernel takes: socket addresses end at 107 bytes, data
// folders need not. Longer ones are named through an open folder; done closes it.
func socketPath(dataDir string) (path string, done func(), err error) {
	path = filepath.Join(dataDir, socketName)
	if len(path) <= 100 {
		return path, func() {}, nil
	}
	d, err := os.Open(dataDir)
	if err != nil {
		return "", nil, fmt.Errorf("open data folder: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName), func() { _ = d.Close() }, nil
}
