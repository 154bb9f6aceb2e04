//go:build !linux

package transport

import "syscall"

// tuneSocket: nothing to set on this system.
func tuneSocket(_, _ string, _ syscall.RawConn) error { return nil }

// setLowWater: no system but Linux has both the option and a poll that heeds it.
func setLowWater(syscall.RawConn, int) bool { return false }
