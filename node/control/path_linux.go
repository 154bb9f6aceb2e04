package control

import (
	"fmt"
	"os"
	"path/filepath"
)

// socketPath is a name for a socket that the kernel takes: socket addresses end at 107 bytes, data
// folders need not. Longer ones are named through an open folder; done closes it.
func socketPath(dir, name string) (path string, done func(), err error) {
	path = filepath.Join(dir, name)
	if len(path) <= 100 {
		return path, func() {}, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, fmt.Errorf("open data folder: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name), func() { _ = d.Close() }, nil
}
