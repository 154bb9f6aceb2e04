package sim

import (
	"cmp"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// disk is what a machine keeps while it is off.
type disk struct {
	docs      *docs // trusted; synced before anybody hears of it
	snap      swarm.Snapshot
	papers    []bool // descriptors and payload maps, by update
	files     []*file
	installed map[policy.UpdateID]int // revision
	outbox    []owed
	full      bool // no room for another chunk
}

// owed is a report that is not acknowledged.
type owed struct {
	machine swarm.PeerID
	seq     uint64
}

// file is one payload in the store.
type file struct {
	u         *update
	have      *content.Bits
	published bool
	rot       []int     // chunks that are not what they were, sorted
	recent    []written // not synced yet, oldest first
}

type written struct {
	at    int64
	index int
}

// syncEvery is how often have-bits are saved with the data that they speak of: what is younger is lost
// with the power.
const syncEvery = int64(2 * time.Second)

func (d *disk) file(u *update) *file {
	if u.index >= len(d.files) {
		return nil
	}
	return d.files[u.index]
}

// open makes room for a payload.
func (d *disk) open(u *update) *file {
	if f := d.file(u); f != nil {
		return f
	}
	for len(d.files) <= u.index {
		d.files = append(d.files, nil)
	}
	d.files[u.index] = &file{u: u, have: content.NewBits(u.info.Chunks)}
	return d.files[u.index]
}

// put stores a verified chunk.
func (f *file) put(now int64, index int) (fresh bool) {
	if !f.have.Set(index) {
		return false
	}
	if n := len(f.recent); n > 64 && f.recent[n/2].at < now-syncEvery {
		f.recent = slices.Delete(f.recent, 0, n/2) // long synced
	}
	f.recent = append(f.recent, written{now, index})
	return true
}

// loseUnsynced is what happens to a store when the power fails.
func (d *disk) loseUnsynced(now int64) {
	for _, f := range d.files {
		if f == nil {
			continue
		}
		for _, x := range f.recent {
			if x.at > now-syncEvery {
				f.have.Clear(x.index)
				f.heal(x.index)
			}
		}
		f.recent = nil
	}
}

// spoil changes a chunk under the store's feet.
func (f *file) spoil(index int) {
	if i, found := slices.BinarySearch(f.rot, index); !found && f.have.Has(index) {
		f.rot = slices.Insert(f.rot, i, index)
	}
}

func (f *file) heal(index int) {
	if i, found := slices.BinarySearch(f.rot, index); found {
		f.rot = slices.Delete(f.rot, i, i+1)
	}
}

func (f *file) rotten(index int) bool {
	_, found := slices.BinarySearch(f.rot, index)
	return found
}

// check hashes all that is there: what does not match counts as missing from then on.
func (f *file) check() (damaged bool) {
	for _, i := range f.rot {
		f.have.Clear(i)
		damaged = true
	}
	f.rot = nil
	f.published = f.published && !damaged
	return damaged
}

// owe keeps the newest report of a machine until the next hop has it.
func (d *disk) owe(m swarm.PeerID, seq uint64) {
	i, found := slices.BinarySearchFunc(d.outbox, m, func(o owed, m swarm.PeerID) int { return cmp.Compare(o.machine, m) })
	if !found {
		d.outbox = slices.Insert(d.outbox, i, owed{machine: m})
	}
	d.outbox[i].seq = max(d.outbox[i].seq, seq)
}

func (d *disk) acked(m swarm.PeerID, seq uint64) {
	d.outbox = slices.DeleteFunc(d.outbox, func(o owed) bool { return o.machine == m && o.seq <= seq })
}

// clock is a machine's own: it drifts, somebody sets it, and the program reads it as node/clock.go
// does, so that it never goes back and never stands still.
type clock struct {
	off   time.Duration // of the wall clock at true time zero
	drift float64       // seconds gained per second

	c      policy.Clock
	lastAt int64
	shown  time.Time
}

func (k *clock) wall(now int64) time.Time {
	return epoch0.Add(time.Duration(now) + k.off + time.Duration(float64(now)*k.drift))
}

func (k *clock) now(now int64) time.Time {
	passed := time.Duration(max(now-k.lastAt, 0))
	k.lastAt = max(now, k.lastAt)
	k.c.Pass(passed)
	at := k.c.Read(k.wall(now))
	if on := k.shown.Add(passed / 2); on.After(at) && !k.shown.IsZero() {
		at = on
	}
	k.shown = at
	return at
}
