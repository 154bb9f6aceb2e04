package sim

import "patchmesh/swarm"

// entry is something that will happen at one machine, or, with a func() as what, at a site as a whole.
type entry struct {
	at  int64 // ns since the start of the run
	m   *machine
	inc uint32 // of m when it was scheduled: a machine that restarted meanwhile does not get it
	gen uint32 // of the session that it travels on, if from is set
	// from is the sender of a letter. A letter counts only while its session does.
	from *machine
	what any // swarm.Event, a type of this package, or func(); nil for the kinds below

	// What happens for every chunk stands in the entry itself: nothing is allocated for it.
	kind  kind
	good  bool
	index int32
	u     *update
	req   swarm.Req // or, for sentOff, the reference of the upload
}

// kind of an entry that is not in what.
type kind uint8

const (
	inWhat kind = iota
	ticking
	chunkAsked // req, u, index
	chunkHere  // req, u, index, good
	sentOff    // req, index: bytes are those of the chunk of u
	gainsHere  // what is a *gains, for several machines
)

// anyInc is for entries that reach a machine whatever it went through meanwhile.
const anyInc = ^uint32(0)

// queue is a heap of four children per node, ordered by time, then by when it was put in. Four make it
// flatter than two, and what is compared lies side by side; the entries themselves stay where they are.
type queue struct {
	heap []due
	slab []entry
	free []uint32 // of slab
	seq  uint64
}

type due struct {
	at   int64
	seq  uint64
	slot uint32
}

func (d *due) before(o *due) bool {
	if d.at != o.at {
		return d.at < o.at
	}
	return d.seq < o.seq
}

func (q *queue) len() int { return len(q.heap) }

// next is when the first entry is due; the queue must not be empty.
func (q *queue) next() int64 { return q.heap[0].at }

func (q *queue) push(e *entry) {
	q.seq++
	d := due{at: e.at, seq: q.seq}
	if n := len(q.free); n > 0 {
		d.slot = q.free[n-1]
		q.free = q.free[:n-1]
		q.slab[d.slot] = *e
	} else {
		d.slot = uint32(len(q.slab))
		q.slab = append(q.slab, *e)
	}
	q.heap = append(q.heap, d)
	h := q.heap
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !d.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = d
}

func (q *queue) pop() entry {
	h := q.heap
	slot := h[0].slot
	last := len(h) - 1
	d := h[last]
	h = h[:last]
	q.heap = h
	if last > 0 {
		i := 0
		for {
			first := 4*i + 1
			if first >= last {
				break
			}
			least := first
			for c := first + 1; c < min(first+4, last); c++ {
				if h[c].before(&h[least]) {
					least = c
				}
			}
			if !h[least].before(&d) {
				break
			}
			h[i] = h[least]
			i = least
		}
		h[i] = d
	}
	e := q.slab[slot]
	q.slab[slot] = entry{}
	q.free = append(q.free, slot)
	if last == 0 && len(q.slab) > 1024 { // a site at rest gives back what a busy hour took
		*q = queue{seq: q.seq}
	}
	return e
}
