package transport

import (
	"context"
	"math/rand/v2"
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

// browse asks over both families, or over the one that there is, and hands on what is announced.
func browse(ctx context.Context, answer func(text []string)) error {
	err := browseOver(ctx, zeroconf.IPv4AndIPv6, answer)
	if err != nil && ctx.Err() == nil {
		err = browseOver(ctx, zeroconf.IPv4, answer)
	}
	return err
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
