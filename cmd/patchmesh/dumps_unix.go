//go:build !windows

package main

import "syscall"

// noCoreDumps keeps keys and passphrases out of core files. With hidden the process also keeps others
// of the same user, debuggers among them, out of its memory, where the system can do that.
func noCoreDumps(hidden bool) {
	// A failure leaves things as they were before, which nobody can do anything about here.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	if hidden {
		hideMemory()
	}
}
