package disk

import (
	"os"
	"time"

	"patchmesh/content"
)

// Options tune a store. The zero value is sensible.
type Options struct {
	// ReserveBytes of the file system are never taken by payloads that begin or are imported.
	// Zero: 5 % of the file system, at most 1 GiB. Negative: none.
	ReserveBytes int64
	// ReservePercent is ReserveBytes as a share of the file system; it counts when ReserveBytes is zero.
	ReservePercent int
	// QuotaBytes bounds what payloads may take. Zero: a fifth of the file system, at least 4 GiB.
	// Negative: no bound but the reserve. QuotaPercent is the same as a share of the file system; it
	// counts when QuotaBytes is zero.
	QuotaBytes   int64
	QuotaPercent int
	// OnDamage hears of chunks that no longer match and were put aside. It is called with a lock of the
	// payload held: it must not come back to the store, nor wait for anybody who does. nil: nobody.
	OnDamage func(id content.ID, indexes []int)
	// OnShort is called where the disk is too full for a payload or a chunk, with no lock held: whoever took room without
	// need gives it back, and then the store looks once more. nil: nobody did.
	OnShort func()
	// SaveBytes and SaveEvery say how much data or time may pass until have-bits are made durable.
	// It is what a power cut may cost. Zero: 64 MiB and 5 s.
	SaveBytes int64
	SaveEvery time.Duration
	// Now is the clock that SaveEvery is measured with, asked when a chunk is put. nil: have-bits are
	// saved by bytes alone.
	Now func() time.Time
	// OpenFiles bounds the payload files held open while nobody reads them. Zero: 64.
	OpenFiles int
}

const (
	defaultSaveBytes = 64 << 20
	defaultSaveEvery = 5 * time.Second
	defaultOpenFiles = 64

	reserveShare    = 20 // one twentieth of the file system
	maxReserveBytes = 1 << 30
)

func (o *Options) fill() {
	if o.SaveBytes == 0 {
		o.SaveBytes = defaultSaveBytes
	}
	if o.SaveEvery == 0 {
		o.SaveEvery = defaultSaveEvery
	}
	if o.OpenFiles == 0 {
		o.OpenFiles = defaultOpenFiles
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Time{} } // no time ever passes
	}
}

func (o *Options) limits() Limits {
	return Limits{Quotas: []Room{{o.QuotaBytes, o.QuotaPercent}}, Reserves: []Room{{o.ReserveBytes, o.ReservePercent}}}
}

// system is what the store asks of the operating system and tests want to see fail or be counted.
type system struct {
	writeAt func(f *os.File, b []byte, at int64) (int, error)
	sync    func(f *os.File) error
	rename  func(from, to string) error
	remove  func(path string) error
	space   func(dir string) (freeBytes, totalBytes int64, err error)
}

func realSystem() system {
	return system{writeAt: (*os.File).WriteAt, sync: (*os.File).Sync, rename: os.Rename, remove: os.Remove, space: space}
}
