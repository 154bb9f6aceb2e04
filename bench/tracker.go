//go:build linux

package bench

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
)

// tracker introduces the BitTorrent clients of one site to each other (BEP 3, compact as in BEP 23).
// Everybody gets everybody, at once: no contender is slowed down by a tracker that deals out peers.
type tracker struct {
	listener net.Listener

	mu    sync.Mutex
	peers map[string]map[netip.AddrPort]bool // by torrent
}

const trackerPort = "6969"

// newTracker listens in the namespace of h.
func newTracker(h Host) (*tracker, error) {
	t := &tracker{peers: map[string]map[netip.AddrPort]bool{}}
	err := h.Do(func() (err error) {
		t.listener, err = net.Listen("tcp4", net.JoinHostPort(h.Addr.String(), trackerPort))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("tracker: %w", err)
	}
	go func() { _ = http.Serve(t.listener, t) }()
	return t, nil
}

func (t *tracker) url() string { return "http://" + t.listener.Addr().String() + "/announce" }

// ServeHTTP answers one announce.
func (t *tracker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	q := r.URL.Query()
	port, err2 := strconv.ParseUint(q.Get("port"), 10, 16)
	if err != nil || err2 != nil {
		http.Error(w, "announce without a port", http.StatusBadRequest)
		return
	}
	_, _ = w.Write(t.announce(q.Get("info_hash"), netip.AddrPortFrom(from.Addr().Unmap(), uint16(port)), q.Get("event") == "stopped"))
}

// announce notes a peer and tells it all others.
func (t *tracker) announce(torrent string, peer netip.AddrPort, gone bool) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers[torrent] == nil {
		t.peers[torrent] = map[netip.AddrPort]bool{}
	}
	all := t.peers[torrent]
	if gone {
		delete(all, peer)
	} else {
		all[peer] = true
	}
	var compact []byte
	for p := range all {
		if p != peer {
			compact = binary.BigEndian.AppendUint16(append(compact, p.Addr().AsSlice()...), p.Port())
		}
	}
	return []byte("d8:intervali2e12:min intervali2e5:peers" + bstring(string(compact)) + "e")
}

func (t *tracker) close() error { return t.listener.Close() }

// known counts the torrents that have at least n peers.
func (t *tracker) known(n int) (count int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, peers := range t.peers {
		if len(peers) >= n {
			count++
		}
	}
	return count
}
