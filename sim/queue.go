package sim

// entry is something that will happen at one machine, or, with a func() as what, at a site as a whole.
type entry struct {
	at  int64 // ns since the start of the run
	seq uint64
	m   *machine
	inc uint32 // of m when it was scheduled: a machine that restarted meanwhile does not get it
	gen uint32 // of the session that it travels on, if from is set
	// from is the sender of a letter. A letter counts only while its session does.
	from *machine
	what any // swarm.Event, a type of this package, or func()
}

// anyInc is for entries that reach a machine whatever it went through meanwhile.
const anyInc = ^uint32(0)

// queue is a heap of four children per node, ordered by time, then by when it was put in. Four make it
// flatter than two, and what is compared lies side by side.
type queue []entry

func (q queue) before(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].seq < q[j].seq
}

func (q *queue) push(e entry) {
	*q = append(*q, e)
	h := *q
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 4
		if !h.before(i, up) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (q *queue) pop() entry {
	h := *q
	top := h[0]
	last := len(h) - 1
	h[0] = h[last]
	h[last] = entry{}
	h = h[:last]
	*q = h
	for i := 0; ; {
		least := i
		for c := 4*i + 1; c <= 4*i+4 && c < last; c++ {
			if h.before(c, least) {
				least = c
			}
		}
		if least == i {
			return top
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
