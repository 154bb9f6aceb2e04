//go:build !linux

package transport

import "syscall"

// shareLine: nothing to choose on this system.
func shareLine(syscall.RawConn) {}
