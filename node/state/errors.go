package state

import (
	"errors"
	"fmt"
	"syscall"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"patchmesh/content"
)

var (
	// ErrNotFound: there is no such row. Class: stop asking.
	ErrNotFound = errors.New("not in the database")
	// ErrDamaged: the file is no database of ours or its contents do not fit. Class: stop.
	ErrDamaged = errors.New("the database is damaged")
	// ErrNewerSchema: a newer version of the program wrote the file. Class: stop.
	ErrNewerSchema = errors.New("the database was written by a newer version")
	// ErrNoSpace is content.ErrNoSpace: the disk is full. Class: retry when there is room.
	ErrNoSpace = content.ErrNoSpace
	// ErrTooLarge: a body is larger than its kind may be. Class: refuse.
	ErrTooLarge = errors.New("too large for the database")

	// ErrTokenUnknown: no token has this hash. Class: refuse.
	ErrTokenUnknown = errors.New("unknown token")
	// ErrTokenExpired: the token's time is over. Class: refuse.
	ErrTokenExpired = errors.New("the token has expired")
	// ErrTokenSpent: all uses of the token are taken. Class: refuse.
	ErrTokenSpent = errors.New("the token is used up")
	// ErrTokenName: the token is for machines of other names. Class: refuse.
	ErrTokenName = errors.New("the token is for machines of other names")
	// ErrWaiting: the request is kept; an admin must accept it first. Class: retry.
	ErrWaiting = errors.New("the request waits for an admin")
	// ErrTooMany: so many requests wait already that no further one is kept. Class: retry.
	ErrTooMany = errors.New("too many requests wait for an admin")
	// ErrRejected: an admin has said no. Class: refuse.
	ErrRejected = errors.New("an admin has rejected the request")
	// ErrReplaced: the machine was set up anew and has another key now. Class: refuse.
	ErrReplaced = errors.New("the machine was set up anew and has another key now")
	// ErrLapsed: the certificate ended too long ago to be renewed. Class: refuse.
	ErrLapsed = errors.New("the membership lapsed too long ago")
	// ErrDecided: the decision comes too late. Class: refuse.
	ErrDecided = errors.New("the machine is a member already")
)

// classify adds our sentinel to an error of the engine.
func classify(err error) error {
	var e *sqlite.Error
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff { // the primary code
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// unlessMissing takes ErrNotFound for an answer.
func unlessMissing(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
