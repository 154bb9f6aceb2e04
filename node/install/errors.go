package install

import (
	"errors"
	"fmt"
	"strings"

	"patchmesh/node/api"
)

// ErrVerify: the payload is not what the descriptor says. Nothing was touched. Class: refuse.
var ErrVerify = errors.New("the payload does not match its descriptor")

// Reasons, from the closed list of reason codes.
const (
	ReasonDiskShort  = "disk-short"              // facts needed_bytes, free_bytes
	ReasonDiskError  = "disk-error"              // the disk failed in another way
	ReasonMissing    = "installer-missing"       // the tool or the kind is not on this machine
	ReasonExit       = "installer-exit"          // the tool failed: ExitCode, Log
	ReasonTimeout    = "installer-timeout"       // the time was up
	ReasonLocked     = "installer-locked-file"   // another program holds the file or the package database
	ReasonDenied     = "installer-denied"        // the system or our own rules do not allow it
	ReasonDependency = "dep-missing"             // other software is needed first: Log names it
	ReasonUndetected = "verify-not-detected"     // the tool was content, but the update is not there
	ReasonBadPayload = "trust-bad-chunk"         // with ErrVerify: the bytes are not the approved ones
	ReasonProbe      = "probe-failed"            // the health probe failed, and there was no way back
	ReasonRolledBack = "rolled-back-auto"        // the health probe failed, what was there before is back
	maxLogBytes      = 4 << 10                   // what is kept of a tool's output
	factNeeded       = "needed_bytes"            // of disk-short
	factFree         = "free_bytes"              // of disk-short; left out if unknown
	previousSuffix   = ".patchmesh-previous"     // what a file was before the update
	stageSuffix      = ".patchmesh-new"          // a file on its way
	dpkgDatabase     = "var/lib/dpkg"            // below Root
	rebootMarker     = "var/run/reboot-required" // below Root; Debian's way to ask for a restart
)

// Error is a failed Detect, Install or Remove.
type Error struct {
	Reason   string           // from the closed list
	ExitCode int              // of the tool; 0 if it did not run
	Log      string           // end of the tool's output, at most 4 KiB, safe to print
	Facts    map[string]int64 // numbers behind the reason
	Killed   bool             // the tool was ended from outside: what it left says nothing about the update
	What     string           // operation and object, one line
	Err      error            // cause; may be nil
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s", e.What, e.Reason)
	if e.ExitCode != 0 {
		s += fmt.Sprintf(" (exit code %d)", e.ExitCode)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// failed makes an Error; the format names operation and object.
func failed(reason string, err error, format string, args ...any) *Error {
	return &Error{Reason: reason, Err: err, What: fmt.Sprintf(format, args...)}
}

// tail is the end of a tool's output in printable form.
func tail(out []byte) string {
	s := api.CleanLines(string(out[max(0, len(out)-maxLogBytes):]))
	// Cleaning may lengthen the text: one bad byte becomes the three of U+FFFD.
	return strings.ToValidUTF8(s[max(0, len(s)-maxLogBytes):], "") // the cut may go through a character
}
