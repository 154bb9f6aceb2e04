package apply

import (
	"fmt"
	"os"
)

// Private makes a folder. Access lists guard it there.
func Private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}
