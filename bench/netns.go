//go:build linux

package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// netnsFolder is where ip(8) keeps its named namespaces.
const netnsFolder = "/run/netns"

// Do runs f on a thread inside the namespace of h. Sockets that f opens stay in it for good, also
// when they are used elsewhere; goroutines that f starts are not inside.
func (h Host) Do(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("open own network namespace: %w", err)
	}
	defer home.Close()
	there, err := os.Open(filepath.Join(netnsFolder, h.ns))
	if err != nil {
		return fmt.Errorf("open network namespace of %s: %w", h.Name, err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace of %s: %w", h.Name, err)
	}
	result := f()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		// One more lock than unlocks: the thread ends with its goroutine and infects no other.
		runtime.LockOSThread()
		return errors.Join(result, fmt.Errorf("leave network namespace of %s: %w", h.Name, err))
	}
	return result
}

// sysctl sets one network setting of the namespace, such as net/ipv4/ip_forward.
func (h Host) sysctl(name, value string) error {
	return h.Do(func() error {
		// net/ below /proc/sys shows the namespace of the thread that opens it.
		if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0o644); err != nil {
			return fmt.Errorf("set %s=%s in %s: %w", name, value, h.Name, err)
		}
		return nil
	})
}

// ethtoolValue is struct ethtool_value of linux/ethtool.h.
type ethtoolValue struct{ cmd, data uint32 }

// ifreqPointer is struct ifreq of linux/if.h with a pointer in its union, padded to the union's size.
type ifreqPointer struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

// bridgeUnfiltered keeps the packet filter away from bridged frames, as a switch does: where the system
// has loaded it, every frame would pass through it, and its cost would be booked on the programs measured.
func (h Host) bridgeUnfiltered() error {
	err := h.sysctl("net/bridge/bridge-nf-call-iptables", "0")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// offloadsOff switches TSO, GSO and GRO off, so that counters see frames as on a cable. It speaks to
// the kernel itself because ethtool(8) is seldom installed.
func offloadsOff(link string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open control socket: %w", err)
	}
	defer unix.Close(fd)
	for _, cmd := range []uint32{unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO} {
		value := ethtoolValue{cmd: cmd}
		req := ifreqPointer{data: unsafe.Pointer(&value)}
		copy(req.name[:], link)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
		if errno != 0 {
			return fmt.Errorf("switch offload %#x of %s off: %w", cmd, link, errno)
		}
	}
	return nil
}
