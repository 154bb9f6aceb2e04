package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentBytes bounds what the kernel holds of a connection beyond what is on the way. A write then
// ends about when its bytes leave: serve slots mean what they say, a message does not wait behind
// megabytes of chunks, and what is asked for in vain can still be withdrawn.
const unsentBytes = 128 << 10

// tuneSocket sets what libraries do not. It is an optimisation: an old kernel without it works too. It is called for
// each connection: one that is accepted does not inherit this from the socket that listens.
func tuneSocket(c syscall.RawConn) {
	_ = c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
	})
}

// setLowWater has the kernel wake the reader of a socket only when so many bytes are there, or the end.
func setLowWater(c syscall.RawConn, bytes int) bool {
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes)
	}); cerr != nil {
		return false
	}
	return err == nil
}

// canAttempt says that a socket can be read without waiting for it.
const canAttempt = true

// errNothingYet: there is nothing to read at the moment.
const errNothingYet = unix.EAGAIN

// attemptRead reads what there is.
func attemptRead(fd uintptr, b []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), b)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}
