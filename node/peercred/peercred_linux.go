package peercred

import (
	"golang.org/x/sys/unix"

	"patchmesh/node/api"
)

func lookUp(fd int) (api.Caller, error) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return api.Caller{}, err
	}
	return api.Caller{UID: int(c.Uid), GID: int(c.Gid), PID: int(c.Pid)}, nil
}
