package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// packets is memberlist's transport: packets on a UDP socket of our own, streams over libp2p.
type packets struct {
	cfg    Config
	gate   *Gate
	conn   *net.UDPConn
	in     chan *memberlist.Packet
	stream chan net.Conn
	done   chan struct{}
	once   sync.Once
	reader sync.WaitGroup
}

// maxPacket is the largest packet that is read; memberlist sends at most 1,400 bytes.
const maxPacket = 2048

func listen(cfg Config) (*packets, error) {
	addr, err := net.ResolveUDPAddr("udp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("gossip address: %w", err)
	}
	gate, err := NewGate(cfg.Org, cfg.Site, cfg.Key)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("gossip on udp %s: %w", cfg.Listen, err)
	}
	_ = conn.SetReadBuffer(1 << 20) // bursts of a big site; the system may give less
	p := &packets{
		cfg: cfg, gate: gate, conn: conn, in: make(chan *memberlist.Packet, 256), stream: make(chan net.Conn), done: make(chan struct{}),
	}
	p.reader.Add(1)
	go p.read()
	return p, nil
}

// read hands packets over. A full queue drops them: so does a full socket.
func (p *packets) read() {
	defer p.reader.Done()
	buf := make([]byte, maxPacket)
	for {
		n, from, err := p.conn.ReadFromUDP(buf)
		if err != nil {
			select {
			case <-p.done:
				return
			default:
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // for example an ICMP answer to an earlier packet
		}
		if !p.gate.Packet(buf[:n], from.AddrPort(), time.Now()) {
			continue
		}
		select {
		case p.in <- &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: from, Timestamp: time.Now()}:
		default:
		}
	}
}

// FinalAdvertiseAddr is what others are told. A listener on all addresses advertises one that others
// can reach.
func (p *packets) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	local, ok := p.conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, 0, errors.New("gossip: no local address")
	}
	if !local.IP.IsUnspecified() {
		return local.IP, local.Port, nil
	}
	return reachableIP(), local.Port, nil
}

// reachableIP picks the first address that is not of this machine alone.
func reachableIP() net.IP {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return net.IPv4(127, 0, 0, 1)
	}
	for _, a := range nets {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return n.IP
		}
	}
	for _, a := range nets {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP
		}
	}
	return net.IPv4(127, 0, 0, 1)
}

// WriteTo sends a packet.
func (p *packets) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr) // nothing is resolved
	if err != nil {
		return time.Time{}, fmt.Errorf("gossip to %.64q: %w", addr, err)
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if p.cfg.MayReach != nil {
		if err := p.cfg.MayReach(to); err != nil {
			return time.Time{}, fmt.Errorf("gossip to %s: %w", to, err)
		}
	}
	_, err = p.conn.WriteToUDPAddrPort(b, to)
	if errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) {
		err = nil // as good as lost on the way; the failure detector sees to it
	}
	return time.Now(), err
}

// WriteToAddress sends a packet; the name is for streams.
func (p *packets) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return p.WriteTo(b, a.Addr)
}

// PacketCh gives packets.
func (p *packets) PacketCh() <-chan *memberlist.Packet { return p.in }

// DialTimeout is never used: streams need a name, see RequireNodeNames.
func (p *packets) DialTimeout(addr string, _ time.Duration) (net.Conn, error) {
	return nil, fmt.Errorf("gossip stream to %s: the member has no name", addr)
}

// DialAddressTimeout opens a stream to a member over the authenticated transport.
func (p *packets) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if a.Name == "" {
		return p.DialTimeout(a.Addr, timeout)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c, err := p.cfg.Dial(ctx, a.Name, a.Addr)
	if err != nil {
		return nil, err
	}
	return &sievedConn{Conn: c, s: p.gate.sieve}, nil
}

// StreamCh gives streams that others opened.
func (p *packets) StreamCh() <-chan net.Conn { return p.stream }

// accept hands a stream over, or closes it when nobody takes it any more.
func (p *packets) accept(c net.Conn) {
	select {
	case p.stream <- &sievedConn{Conn: c, s: p.gate.sieve, labelled: true}:
	case <-p.done:
		_ = c.Close()
	}
}

// Shutdown closes the socket.
func (p *packets) Shutdown() error {
	var err error
	p.once.Do(func() {
		close(p.done)
		err = p.conn.Close()
		p.reader.Wait()
	})
	return err
}

var _ memberlist.NodeAwareTransport = (*packets)(nil)
