package keys

import "errors"

var (
	// ErrNotFound: there is no such key.
	ErrNotFound = errors.New("no such key")
	// ErrExists: a key of that name is there already; keys are never overwritten.
	ErrExists = errors.New("the key exists already")
	// ErrPassphrase: the passphrase does not open the key.
	ErrPassphrase = errors.New("wrong passphrase")
	// ErrNeedsPassphrase: the key is protected and no passphrase was given.
	ErrNeedsPassphrase = errors.New("the key needs a passphrase")
	// ErrExposed: others can read or replace the key or its folder.
	ErrExposed = errors.New("other users can reach the key")
	// ErrFormat: the file holds no key of the kind we use.
	ErrFormat = errors.New("malformed key")
	// ErrName: not a name for a key.
	ErrName = errors.New("key names are 1 to 64 of a-z, 0-9 and -")
)
