package gossip

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"
)

// table is who is alive and where. memberlist's own list is of pointers to what it goes on writing, so it
// is copied here while memberlist tells of a change and holds its lock.
type table struct {
	mu sync.Mutex
	at map[string]netip.AddrPort // without this node
}

func (t *table) put(n *memberlist.Node) {
	a, ok := netip.AddrFromSlice(n.Addr)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at == nil {
		t.at = map[string]netip.AddrPort{}
	}
	t.at[n.Name] = netip.AddrPortFrom(a.Unmap(), n.Port)
}

func (t *table) drop(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.at, id)
}

func (t *table) find(id string) (netip.AddrPort, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.at[id]
	return a, ok
}

// list is sorted by ID.
func (t *table) list() []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Member, 0, len(t.at))
	for id, a := range t.at {
		out = append(out, Member{ID: id, Addr: a.String()})
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
