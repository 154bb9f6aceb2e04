package transport

import (
	"syscall"
	"time"
)

// RTTs are the smoothed round trip times of all sessions by peer, as the kernel measures them on every
// acknowledgement. Sessions for which it does not tell are left out.
func (h *Host) RTTs() map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, s := range h.sessions() {
		c, ok := s.l.raw.Conn.(syscall.Conn)
		if !ok {
			continue
		}
		raw, err := c.SyscallConn()
		if err != nil {
			continue
		}
		if rtt := roundTrip(raw); rtt > 0 {
			out[s.peer.ID] = rtt
		}
	}
	return out
}
