package disk

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"patchmesh/content"
)

// Usage says how full a store is.
type Usage struct {
	UsedBytes    int64 // chunks that are there, and those that payloads which have begun still lack
	LackedBytes  int64 // the latter alone
	FreeBytes    int64 // of the file system
	TotalBytes   int64
	QuotaBytes   int64
	ReserveBytes int64
}

// OverBytes is how much has to go: what is beyond the quota or taken from the reserve.
func (u Usage) OverBytes() int64 {
	return max(u.UsedBytes-u.QuotaBytes, u.ReserveBytes-u.FreeBytes, 0)
}

// Usage looks at the store and its file system.
func (s *Store) Usage() (Usage, error) {
	free, total, err := s.sys.space(s.dir)
	if err != nil {
		return Usage{}, fmt.Errorf("free space of payload folder: %w", err)
	}
	return Usage{
		UsedBytes: s.used(), LackedBytes: s.lacked(), FreeBytes: free, TotalBytes: total, QuotaBytes: s.limits.Load().quota(total), ReserveBytes: s.limits.Load().reserve(total),
	}, nil
}

// Tune sets the limits and who hears of damage and of a full disk, after the store was opened and before it is used: whoever
// takes the folder first often knows nothing of them.
func (s *Store) Tune(opt Options) {
	s.Limit(opt.limits())
	s.opt.OnDamage, s.opt.OnShort = opt.OnDamage, opt.OnShort
}

// Room is a bound: a number of bytes, or where that is zero a share of the file system. Negative: none. The zero value is
// the usual one.
type Room struct {
	Bytes   int64
	Percent int
}

// Limits are the bounds that hold together: the smallest quota counts, and the largest reserve. Without any it is the
// usual one.
type Limits struct{ Quotas, Reserves []Room }

// Limit replaces the limits, at any time. What is beyond the new ones stays until somebody drops it: see Usage.
func (s *Store) Limit(l Limits) { s.limits.Store(&l) }

// used counts payloads as large as they will be: two that begin at once must not both fit into the
// room of one.
func (s *Store) used() int64 {
	var sum int64
	for _, p := range s.all() {
		sum += p.m.StoredBytes()
	}
	for _, u := range s.Unmapped() {
		sum += u.HeldBytes
	}
	return sum
}

// lacked is what is still to be written of payloads that have begun.
func (s *Store) lacked() int64 {
	var sum int64
	for _, p := range s.all() {
		sum += missingBytes(p.m, p.bits())
	}
	return sum
}

// HeldBytes is what a payload takes on disk now; ErrNotFound if it is unknown.
func (s *Store) HeldBytes(id content.ID) (int64, error) {
	p, err := s.find(id)
	if err != nil {
		return 0, err
	}
	return p.m.StoredBytes() - missingBytes(p.m, p.bits()), nil
}

// quota is what payloads may take of a file system of totalBytes.
func (l *Limits) quota(totalBytes int64) int64 {
	usual := max(totalBytes/quotaShare, minQuotaBytes)
	if len(l.Quotas) == 0 {
		return usual
	}
	least := int64(math.MaxInt64)
	for _, r := range l.Quotas {
		least = min(least, r.of(totalBytes, totalBytes, usual))
	}
	return least
}

// reserve is what must stay free of a file system of totalBytes.
func (l *Limits) reserve(totalBytes int64) int64 {
	usual := min(totalBytes/reserveShare, maxReserveBytes)
	if len(l.Reserves) == 0 {
		return usual
	}
	most := int64(0)
	for _, r := range l.Reserves {
		most = max(most, r.of(totalBytes, 0, usual))
	}
	return min(most, totalBytes) // sums with it must not overflow
}

// of is the bound in bytes.
func (r Room) of(totalBytes, none, usual int64) int64 {
	switch {
	case r.Bytes > 0:
		return r.Bytes
	case r.Bytes < 0:
		return none
	case r.Percent > 0:
		return totalBytes / 100 * int64(r.Percent)
	}
	return usual
}

const (
	quotaShare    = 5       // one fifth of the file system
	minQuotaBytes = 4 << 30 // a small disk has its reserve to guard it

	lookEvery = 32 << 20 // bytes written between two looks at the free space
)

// spending guards the reserve while chunks arrive: other programs fill the disk meanwhile.
type spending struct{ since atomic.Int64 }

// spend looks at the free space now and then.
func (s *Store) spend(bytes int) error {
	if s.spending.since.Add(int64(bytes)) < lookEvery {
		return nil
	}
	s.spending.since.Store(0)
	free, total, err := s.sys.space(s.dir)
	if err != nil {
		return fmt.Errorf("free space of payload folder: %w", err)
	}
	if need := int64(bytes) + s.limits.Load().reserve(total); free < need {
		s.spending.since.Store(lookEvery) // the next one looks again
		return &content.NoSpaceError{NeedBytes: need, FreeBytes: free}
	}
	return nil
}

// again says whether what failed for want of room is to be tried once more: somebody may have given room back. It must
// be called without a lock. A quota does not change by that, and what a failed sync has cost is not undone by trying.
func (s *Store) again(err error) bool {
	var full *content.NoSpaceError
	if s.opt.OnShort == nil || !errors.Is(err, content.ErrNoSpace) || errors.Is(err, content.ErrDamaged) || errors.As(err, &full) && full.Quota {
		return false
	}
	s.opt.OnShort()
	return true
}

// underQuota refuses a payload that begins and would not fit into the quota.
func (s *Store) underQuota(needBytes int64) error {
	_, total, err := s.sys.space(s.dir)
	if err != nil {
		return fmt.Errorf("free space of payload folder: %w", err)
	}
	if need, quota := s.used()+needBytes, s.limits.Load().quota(total); need > quota {
		return &content.NoSpaceError{NeedBytes: need, FreeBytes: quota, Quota: true}
	}
	return nil
}
