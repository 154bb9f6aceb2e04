//go:build !linux

package transport

import "syscall"

// shareLine: nothing to choose on this system.
func shareLine(syscall.RawConn) {}

// isShortWay: of no use where there is nothing to choose.
func isShortWay(syscall.RawConn) bool { return false }
