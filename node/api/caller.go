package api

import (
	"errors"
	"fmt"
)

// Caller is who is at the other end of a local socket, as the kernel tells it.
type Caller struct {
	UID, GID int // of the process at the moment it connected
	PID      int // 0 where the system does not tell; for logs only, since numbers are used again
}

func (c Caller) String() string { return fmt.Sprintf("uid %d gid %d pid %d", c.UID, c.GID, c.PID) }

// ErrNoCaller: this system does not tell who is at the other end of a local socket.
var ErrNoCaller = errors.New("this system does not tell who calls")
