//go:build !linux

package transport

import "syscall"

// tuneSocket: nothing to set on this system.
func tuneSocket(_, _ string, _ syscall.RawConn) error { return nil }
