//go:build linux

package bench

import (
	"context"
	"fmt"
	"strconv"
)

var udpcastEntry = entry{
	name: "udpcast", about: "multicast with repair, all machines ready at the start", programs: []string{"udp-sender", "udp-receiver"},
	packages: []string{"udpcast"}, version: []string{"dpkg-query", "-W", "-f", "udpcast ${Version}", "udpcast"}, lanOnly: true,
	make: func(s *Site, _ string) Contender { return &udpcast{site: s} },
}

// udpcast sends once to all. It needs every machine to listen when it begins, and serves nobody who
// comes later.
type udpcast struct{ site *Site }

func (u *udpcast) Name() string                  { return "udpcast" }
func (u *udpcast) Prepare(context.Context) error { return nil }
func (u *udpcast) Close() error                  { return nil }

// rateShare is how much of the link's rate the sender uses: above it packets are lost in queues, and
// repairing costs more than is won.
const rateShare = 0.95

func (u *udpcast) Distribute(_ context.Context, updates []Update) error {
	receive, send := "set -e", "set -e"
	for _, up := range updates {
		rate := ""
		if r := u.site.Scenario.LANBitPerSec; r > 0 {
			rate = " --max-bitrate " + strconv.FormatFloat(float64(r)*rateShare/1000, 'f', 0, 64) + "k"
		}
		send += fmt.Sprintf("; udp-sender --file %s --interface %s --min-receivers %d --nokbd --no-progress --full-duplex%s", up.Path, lanLink, len(u.site.Machines), rate)
		receive += fmt.Sprintf("; udp-receiver --file %[1]s.part --interface %[2]s --nokbd --no-progress; mv %[1]s.part %[3]s/%[1]s", up.Name, lanLink, gotFolder)
	}
	for _, m := range u.site.Machines {
		if _, err := u.site.Start(m, "sh", "-c", receive); err != nil {
			return err
		}
	}
	_, err := u.site.Start(u.site.Seed, "sh", "-c", send)
	return err
}
