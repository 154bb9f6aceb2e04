package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The runtime's watcher gets much slack; threads that work, old or new, wake on time.
func TestOnlyTheWatcherSleepsLong(t *testing.T) {
	slack := func(tid int) int {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(tid), "timerslack_ns"))
		if err != nil {
			t.Skipf("the slack of another thread cannot be read: %v", err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := slack(watcher()) // skips where neither can be read nor set
	slowWatcher()
	if got := slack(watcher()); got != watcherSlack {
		t.Errorf("the watcher's slack is %d ns, was %d, want %d", got, before, watcherSlack)
	}
	own := make(chan int)
	for range workers {
		go func() {
			runtime.LockOSThread() // and ends with its thread
			n, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
			if err != nil {
				n = -1
			}
			own <- n
		}()
	}
	for range workers {
		if got := <-own; got != workerSlack {
			t.Errorf("a worker's slack is %d ns, want %d", got, workerSlack)
		}
	}
}
