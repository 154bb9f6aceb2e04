package apply

import (
	"net"
	"testing"

	"patchmesh/node/api"
	"patchmesh/node/peercred"
)

func kernelCaller(testing.TB) func(net.Conn) (api.Caller, error) { return peercred.Of }
