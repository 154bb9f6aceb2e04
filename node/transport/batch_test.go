package transport

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	manet "github.com/multiformats/go-multiaddr/net"
)

// sinkConn is a socket that counts writes; each takes most bytes and then is out of time, if most is set.
type sinkConn struct {
	manet.Conn
	got    bytes.Buffer
	writes int
	most   int
}

func (c *sinkConn) SetWriteDeadline(time.Time) error { return nil }

func (c *sinkConn) Write(b []byte) (int, error) {
	c.writes++
	if c.most == 0 || len(b) <= c.most {
		return c.got.Write(b)
	}
	n, _ := c.got.Write(b[:c.most])
	return n, os.ErrDeadlineExceeded
}

func sunk(most int) (*sinkConn, *rawConn) {
	c := &sinkConn{most: most}
	return c, newRawConn(c, &clock{start: time.Now()}, time.Second)
}

func TestGatheredWritesLeaveInOrderAndTogether(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 100 {
		c, r := sunk(0)
		var want []byte
		for range 40 {
			piece := bytes.Repeat([]byte{byte(rnd.Uint32())}, rnd.IntN(recordBytes))
			if rnd.IntN(40) == 0 {
				piece = make([]byte, batchBytes+1) // more than any batch
			}
			switch rnd.IntN(8) {
			case 0:
				r.gatherWrites()
			case 1:
				if err := r.sendGathered(); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := r.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
			want = append(want, piece...)
		}
		if err := r.sendGathered(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(c.got.Bytes(), want) {
			t.Fatal("other bytes than were written")
		}
	}
	c, r := sunk(0)
	r.gatherWrites()
	for range 16 {
		_, _ = r.Write(make([]byte, recordBytes))
	}
	if err := r.sendGathered(); err != nil || c.writes != 2 {
		t.Error(c.writes, "system calls for 16 records", err)
	}
}

// What has to leave within one stall is as much as a record, however much was gathered.
func TestGatheredWritesStallLikeOthers(t *testing.T) {
	for most, moves := range map[int]bool{stallBytes: true, stallBytes - 1: false} {
		c, r := sunk(most)
		r.gatherWrites()
		if _, err := r.Write(make([]byte, 4*stallBytes)); err != nil {
			t.Fatal(err)
		}
		err := r.sendGathered()
		if moves && (err != nil || c.got.Len() != 4*stallBytes) {
			t.Error("a link that moves:", err, c.got.Len())
		}
		if !moves && !isTimeout(err) {
			t.Error("a peer that takes next to nothing:", err)
		}
	}
}
