//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newLab builds a lab for one test, or skips it with the reason.
func newLab(t *testing.T, cfg LabConfig) *Lab {
	t.Helper()
	if os.Getenv("PATCHMESH_E2E") == "" {
		t.Skip("builds network namespaces as root: run it with `make e2e`")
	}
	l, err := NewLab(cfg)
	if errors.Is(err, ErrNoLab) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestLabRefusesImpossibleSizes(t *testing.T) {
	for _, cfg := range []LabConfig{{Machines: -1}, {Machines: 201}, {Machines: 2, NoRoute: 3}, {NoRoute: -1}, {WANBitPerSec: -1}} {
		if l, err := NewLab(cfg); err == nil {
			t.Errorf("%+v was built", cfg)
			_ = l.Close()
		}
	}
}

func TestLabShapesAndCounts(t *testing.T) {
	l := newLab(t, LabConfig{Machines: 3, NoRoute: 1})
	for _, c := range []struct {
		name      string
		from, to  Host
		sizeBytes int64
		rate      int64
		counters  func() (Counters, error)
		bytes     func(Counters) int64
	}{
		{"WAN to the site", l.Origin, l.Machines[0], 12 << 20, 50e6, l.WAN, func(c Counters) int64 { return c.RXBytes }},
		{"site to the WAN", l.Machines[1], l.Origin, 12 << 20, 50e6, l.WAN, func(c Counters) int64 { return c.TXBytes }},
		{"LAN to LAN", l.Machines[0], l.Machines[2], 32 << 20, 200e6,
			func() (Counters, error) { return l.LAN(l.Machines[2]) }, func(c Counters) int64 { return c.RXBytes }},
	} {
		before, err := c.counters()
		if err != nil {
			t.Fatal(err)
		}
		took, err := copyBytes(c.from, c.to, c.sizeBytes)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		after, err := c.counters()
		if err != nil {
			t.Fatal(err)
		}
		wire := c.bytes(after.Sub(before))
		overhead := float64(wire) / float64(c.sizeBytes)
		rate := float64(wire) * 8 / took.Seconds() / float64(c.rate)
		t.Logf("%-16s %4.1f MiB in %.2f s: wire/payload %.4f, wire rate %.3f of the link's", c.name, float64(c.sizeBytes)/(1<<20), took.Seconds(), overhead, rate)
		if rate < 0.90 || rate > 1.10 {
			t.Errorf("%s: runs at %.3f of the link's rate", c.name, rate)
		}
		if overhead < 1.044 || overhead > 1.056 {
			t.Errorf("%s: headers make %.4f of the payload, want about 1.046", c.name, overhead)
		}
	}
}

func TestLabCutsTheWANAndOnlyIt(t *testing.T) {
	l := newLab(t, LabConfig{Machines: 2, NoRoute: 1})
	routed, unrouted := l.Machines[0], l.Machines[1]
	if _, err := copyBytes(l.Origin, routed, 1000); err != nil {
		t.Errorf("before the cut: %v", err)
	}
	if _, err := copyBytes(l.Origin, unrouted, 1000); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("a machine without a route reached the origin: %v", err)
	}
	if err := l.CutWAN(); err != nil {
		t.Fatal(err)
	}
	if _, err := copyBytes(l.Origin, routed, 1000); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("across the cut: %v, want silence", err)
	}
	if _, err := copyBytes(routed, unrouted, 1000); err != nil {
		t.Errorf("the LAN went with the WAN: %v", err)
	}
	if err := l.HealWAN(); err != nil {
		t.Fatal(err)
	}
	if _, err := copyBytes(l.Origin, routed, 1000); err != nil {
		t.Errorf("after the cut: %v", err)
	}
}

func TestLabLeavesNothingBehind(t *testing.T) {
	l := newLab(t, LabConfig{Machines: 1})
	sleeper := l.Command(context.Background(), l.Machines[0], "sleep", "600")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	// A lab of a run that was killed: same kind of name, a process that lives no more.
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	left := fmt.Sprintf("%s%d.1-1-m00", labPrefix, gone.Process.Pid)
	if err := run("ip", "netns", "add", left); err != nil {
		t.Fatal(err)
	}
	other, err := NewLab(LabConfig{Machines: 1})
	if err != nil {
		t.Fatal(err)
	}
	if names, err := namespaces(left); err != nil || len(names) > 0 {
		t.Errorf("left over: %v %v", names, err)
	}
	if names, err := namespaces(l.prefix); err != nil || len(names) != 3 {
		t.Errorf("a living lab has %v, %v after another was built", names, err)
	}
	if err := errors.Join(other.Close(), l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if err := sleeper.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("a process inside ended with %v", err)
	}
	for _, prefix := range []string{l.prefix, other.prefix} {
		if names, err := namespaces(prefix); err != nil || len(names) > 0 {
			t.Errorf("left behind: %v %v", names, err)
		}
	}
}

// copyBytes opens a plain TCP connection from the receiver to the sender and tells how long the
// bytes took. Silence ends after two seconds with os.ErrDeadlineExceeded.
func copyBytes(from, to Host, sizeBytes int64) (time.Duration, error) {
	const patience = 2 * time.Second
	var ln net.Listener
	err := from.Do(func() (err error) {
		ln, err = net.Listen("tcp4", net.JoinHostPort(from.Addr.String(), "0"))
		return err
	})
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.CopyN(c, endless{}, sizeBytes)
	}()
	var c net.Conn
	err = to.Do(func() (err error) {
		c, err = net.DialTimeout("tcp4", ln.Addr().String(), patience)
		return err
	})
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return 0, os.ErrDeadlineExceeded
	}
	if err != nil {
		return 0, err
	}
	defer c.Close()
	started := time.Now()
	if err := c.SetReadDeadline(started.Add(time.Minute)); err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, c)
	if err == nil && n != sizeBytes {
		err = io.ErrUnexpectedEOF
	}
	return time.Since(started), err
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
