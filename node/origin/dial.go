package origin

import "syscall"

// controlOutside judges the address that a name was found to stand for, right before it is dialled: an
// answer of DNS that changes between a check and the use would pass any other check.
func controlOutside(_, address string, _ syscall.RawConn) error { return outside(address) }
