//go:build linux

package bench

import (
	"os"
	"runtime"
	"testing"
	"time"
)

const netDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     120       2    0    0    0     0          0         0      120       2    0    0    0     0       0          0
   wan: 1514000    1000    0    0    0     0          0         0    66000     999    0    0    0     0       0          0
  wan2:       1       1    0    0    0     0          0         0        1       1    0    0    0     0       0          0
`

func TestCountersOfTheNamedInterface(t *testing.T) {
	got, err := parseNetDev(netDev, "wan")
	if want := (Counters{RXBytes: 1514000, TXBytes: 66000, RXPackets: 1000, TXPackets: 999}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, text := range []string{netDev[:350], "", "wan: 1 2 3", "wan: a b c d e f g h i j k l m n o p"} {
		if got, err := parseNetDev(text, "wan"); err == nil {
			t.Errorf("%q gave %+v", text, got)
		}
	}
	if _, err := parseNetDev(netDev, "wa"); err == nil {
		t.Error("an interface that is not there was found")
	}
}

func TestUsageCountsOwnWork(t *testing.T) {
	before, err := ProcessUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ballast := make([]byte, 32<<20)
	started, after := time.Now(), before
	// Others may have the processor: the work goes on until it shows, half a minute at most.
	for after.CPU-before.CPU < 50*time.Millisecond && time.Since(started) < 30*time.Second {
		for i := range ballast {
			ballast[i]++
		}
		if after, err = ProcessUsage(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	wall := time.Since(started)
	if spent := after.CPU - before.CPU; spent < 50*time.Millisecond || spent > wall*4*time.Duration(runtime.NumCPU()) {
		t.Errorf("%s of work counted as %s", wall, spent)
	}
	if after.PeakRSSBytes < int64(len(ballast)) {
		t.Errorf("peak of %d bytes with %d in use", after.PeakRSSBytes, len(ballast))
	}
	if _, err := ProcessUsage(1 << 30); err == nil {
		t.Error("a process that cannot be has a usage")
	}
}
