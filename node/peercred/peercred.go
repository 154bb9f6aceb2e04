package peercred

import (
	"fmt"
	"net"

	"patchmesh/node/api"
)

// Of tells who connected. api.ErrNoCaller on a system or a connection that does not know.
func Of(c net.Conn) (api.Caller, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return api.Caller{}, fmt.Errorf("connection of type %T: %w", c, api.ErrNoCaller)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return api.Caller{}, fmt.Errorf("look at the caller: %w", err)
	}
	var who api.Caller
	var failed error
	if err := raw.Control(func(fd uintptr) { who, failed = lookUp(int(fd)) }); err != nil {
		return api.Caller{}, fmt.Errorf("look at the caller: %w", err)
	}
	if failed != nil {
		return api.Caller{}, fmt.Errorf("look at the caller: %w", failed)
	}
	return who, nil
}
