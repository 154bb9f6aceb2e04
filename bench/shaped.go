//go:build linux

package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// From linux/rtnetlink.h and linux/gen_stats.h, as far as unix does not name them.
const (
	tcMessageBytes = 20 // struct tcmsg: family, padding, ifindex, handle, parent, info
	tcaKind        = 1
	tcaStats2      = 7
	tcaStatsBasic  = 1 // nested in tcaStats2: bytes u64, packets u32
	dumpBytes      = 64 << 10
	attrHeadBytes  = 4
)

// shapedKind is the discipline that linkUp gives a link.
const shapedKind = "tbf"

// carried is what the shaper of a link has let through. The kernel charges it with every frame that a train
// becomes on a cable, headers included; the counters of an interface would see one packet.
func (h Host) carried(link string) (sizeBytes, packets int64, err error) {
	err = h.Do(func() error {
		dev, err := net.InterfaceByName(link)
		if err != nil {
			return fmt.Errorf("find link %s of %s: %w", link, h.Name, err)
		}
		sizeBytes, packets, err = shaperStats(dev.Index)
		if err != nil {
			return fmt.Errorf("read shaper of %s in %s: %w", link, h.Name, err)
		}
		return nil
	})
	return sizeBytes, packets, err
}

// shaperStats asks the kernel for all queueing disciplines of this namespace and picks the shaper of one device.
func shaperStats(ifindex int) (sizeBytes, packets int64, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, 0, fmt.Errorf("open netlink socket: %w", err)
	}
	defer unix.Close(fd)
	ask := make([]byte, unix.NLMSG_HDRLEN+tcMessageBytes)
	binary.NativeEndian.PutUint32(ask, uint32(len(ask)))
	binary.NativeEndian.PutUint16(ask[4:], unix.RTM_GETQDISC)
	binary.NativeEndian.PutUint16(ask[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	if err := unix.Sendto(fd, ask, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, 0, fmt.Errorf("ask for queueing disciplines: %w", err)
	}
	buf := make([]byte, dumpBytes)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			return 0, 0, fmt.Errorf("read queueing disciplines: %w", err)
		}
		sizeBytes, packets, found, over, err := findShaper(buf[:n], ifindex)
		switch {
		case err != nil:
			return 0, 0, err
		case found:
			return sizeBytes, packets, nil
		case over:
			return 0, 0, fmt.Errorf("no %s there", shapedKind)
		}
	}
}

var errNetlink = errors.New("netlink message cut short")

// findShaper looks through one datagram of a dump.
func findShaper(b []byte, ifindex int) (sizeBytes, packets int64, found, over bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return 0, 0, false, false, errNetlink
		}
		body := b[unix.NLMSG_HDRLEN:size]
		switch binary.NativeEndian.Uint16(b[4:]) {
		case unix.NLMSG_DONE:
			return 0, 0, false, true, nil
		case unix.NLMSG_ERROR:
			return 0, 0, false, false, errors.New("the kernel lists no queueing disciplines")
		case unix.RTM_NEWQDISC:
			if len(body) >= tcMessageBytes && int(int32(binary.NativeEndian.Uint32(body[4:]))) == ifindex {
				if sizeBytes, packets, found = shaperOf(body[tcMessageBytes:]); found {
					return sizeBytes, packets, true, false, nil
				}
			}
		}
		b = b[min(align4(size), len(b)):]
	}
	return 0, 0, false, false, nil
}

// shaperOf reads the statistics of one discipline, if it is a shaper.
func shaperOf(attrs []byte) (sizeBytes, packets int64, ok bool) {
	kind, _ := attribute(attrs, tcaKind)
	if string(kind) != shapedKind+"\x00" {
		return 0, 0, false
	}
	stats, _ := attribute(attrs, tcaStats2)
	basic, _ := attribute(stats, tcaStatsBasic)
	if len(basic) < 12 {
		return 0, 0, false
	}
	return int64(binary.NativeEndian.Uint64(basic)), int64(binary.NativeEndian.Uint32(basic[8:])), true
}

// attribute finds one attribute among netlink attributes.
func attribute(b []byte, which uint16) ([]byte, bool) {
	for len(b) >= attrHeadBytes {
		size := int(binary.NativeEndian.Uint16(b))
		if size < attrHeadBytes || size > len(b) {
			return nil, false
		}
		if binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER) == which {
			return b[attrHeadBytes:size], true
		}
		b = b[min(align4(size), len(b)):]
	}
	return nil, false
}

func align4(n int) int { return (n + 3) &^ 3 }
