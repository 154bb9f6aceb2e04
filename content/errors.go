package content

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound: the store has no such payload or chunk. Class: retry elsewhere.
	ErrNotFound = errors.New("not in the store")
	// ErrNoSpace: the disk is full. Class: retry when there is room.
	ErrNoSpace = errors.New("no space left")
	// ErrIncomplete: chunks are missing. Class: retry when they are there.
	ErrIncomplete = errors.New("the payload is not complete")
	// ErrDamaged: what lies on disk is not what was stored. The damaged chunks count as missing from
	// then on, also where the payload was published. Class: retry (fetch them again).
	ErrDamaged = errors.New("stored bytes are damaged")
	// ErrLocked: another process works on the folder. Class: stop.
	ErrLocked = errors.New("another process uses this folder")
	// ErrClosed: the store was closed. Class: stop.
	ErrClosed = errors.New("the store is closed")
	// ErrEncoder: these plain bytes are right, and cannot be packed as the map says. Class: retry elsewhere.
	ErrEncoder = errors.New("packed by another encoder")
	// ErrFormat: a document does not follow its format. Class: refuse.
	ErrFormat = errors.New("malformed document")
)

// CorruptError says that bytes do not match their name. Class: refuse.
type CorruptError struct {
	Want, Got ID // Got is zero if the bytes could not even be decoded
	SizeBytes int
}

func (e *CorruptError) Error() string {
	if e.Got.IsZero() {
		return fmt.Sprintf("content %s: %d bytes do not decode to it", e.Want.Short(), e.SizeBytes)
	}
	return fmt.Sprintf("content %s: %d bytes hash to %s", e.Want.Short(), e.SizeBytes, e.Got.Short())
}

// NoSpaceError is ErrNoSpace with numbers.
type NoSpaceError struct {
	NeedBytes int64 // still to be written, with the reserve that must stay free
	FreeBytes int64
	Quota     bool // what stands in the way is a limit that was set, FreeBytes, and not the disk
}

func (e *NoSpaceError) Error() string {
	if e.Quota {
		return fmt.Sprintf("no space left: %d bytes in the store, the quota is %d", e.NeedBytes, e.FreeBytes)
	}
	return fmt.Sprintf("no space left: needs %d bytes, %d free", e.NeedBytes, e.FreeBytes)
}

// Is makes errors.Is(err, ErrNoSpace) true.
func (e *NoSpaceError) Is(target error) bool { return target == ErrNoSpace }
