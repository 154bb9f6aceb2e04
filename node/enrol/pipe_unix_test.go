//go:build !windows

package enrol

import (
	"syscall"
	"testing"
)

func pipe(t *testing.T, path string) { mustDo(t, syscall.Mkfifo(path, 0o600)) }
