package apply

import (
	"errors"
	"fmt"

	"patchmesh/policy"
)

// Error is an order that was not carried out. It crosses the socket as it is.
type Error struct {
	Reason policy.Reason    `json:"reason"` // from the closed list
	What   string           `json:"what"`   // operation, object and cause: one line
	Log    string           `json:"log,omitempty"`
	Facts  map[string]int64 `json:"facts,omitempty"` // numbers behind the reason
	// Corrupt: the payload is not what was signed. The same bytes must not be offered again.
	Corrupt bool `json:"corrupt,omitempty"`

	cause error // on this side of the socket only
}

func (e *Error) Error() string { return e.What }
func (e *Error) Unwrap() error { return e.cause }

// refused makes an Error that is nobody's installer's: the order itself is not to be carried out.
func refused(r policy.Reason, format string, args ...any) *Error {
	return &Error{Reason: r, What: fmt.Sprintf(format, args...)}
}

// asError gives any failure its reason. What comes of documents keeps the reason that policy knows.
func asError(what string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	r := policy.ReasonOf(err)
	switch {
	case errors.Is(err, errProtocol):
		r = policy.ReasonNetRefused
	case r == "":
		r = policy.ReasonDiskError
	}
	return &Error{Reason: r, What: fmt.Sprintf("%s: %v", what, err), cause: err}
}

// ErrUnreachable: the apply process does not answer, or does not let this user speak.
var ErrUnreachable = errors.New("the apply process cannot be reached")
