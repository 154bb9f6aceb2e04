//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrNoLab says that this machine or user cannot have a lab; the wrapping error has the reason.
var ErrNoLab = errors.New("no network lab here")

// LabConfig sizes a Lab. The zero value is the network of doc.go with ten machines.
type LabConfig struct {
	Machines     int   // default 10, at most 200
	NoRoute      int   // so many of them, the last ones, have no route beyond the LAN
	WANBitPerSec int64 // each way, default 50e6
	LANBitPerSec int64 // each way and machine, default 200e6
	Unshaped     bool  // links as fast as the kernel copies: for what work costs, not for wire bytes
}

// Host is one namespace of a Lab.
type Host struct {
	Name  string     // "origin", "m00", "m01" ...
	Addr  netip.Addr // its only address besides loopback
	Route bool       // reaches the other side of the WAN
	ns    string
}

// Lab is a running network. Its methods are safe for concurrent use.
type Lab struct {
	Config   LabConfig // with the defaults filled in
	Origin   Host
	Router   Host
	Machines []Host

	prefix  string
	signals chan os.Signal
	once    sync.Once
	closed  error
}

// Interface names; each namespace has names of its own, so these never collide.
const (
	lanLink = "eth0" // in machines
	wanLink = "wan"  // in origin and router
	bridge  = "br0"  // in router
)

// gatewayAddr is the router's address on the LAN.
const gatewayAddr = "10.77.0.254"

func (l *Lab) gateway() netip.Addr { return netip.MustParseAddr(gatewayAddr) }

const (
	labPrefix   = "pmlab-"
	maxMachines = 200
	tbfQueue    = 40 * time.Millisecond // of waiting packets, about what a home router has
	// A shaper lets so many bytes through at once; small, or short transfers would outrun the rate. A link of a
	// machine takes the longest train whole, 64 KiB with the headers of all its frames.
	wanBurst = 32 << 10
	lanBurst = 70_000
)

var labCount atomic.Int32

// NewLab builds the network. It returns an error that wraps ErrNoLab where the user is not root or
// namespaces, veth pairs or tbf are not to be had. The caller must Close it.
func NewLab(cfg LabConfig) (*Lab, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	if err := labPossible(); err != nil {
		return nil, err
	}
	if err := removeLeftovers(); err != nil {
		return nil, err
	}
	own, err := processMark(os.Getpid())
	if err != nil {
		return nil, err
	}
	l := &Lab{Config: cfg, prefix: fmt.Sprintf("%s%s-%d-", labPrefix, own, labCount.Add(1))}
	l.closeOnSignal()
	if err := l.build(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (c *LabConfig) fill() error {
	if c.Machines == 0 {
		c.Machines = 10
	}
	if c.WANBitPerSec == 0 {
		c.WANBitPerSec = 50e6
	}
	if c.LANBitPerSec == 0 {
		c.LANBitPerSec = 200e6
	}
	if c.Machines < 1 || c.Machines > maxMachines || c.NoRoute < 0 || c.NoRoute > c.Machines {
		return fmt.Errorf("lab of %d machines, %d without a route: want 1 to %d", c.Machines, c.NoRoute, maxMachines)
	}
	if c.WANBitPerSec < 0 || c.LANBitPerSec < 0 {
		return errors.New("lab with a negative link rate")
	}
	return nil
}

// labPossible tries the one thing that containers forbid most.
func labPossible() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: network namespaces need root", ErrNoLab)
	}
	for _, tool := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: %s is not installed (package iproute2)", ErrNoLab, tool)
		}
	}
	probe := fmt.Sprintf("%sprobe-%d", labPrefix, os.Getpid())
	if err := run("ip", "netns", "add", probe); err != nil {
		return fmt.Errorf("%w: %w", ErrNoLab, err)
	}
	return run("ip", "netns", "del", probe)
}

