package disk

import (
	"errors"
	"fmt"

	"patchmesh/content"
)

// ErrUnsafe: the folder, or a file in it, is a symbolic link or something else that is not what the
// store made. Somebody may be trying to redirect its writes. Class: stop.
var ErrUnsafe = errors.New("not a file or folder of the store's own")

// mapSpace makes the system's "disk full" errors ErrNoSpace.
func mapSpace(err error) error {
	if err != nil && isNoSpace(err) {
		return fmt.Errorf("%w: %w", content.ErrNoSpace, err)
	}
	return err
}
