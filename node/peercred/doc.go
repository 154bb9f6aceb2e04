// Package peercred asks the kernel who is at the other end of a local socket.
//
// # Invariants
//
//   - The answer comes from the kernel (SO_PEERCRED on Linux, LOCAL_PEERCRED on macOS), never from
//     what the caller says of itself.
//   - Where the kernel does not tell, the answer is api.ErrNoCaller and nobody is guessed.
//
// # Decisions
//
//   - A package of its own, handed to the local API and to the apply role as a function: both need
//     it, leaves of node do not know each other, and tests can stand in for other users without
//     being root.
package peercred
