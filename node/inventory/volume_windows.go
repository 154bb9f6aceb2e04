package inventory

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Volume names the volume that holds path, as its drive: two paths have the same name when they share their free space.
// readOnly is false: nothing here tells.
func Volume(path string) (name string, readOnly bool, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", false, fmt.Errorf("volume of %s: %w", path, err)
	}
	return strings.ToUpper(filepath.VolumeName(abs)), false, nil
}
