package transport

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"patchmesh/swarm/wire"
)

const (
	farewellEvery = time.Minute
	farewellTries = 4   // connections let in for it, since some only look who is there (Probe)
	maxFarewells  = 256 // peers remembered; beyond them nobody is told
)

// farewells remembers who was told lately why it is refused. A machine that was locked out while it
// was off would otherwise only see its connections die and its people would look for a broken cable;
// a thief gains one frame a minute that says what he knows.
type farewells struct {
	clock *clock
	text  func(peerID string) string

	mu    sync.Mutex
	given map[string]farewell
}

type farewell struct {
	since time.Duration
	tries int
}

// due says whether a peer is to be told now, and books the try.
func (f *farewells) due(id string) bool {
	if f == nil || f.text == nil || f.text(id) == "" {
		return false
	}
	now := f.clock.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if g, ok := f.given[id]; ok && now-g.since < farewellEvery {
		g.tries++
		f.given[id] = g
		return g.tries <= farewellTries
	}
	if len(f.given) >= maxFarewells {
		for k, g := range f.given {
			if now-g.since >= farewellEvery {
				delete(f.given, k)
			}
		}
		if len(f.given) >= maxFarewells {
			return false
		}
	}
	f.given[id] = farewell{since: now, tries: 1}
	return true
}

// told: the peer has heard it and is cut at once for a minute.
func (f *farewells) told(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.given[id] = farewell{since: f.clock.now(), tries: farewellTries}
}

// farewell tells a refused peer why, on the one stream on which it would say hello. Its hello is not
// read, nothing of it is looked at.
func (l *link) farewell() {
	defer l.close()
	ms, err := l.conn.AcceptStream() // ends with the seat at the latest
	if err != nil {
		return
	}
	scope, err := l.h.stack.rcmgr.OpenStream(l.peer, network.DirInbound)
	if err != nil {
		_ = ms.Reset()
		return
	}
	st := &stream{MuxedStream: ms, scope: scope, raw: l.raw}
	defer st.Reset()
	if l.negotiate(st) == protoMesh {
		l.h.farewells.told(l.id)
		l.refuse(st, wire.NewGoodbye(wire.CodeRevoked, l.h.farewells.text(l.id)))
	}
}
