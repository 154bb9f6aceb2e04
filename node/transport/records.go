package transport

// records follows the bytes of a connection that go up to TLS and tells how many of them may be of a
// record that is not whole yet, and so have given nothing. Before the first record come a few lines
// that agree on TLS, each with its length in front.
type records struct {
	head [5]byte
	got  int  // bytes of the head
	left int  // bytes to come of the body
	body int  // bytes taken of the body
	lost bool // not understood: it may be anything
}

const (
	recordFirst, recordLast = 20, 23 // the types of TLS records
	recordMajor             = 3
	// recordBytes is the most that TLS may hold of one record.
	recordBytes = 16<<10 + 256 + len(records{}.head)
)

// feed takes what was handed to TLS.
func (r *records) feed(b []byte) {
	for len(b) > 0 && !r.lost {
		if r.left > 0 {
			n := min(r.left, len(b))
			b, r.left, r.body = b[n:], r.left-n, r.body+n
			continue
		}
		if r.got == 0 {
			r.body = 0
		}
		r.head[r.got] = b[0]
		b, r.got = b[1:], r.got+1
		switch {
		case r.got < 2:
		case r.head[0] < recordFirst || r.head[0] > recordLast || r.head[1] != recordMajor:
			r.left, r.got = int(r.head[0])-1, 0
			r.lost = r.left < 0 || r.head[0] >= 1<<7
		case r.got == len(r.head):
			r.left, r.got = int(r.head[3])<<8|int(r.head[4]), 0
			r.lost = r.left > recordBytes
		}
	}
}

// held is at most how many bytes of plain text TLS may have of a record that is not whole.
func (r *records) held() int {
	switch {
	case r.lost:
		return recordBytes
	case r.left == 0:
		return 0
	}
	return r.body
}
