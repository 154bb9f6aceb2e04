package node

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"patchmesh/swarm/rate"
)

// linkSpeed is the speed of the fastest network interface that is up, as its driver states it. Interfaces
// that are not made of wire state none.
func linkSpeed() (rate.Rate, bool) {
	ifs, err := net.Interfaces()
	if err != nil {
		return 0, false
	}
	best := 0
	for _, i := range ifs {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/sys/class/net", i.Name, "speed"))
		if mbit, perr := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && perr == nil {
			best = max(best, mbit)
		}
	}
	return rate.Rate(best) * 1e6 / 8, best > 0
}
