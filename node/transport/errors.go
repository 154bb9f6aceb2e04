package transport

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrBusy: the peer has no slot for this chunk now. Retry, here or elsewhere.
	ErrBusy = errors.New("peer is busy")
	// ErrNotFound: the peer does not have it.
	ErrNotFound = errors.New("peer does not have it")
	// ErrRefused: the peer will not serve it, or refused an enrolment.
	ErrRefused = errors.New("peer refused")
	// ErrSilent: nothing came for too long while something was due.
	ErrSilent = errors.New("peer is silent")
	// ErrGone: there is no session, or it ended before the answer.
	ErrGone = errors.New("peer is gone")
	// ErrWrongChunk: another chunk from there was judged Wrong.
	ErrWrongChunk = errors.New("another chunk was wrong")
	// ErrCancelled ends a fetch that was withdrawn; it is also context.Canceled.
	ErrCancelled = fmt.Errorf("fetch withdrawn: %w", context.Canceled)
	// ErrProtocol: the peer sent what the protocol does not allow.
	ErrProtocol = errors.New("peer broke the protocol")
	// ErrTooSlow: the peer does not take what it is sent.
	ErrTooSlow = errors.New("peer is too slow")
	// ErrNotAdmitted: the peer refused our hello.
	ErrNotAdmitted = errors.New("peer did not admit us")
	// ErrReplaced: the same peer opened a newer session.
	ErrReplaced = errors.New("replaced by a newer session")
	// ErrForbidden: Config.Allow refuses that peer.
	ErrForbidden = errors.New("peer is not allowed")
	// ErrRevoked: this machine, or the peer, was locked out of the mesh. From a peer it is a claim.
	ErrRevoked = errors.New("locked out of the mesh")
	// ErrOutside: Config.MayDial refuses the address.
	ErrOutside = errors.New("address is not of this site")
	// ErrSelf: the address is our own.
	ErrSelf = errors.New("that is this machine itself")
	// ErrAddress: not "ip:port" with a literal IP, or not a peer ID.
	ErrAddress = errors.New("malformed address")
	// ErrAddrInUse: another program listens on the port.
	ErrAddrInUse = errors.New("address is in use")
	// ErrClosed: the host was closed.
	ErrClosed = errors.New("transport is closed")
)

// errDuplicate: another link between the two is, or becomes, the session.
var errDuplicate = errors.New("another connection takes over")

// wsaeAddrInUse is what Windows says for a taken port; Go's syscall.EADDRINUSE is another number there.
const wsaeAddrInUse = syscall.Errno(10048)

// listenError makes "address in use" the same error on every system.
func listenError(addr string, err error) error {
	var no syscall.Errno
	if errors.Is(err, syscall.EADDRINUSE) || errors.As(err, &no) && no == wsaeAddrInUse {
		return fmt.Errorf("listen on %s: %w", addr, ErrAddrInUse)
	}
	return fmt.Errorf("listen on %s: %w", addr, err)
}
