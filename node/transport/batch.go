package transport

import (
	"sync"
	"time"
)

// batch gathers the records of one large write. TLS hands down each record of 16 KiB by itself; sent like
// that, every one of them costs a system call and goes through the network stack as a packet of its own.
type batch struct {
	mu     sync.Mutex
	active bool
	buf    *[]byte

	// Owned by the writer of what is large.
	askedAt time.Duration // clock at which the kernel was asked last; 0: never
	rtt     time.Duration
}

// stallBytes is what has to leave within Stall: as much as one record.
const stallBytes = 16 << 10

// Within a LAN without a queue a round trip takes less than batchRTT.
const (
	batchRTT      = 4 * time.Millisecond
	batchRTTEvery = 100 * time.Millisecond
)

// batchBytes holds eight records with what TLS adds to them.
const batchBytes = 8 * recordBytes

var batchPool spares[[]byte]

// gatherWrites has what is written from now on wait for sendGathered, or until much has gathered. Others may write
// meanwhile, as TLS itself does: order is kept.
func (r *rawConn) gatherWrites() {
	r.out.mu.Lock()
	r.out.active = true
	r.out.mu.Unlock()
}

// queued says whether packets wait on their way, in front of a slow link. What is sent to there in long
// trains only has to be cut up by whoever shapes it, and system calls are few: nothing is gathered.
func (r *rawConn) queued() bool {
	if r.gather.sys == nil {
		return false
	}
	if now := r.clock.now(); r.out.askedAt == 0 || now-r.out.askedAt > batchRTTEvery {
		r.out.askedAt, r.out.rtt = now, roundTrip(r.gather.sys)
	}
	return r.out.rtt > batchRTT
}

// sendGathered ends gatherWrites and sends what is left.
func (r *rawConn) sendGathered() error {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	r.out.active = false
	if r.out.buf == nil {
		return nil
	}
	err := r.sendBatch()
	*r.out.buf = (*r.out.buf)[:0]
	batchPool.put(r.out.buf)
	r.out.buf = nil
	return err
}

// Write sends b, or keeps it while writes are gathered; then the error of sending shows later.
func (r *rawConn) Write(b []byte) (int, error) {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	if !r.out.active || len(b) > batchBytes {
		if err := r.sendBatch(); err != nil {
			return 0, err
		}
		return r.send(b)
	}
	if r.out.buf == nil {
		if r.out.buf = batchPool.take(); r.out.buf == nil {
			b := make([]byte, 0, batchBytes)
			r.out.buf = &b
		}
	}
	if len(*r.out.buf)+len(b) > batchBytes {
		if err := r.sendBatch(); err != nil {
			return 0, err
		}
	}
	*r.out.buf = append(*r.out.buf, b...)
	return len(b), nil
}

// sendBatch is called with the lock held.
func (r *rawConn) sendBatch() error {
	if r.out.buf == nil || len(*r.out.buf) == 0 {
		return nil
	}
	_, err := r.send(*r.out.buf)
	*r.out.buf = (*r.out.buf)[:0]
	return err
}

// send gives each stallBytes Stall to leave. yamux would give a message of 256 KiB ten seconds in all, which
// a slow WAN link cannot keep although it moves; and a peer that takes a byte now and then is no slow link.
func (r *rawConn) send(b []byte) (int, error) {
	sent := 0
	for {
		now := r.clock.now()
		if !r.closing.Load() && now-time.Duration(r.deadlineAt.Load()) > r.stall/8 {
			r.deadlineAt.Store(int64(now))
			if err := r.Conn.SetWriteDeadline(time.Now().Add(r.stall)); err != nil {
				return sent, err
			}
		}
		n, err := r.Conn.Write(b[sent:])
		if sent += n; n > 0 {
			r.wroteAt.Store(int64(r.clock.now()))
		}
		if err == nil || n < stallBytes || r.closing.Load() || !isTimeout(err) {
			return sent, err
		}
		r.deadlineAt.Store(int64(now - r.stall)) // it moves: the rest has its own time
	}
}
