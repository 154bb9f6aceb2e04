package transport

import (
	"errors"
	"net"
	"testing"

	"github.com/libp2p/zeroconf/v2"
)

// A machine without one of the families asks over the other alone: asked for both, the library leaves a socket open each
// time it fails.
func TestMachinesAreSoughtOverTheFamiliesThereAre(t *testing.T) {
	two := []net.Interface{{Name: "down"}, {Name: "up"}}
	for name, c := range map[string]struct {
		has  string
		want zeroconf.IPType
	}{
		"both": {"udp4 udp6", zeroconf.IPv4AndIPv6}, "no IPv6": {"udp4", zeroconf.IPv4}, "no IPv4": {"udp6", zeroconf.IPv6}, "none": {"", 0},
	} {
		got, err := families(two, func(network string, on *net.Interface) error {
			if on.Name == "up" && (c.has == network || c.has == "udp4 udp6") {
				return nil
			}
			return errors.New("no such device")
		})
		if got != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := families(nil, nil); err == nil {
		t.Error("a machine without a network has a family")
	}
}
