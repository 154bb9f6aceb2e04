package transport

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	manet "github.com/multiformats/go-multiaddr/net"
)

// listen opens the port. Port sharing stays off: two programs on one port would each get half of
// the peers, and neither would know.
func (h *Host) listen(addr string) error {
	ap, err := parseAddr(addr)
	if err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(h.ctx, "tcp", ap.String())
	if err != nil {
		return listenError(addr, err)
	}
	ml, err := manet.WrapNetListener(ln)
	if err != nil {
		_ = ln.Close()
		return listenError(addr, err)
	}
	h.addr = ln.Addr().String()
	h.ln = h.stack.in.GateMaListener(ml)
	return nil
}

// acceptLoop gives every new connection a seat and a goroutine that proves its identity.
func (h *Host) acceptLoop() {
	pause := time.Duration(0)
	for {
		c, scope, err := h.ln.Accept()
		if err != nil {
			if h.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: wait for some to come back.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			h.log.Warn("connection not accepted", "err", err)
			select {
			case <-h.ctx.Done():
				return
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		raw := newRawConn(c, h.clock, h.t.Stall)
		raw.limit(strangerBytes)
		raw.onClose = func() { h.door.leave(raw) }
		if !h.door.enter(raw) {
			_ = raw.Close()
			scope.Done()
			continue
		}
		h.wg.Go(func() { h.welcome(raw, scope) })
	}
}

// welcome runs the TLS handshake and then serves the link.
func (h *Host) welcome(raw *rawConn, scope network.ConnManagementScope) {
	ctx, cancel := context.WithTimeout(h.ctx, h.t.Hello)
	defer cancel()
	conn, err := h.stack.in.Upgrade(ctx, nil, raw, network.DirInbound, "", scope)
	if err != nil {
		_ = raw.Close()
		h.log.Debug("stranger not understood", "addr", raw.RemoteAddr().String(), "err", err)
		return
	}
	l := h.newLink(conn, raw, true)
	if !h.keepLink(l) {
		l.close()
		return
	}
	may := gater{allow: h.cfg.Allow}.may(l.peer)
	switch {
	case l.isData() && may:
		l.serveData()
	case l.isData():
		l.close()
	case may:
		l.serve()
	default:
		l.farewell()
	}
}
