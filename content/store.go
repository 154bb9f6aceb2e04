package content

import "io"

// Store keeps payloads. All methods are safe for concurrent use; after Close all of them are
// ErrClosed. storetest holds the suite that every Store passes.
type Store interface {
	// Begin creates a payload or opens it again and says which chunks are there; the set is the
	// caller's. Idempotent. *NoSpaceError if there is no room for the chunks that are missing.
	Begin(m *PayloadMap) (*Bits, error)
	// Put verifies one chunk in its stored form and stores it; stored is not kept. fresh is false if
	// the chunk was there already, which stays as it is. *CorruptError stores nothing; ErrNoSpace when
	// the disk is full; ErrNotFound before Begin.
	Put(payload ID, index int, stored []byte) (fresh bool, err error)
	// ReadChunk reads the stored form of a chunk that was verified when it came into buf and returns
	// its length; buf must hold it. Works while the payload is incomplete and after it is published.
	// ErrNotFound if the chunk is not there.
	ReadChunk(payload ID, index int, buf []byte) (int, error)
	// Have is a copy of the have-bits; ErrNotFound if the payload is unknown.
	Have(payload ID) (*Bits, error)
	// Map is the payload map; ErrNotFound if the payload is unknown.
	Map(payload ID) (*PayloadMap, error)
	// Publish hashes the whole payload again, unless that has just been done, and makes it final. Idempotent. ErrIncomplete while chunks
	// are missing; ErrDamaged if some no longer match: those count as missing from then on;
	// *CorruptError if all chunks match and the whole does not, so that the map lies.
	Publish(payload ID) error
	// Published says whether the payload is final.
	Published(payload ID) bool
	// OpenPlain reads a published payload as plain bytes, verifying every chunk on the way.
	// ErrIncomplete if it is not published. If reading finds a chunk that does not match, the read
	// fails with ErrDamaged, the payload is no longer published and only that chunk counts as missing:
	// Put it again and Publish.
	OpenPlain(payload ID) (io.ReadCloser, error)
	// Import packs a stream of sizeBytes into a published payload, written once; errors as for Pack.
	// A payload that is there already, whole or in part, is replaced by the fresh copy.
	Import(r io.Reader, sizeBytes int64) (*PayloadMap, error)
	// Drop removes a payload. Unknown is no error.
	Drop(payload ID) error
	// List names what is there, ordered by ID.
	List() ([]Info, error)
	// Sync makes data and have-bits durable.
	Sync() error
	// Close syncs and ends the store. A second Close does nothing.
	Close() error
}

// Info is one payload in a store.
type Info struct {
	ID          ID
	PlainBytes  int64
	StoredBytes int64
	Chunks      int
	HaveChunks  int
	Published   bool
}
