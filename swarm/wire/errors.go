package wire

import "errors"

var (
	// ErrFormat: the bytes are not what this protocol allows. The peer is wrong; asking it again is no use.
	ErrFormat = errors.New("malformed message")
	// ErrTooLarge: a length exceeds its constant. Nothing of the body was read.
	ErrTooLarge = errors.New("message too large")
	// ErrUnexpected: a well-known kind at a time when it is not allowed, such as a message before the hello.
	ErrUnexpected = errors.New("unexpected message")
)
