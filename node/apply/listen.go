package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"
)

// Listen opens the socket. A file that a dead process left is replaced; one on which somebody answers
// is an error. The file may be opened by its owner and, if group is not negative, by that group.
func Listen(path string, group int) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("apply socket %s: another process answers there", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old apply socket: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open apply socket: %w", err)
	}
	mode := os.FileMode(0o600)
	if group >= 0 {
		mode = 0o660
		if err := os.Lchown(path, -1, group); err != nil {
			_ = ln.Close()
			return nil, fmt.Errorf("give apply socket to its group: %w", err)
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("protect apply socket: %w", err)
	}
	return ln, nil
}