func (l *Lab) build() error {
	l.Origin = Host{Name: "origin", Addr: netip.MustParseAddr("203.0.113.1"), Route: true, ns: l.prefix + "origin"}
	l.Router = Host{Name: "router", Addr: netip.MustParseAddr("203.0.113.254"), Route: true, ns: l.prefix + "router"}
	for i := range l.Config.Machines {
		name := fmt.Sprintf("m%02d", i)
		l.Machines = append(l.Machines, Host{
			Name: name, Addr: netip.AddrFrom4([4]byte{10, 77, 0, byte(i + 1)}),
			Route: i < l.Config.Machines-l.Config.NoRoute, ns: l.prefix + name,
		})
	}
	for _, h := range l.hosts() {
		if err := l.addHost(h); err != nil {
			return err
		}
	}
	if err := l.addWAN(); err != nil {
		return err
	}
	for _, h := range l.Machines {
		if err := l.addMachine(h); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) hosts() []Host { return append([]Host{l.Origin, l.Router}, l.Machines...) }

func (l *Lab) addHost(h Host) error {
	if err := run("ip", "netns", "add", h.ns); err != nil {
		return err
	}
	if err := run("ip", "-n", h.ns, "link", "set", "lo", "up"); err != nil {
		return err
	}
	return h.sysctl("net/ipv6/conf/default/disable_ipv6", "1")
}

// addWAN lays the link between origin and router, and the bridge of the site.
func (l *Lab) addWAN() error {
	o, r := l.Origin.ns, l.Router.ns
	return errors.Join(
		run("ip", "-n", o, "link", "add", wanLink, "type", "veth", "peer", "name", wanLink, "netns", r),
		run("ip", "-n", o, "addr", "add", l.Origin.Addr.String()+"/24", "dev", wanLink),
		run("ip", "-n", r, "addr", "add", l.Router.Addr.String()+"/24", "dev", wanLink),
		run("ip", "-n", r, "link", "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"),
		run("ip", "-n", r, "addr", "add", gatewayAddr+"/24", "dev", bridge),
		run("ip", "-n", r, "link", "set", bridge, "up"),
		l.Router.bridgeUnfiltered(),
		l.linkUp(l.Origin, wanLink, l.Config.WANBitPerSec, wanBurst),
		l.linkUp(l.Router, wanLink, l.Config.WANBitPerSec, wanBurst),
		l.Origin.Do(func() error { return l.framesOn(wanLink) }),
		l.Router.Do(func() error { return l.framesOn(wanLink) }),
		run("ip", "-n", o, "route", "add", "default", "via", l.Router.Addr.String()),
		l.HealWAN(),
	)
}

// addMachine plugs one machine into the bridge: tbf at its own end shapes what it sends, tbf at the
// bridge's end what it gets.
func (l *Lab) addMachine(h Host) error {
	r := l.Router.ns
	errs := []error{
		run("ip", "-n", h.ns, "link", "add", lanLink, "type", "veth", "peer", "name", h.Name, "netns", r),
		run("ip", "-n", h.ns, "addr", "add", h.Addr.String()+"/24", "brd", "+", "dev", lanLink),
		run("ip", "-n", r, "link", "set", h.Name, "master", bridge),
		l.linkUp(h, lanLink, l.Config.LANBitPerSec, lanBurst),
		l.linkUp(l.Router, h.Name, l.Config.LANBitPerSec, lanBurst),
	}
	if h.Route {
		errs = append(errs, run("ip", "-n", h.ns, "route", "add", "default", "via", gatewayAddr))
	}
	return errors.Join(errs...)
}

// linkUp shapes what h sends on a link and takes it into use.
func (l *Lab) linkUp(h Host, link string, bitPerSec int64, burstBytes int) error {
	var shaped error
	if !l.Config.Unshaped {
		shaped = run("tc", "-n", h.ns, "qdisc", "add", "dev", link, "root", shapedKind,
			"rate", fmt.Sprintf("%dbit", bitPerSec), "burst", strconv.Itoa(burstBytes),
			"latency", fmt.Sprintf("%dms", tbfQueue.Milliseconds()))
	}
	return errors.Join(shaped, run("ip", "-n", h.ns, "link", "set", link, "up"))
}

// framesOn has a link carry frames as a cable does, where it has a rate.
func (l *Lab) framesOn(link string) error {
	if l.Config.Unshaped {
		return nil
	}
	return offloadsOff(link)
}

// Command is exec.CommandContext inside the namespace of h; the process keeps its id through ip.
func (l *Lab) Command(ctx context.Context, h Host, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.ns, name}, args...)...)
}

// CutWAN drops whatever would cross the router, in both directions, until HealWAN.
func (l *Lab) CutWAN() error { return l.Router.sysctl("net/ipv4/ip_forward", "0") }

// HealWAN lets the router forward again.
func (l *Lab) HealWAN() error { return l.Router.sysctl("net/ipv4/ip_forward", "1") }

// WAN is what the WAN link has carried since the lab was built, seen from the site: RX came in.
func (l *Lab) WAN() (Counters, error) { return l.Router.counters(wanLink) }

// LAN is what the link of one machine has carried, seen from the machine: what the shapers at its two ends
// have let through.
func (l *Lab) LAN(h Host) (Counters, error) {
	if l.Config.Unshaped {
		return h.counters(lanLink)
	}
	var c Counters
	var rxErr, txErr error
	c.RXBytes, c.RXPackets, rxErr = l.Router.carried(h.Name)
	c.TXBytes, c.TXPackets, txErr = h.carried(lanLink)
	return c, errors.Join(rxErr, txErr)
}

// closeOnSignal removes the lab when someone interrupts the run, then lets the signal do its work.
func (l *Lab) closeOnSignal() {
	l.signals = make(chan os.Signal, 1)
	signal.Notify(l.signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		sig, ok := <-l.signals
		if !ok {
			return
		}
		_ = l.Close()
		signal.Reset(sig)
		_ = syscall.Kill(os.Getpid(), sig.(syscall.Signal))
	}()
}

// Close kills what still runs inside and removes the namespaces, and with them all links.
func (l *Lab) Close() error {
	l.once.Do(func() {
		signal.Stop(l.signals)
		close(l.signals)
		l.closed = removeNamespaces(l.prefix)
	})
	return l.closed
}

// removeLeftovers removes the labs of processes that live no more, such as those ended by kill -9.
func removeLeftovers() error {
	names, err := namespaces(labPrefix)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if mark, _, _ := strings.Cut(strings.TrimPrefix(name, labPrefix), "-"); !ownerGone(mark) {
			continue
		}
		errs = append(errs, removeNamespace(name))
	}
	return errors.Join(errs...)
}

// ownerGone says whether the process with this mark lives no more. What is no mark has no owner here:
// it is a probe of someone else.
func ownerGone(mark string) bool {
	pidText, _, ok := strings.Cut(mark, ".")
	pid, err := strconv.Atoi(pidText)
	if !ok || err != nil {
		return false
	}
	now, err := processMark(pid)
	return err != nil || now != mark
}

func removeNamespaces(prefix string) error {
	names, err := namespaces(prefix)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, removeNamespace(name))
	}
	return errors.Join(errs...)
}

func removeNamespace(name string) error {
	out, err := exec.Command("ip", "netns", "pids", name).Output()
	if err != nil {
		return fmt.Errorf("list processes of namespace %s: %w", name, err)
	}
	for _, field := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(field); err == nil && pid != os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return run("ip", "netns", "del", name)
}

func namespaces(prefix string) ([]string, error) {
	entries, err := os.ReadDir(netnsFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// run runs one tool; its complaint becomes the error.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
