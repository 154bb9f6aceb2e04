//go:build unix

package media

import "golang.org/x/sys/unix"

// openFlags: no links are followed, and a pipe that somebody has put there does not hold us up.
const openFlags = unix.O_NOFOLLOW | unix.O_NONBLOCK
