package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Go's runtime has a thread of its own, sysmon, that looks every 20 µs whether another hangs in a system
// call, for as long as the process does anything: a node that is woken for each piece that comes in spends
// a tenth of its processor time on being watched. The kernel is told that this thread need not wake on
// time (timer slack, PR_SET_TIMERSLACK of prctl(2)): it then looks once per tick of the clock.
//
// What hangs in a system call is found later for it; a node whose disk makes it wait so takes a second
// processor (keepPace).
const (
	watcherSlack = 10_000_000 // ns
	workerSlack  = 50_000     // ns, what the kernel gives by itself
	workers      = 12         // as many threads as a busy node has
)

// slowWatcher must run before others start threads. Threads inherit the slack of the one that starts them
// and sysmon starts some: so there are enough from the beginning, with the slack of ordinary ones.
func slowWatcher() {
	var ready, done sync.WaitGroup
	ready.Add(workers)
	for range workers {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			_ = unix.Prctl(unix.PR_SET_TIMERSLACK, workerSlack, 0, 0, 0)
			ready.Done()
			ready.Wait() // nobody gives back its thread before all have one
		})
	}
	done.Wait()
	if tid := watcher(); tid > 0 {
		// Without the right to do so (CAP_SYS_NICE) it stays as it is, which is what systemd has set.
		_ = os.WriteFile(filepath.Join("/proc", strconv.Itoa(tid), "timerslack_ns"), []byte(strconv.Itoa(watcherSlack)), 0)
	}
}

// watcher is the thread of sysmon: the first that the runtime starts.
func watcher() int {
	pid, first := os.Getpid(), 0
	names, _ := os.ReadDir("/proc/self/task")
	for _, e := range names {
		if tid, err := strconv.Atoi(e.Name()); err == nil && tid > pid && (first == 0 || tid < first) {
			first = tid
		}
	}
	return first
}
