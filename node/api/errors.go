package api

import (
	"errors"
	"fmt"

	"patchmesh/content"
	"patchmesh/policy"
)

// Class says what kind of failure an Error is; the command line turns it into the exit code.
type Class string

// The classes, in the order of their exit codes (see Class.ExitCode).
const (
	ClassFailed      Class = "failed"      // 1: anything without a better class
	ClassUsage       Class = "usage"       // 2: the request itself is wrong
	ClassRefused     Class = "refused"     // 3: trust: signature, threshold, epoch, hash, token
	ClassUnreachable Class = "unreachable" // 4: no running node, no peer
	ClassNotFound    Class = "not-found"   // 5: no such update, group, machine, hold
	ClassNoSpace     Class = "no-space"    // 6: disk full
)

// ExitCode is the process exit code of the class; an unknown class is 1.
func (c Class) ExitCode() int {
	switch c {
	case ClassUsage:
		return 2
	case ClassRefused:
		return 3
	case ClassUnreachable:
		return 4
	case ClassNotFound:
		return 5
	case ClassNoSpace:
		return 6
	}
	return 1
}

// Error is a failure that a person can act on.
type Error struct {
	Class Class  `json:"class"`
	What  string `json:"what"`           // what happened, to which object: one line, lower case
	Hint  string `json:"hint,omitempty"` // what to do next; empty if there is nothing sensible to say
}

func (e *Error) Error() string { return e.What }

// Errorf makes an Error of the class without a hint, unless an argument is an error that says the same thing wherever it
// is met: something that cannot be read.
func Errorf(c Class, format string, args ...any) *Error {
	e := &Error{Class: c, What: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if err, is := a.(error); is && (errors.Is(err, policy.ErrFormat) || errors.Is(err, content.ErrFormat)) {
			e.Hint = formatHint
		}
	}
	return e
}

// formatHint is what to do about a text or a file that is not in its form.
const formatHint = "the command's --help shows the form with an example; a file that was carried here may have been cut off or changed on its way: fetch it again from whoever made it"

// WithHint returns a copy of e that says what to do next.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// ClassOf finds the class of an error; one that carries none is ClassFailed.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ClassFailed
}
