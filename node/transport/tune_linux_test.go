package transport

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A chunk counts as sent once the kernel has taken it. Whoever serves is mostly who was dialled, so what was accepted
// must not take megabytes that have not left.
func TestWhatIsAcceptedHoldsLittleUnsent(t *testing.T) {
	a, b := joined(t)
	for _, s := range []*session{a.sessionOf(b.ID()), b.sessionOf(a.ID())} {
		var got int
		var err error
		_ = s.l.raw.gather.sys.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT) })
		if err != nil || got != unsentBytes {
			t.Errorf("a socket takes %d bytes beyond what is on the way (%v)", got, err)
		}
	}
}
