//go:build !linux

package install

import (
	"errors"
	"os"
)

// Files without a name, which go away with the process, are Linux's alone: elsewhere nothing is copied early.
func unnamedFile(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

func nameFile(_, _ *os.File, _ string) error { return errors.ErrUnsupported }
