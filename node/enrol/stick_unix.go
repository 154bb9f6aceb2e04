//go:build !windows

package enrol

import "syscall"

// openFlags: no link is followed, and a pipe that was put in a file's place does not hang the reader.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
