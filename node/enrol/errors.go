package enrol

import "errors"

var (
	// ErrFormat: not what it should be.
	ErrFormat = errors.New("malformed")
	// ErrTypo: a token whose checksum does not fit its text.
	ErrTypo = errors.New("the token is incomplete or mistyped")
	// ErrSealed: a box that this key does not open, or that was changed on the way.
	ErrSealed = errors.New("the sealed message does not open")
	// ErrUntrustedIssuer: a certificate by a key that the roster does not name.
	ErrUntrustedIssuer = errors.New("the certificate's issuer is not trusted")
	// ErrExpired: a certificate before or after its time.
	ErrExpired = errors.New("the certificate is not valid now")
	// ErrWrongPeer: a certificate of somebody else.
	ErrWrongPeer = errors.New("the certificate belongs to another key")
)
