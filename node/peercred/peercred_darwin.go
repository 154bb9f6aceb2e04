package peercred

import (
	"golang.org/x/sys/unix"

	"patchmesh/node/api"
)

// lookUp reads what getpeereid(3) reads.
func lookUp(fd int) (api.Caller, error) {
	c, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return api.Caller{}, err
	}
	if c.Ngroups < 1 {
		return api.Caller{}, api.ErrNoCaller
	}
	pid, err := unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID)
	if err != nil {
		pid = 0
	}
	return api.Caller{UID: int(c.Uid), GID: int(c.Groups[0]), PID: pid}, nil
}
