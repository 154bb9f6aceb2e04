package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/zeroconf/v2"
)

// Whoever asks by mDNS is answered by every machine of the subnet, and every machine sees every answer. If each
// went on asking, the packets of a subnet would grow with the square of its machines, and the work with their cube.
// So a machine asks when it comes, and when it has lost its neighbours; else so seldom that all of a subnet
// together ask once in seekEach, which heals a subnet whose halves know nothing of each other. Everybody answers
// always.
const (
	seekLeast  = 3 * time.Second // for answers, however many neighbours there are
	seekMost   = time.Minute
	seekEnough = 3 // neighbours: those name the others
	seekEach   = time.Minute
	// seekAnswers bounds what is taken in one round: a flood of made-up machines must not fill the memory.
	seekAnswers = 4096
)

// seek asks for machines of the subnet as long as the host lives.
func (d *discovery) seek(ctx context.Context) {
	for {
		if len(d.addrs()) > 0 {
			d.round(ctx)
		}
		if !d.rest(ctx) {
			return
		}
	}
}

// round asks and listens until there are enough neighbours.
func (d *discovery) round(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, seekMost)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		t := time.NewTicker(seekLeast)
		defer t.Stop()
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-t.C:
				if d.near() >= seekEnough {
					cancel()
				}
			}
		}
	})
	answers := 0
	err := d.ask(ctx, func(text []string) {
		if answers++; answers > seekAnswers {
			cancel()
			return
		}
		d.heard(text)
	})
	if err != nil && ctx.Err() == nil {
		d.h.log.Debug("mdns not asked", "err", err)
	}
}

// rest waits until it is this machine's turn to ask again; false: the host is stopping.
func (d *discovery) rest(ctx context.Context) bool {
	t := time.NewTicker(mdnsEvery)
	defer t.Stop()
	began := time.Now()
	pause := seekEach * time.Duration(1+d.near())
	pause += rand.N(pause / 2)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-d.moved:
			return true
		case <-t.C:
		}
		if d.near() == 0 || time.Since(began) >= pause {
			return true
		}
	}
}

// browse asks over the families that there are, and hands on what is announced. They are looked for first: who asks over
// both and gets one only is told of the other, and never closes the socket of the first.
func browse(ctx context.Context, answer func(text []string)) error {
	over, err := families(upMulticast(), joins)
	if err != nil {
		return err
	}
	return browseOver(ctx, over, answer)
}

// families are those over which this machine can be asked on some interface.
func families(all []net.Interface, joins func(network string, on *net.Interface) error) (over zeroconf.IPType, err error) {
	for _, f := range []struct {
		network string
		is      zeroconf.IPType
	}{{"udp4", zeroconf.IPv4}, {"udp6", zeroconf.IPv6}} {
		for _, i := range all {
			if err = joins(f.network, &i); err == nil {
				over |= f.is
				break
			}
		}
	}
	if over == 0 {
		return 0, fmt.Errorf("no interface takes part in mdns: %w", cmp.Or(err, errors.New("there is none for multicast")))
	}
	return over, nil
}

func upMulticast() []net.Interface {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagUp == 0 || i.Flags&net.FlagMulticast == 0 })
}

// joins finds out whether mDNS can be heard on an interface.
func joins(network string, on *net.Interface) error {
	group := &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}
	if network == "udp6" {
		group.IP = net.ParseIP("ff02::fb")
	}
	c, err := net.ListenMulticastUDP(network, on, group)
	if err != nil {
		return err
	}
	return c.Close()
}

func browseOver(ctx context.Context, over zeroconf.IPType, answer func(text []string)) error {
	entries, ended := make(chan *zeroconf.ServiceEntry, 64), make(chan error, 1)
	go func() {
		ended <- zeroconf.Browse(ctx, mdnsService, mdnsDomain, entries, zeroconf.SelectIPTraffic(over))
	}()
	for {
		select {
		case e, ok := <-entries:
			if !ok {
				return <-ended
			}
			answer(e.Text)
		case err := <-ended:
			return err
		}
	}
}
