package node

import (
	"errors"
	"net"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// R-G8: metrics on a port that somebody has are refused with what to do.
func TestRG8AMetricsPortInUseHasAHint(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	n := &Node{cfg: Config{Metrics: ln.Addr().String()}}
	var told *api.Error
	if err = n.serveMetrics(t.Context()); !errors.As(err, &told) || !strings.Contains(err.Error(), ln.Addr().String()) || !strings.Contains(told.Hint, "--metrics") {
		t.Errorf("%+v", err)
	}
}
