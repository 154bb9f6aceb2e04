//go:build !linux

package transport

import (
	"errors"
	"syscall"
)

// tuneSocket: nothing to set on this system.
func tuneSocket(syscall.RawConn) {}

// setLowWater: no system but Linux has both the option and a poll that heeds it.
func setLowWater(syscall.RawConn, int) bool { return false }

// canAttempt: on other systems a socket that is waited for is read in another way.
const canAttempt = false

var errNothingYet = errors.New("nothing yet")

func attemptRead(uintptr, []byte) (int, error) { return 0, errNothingYet }
