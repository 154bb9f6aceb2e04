package swarm

import "testing"

// What is enough under way grows with the site, within bounds: in a small one more of it only queues, and in a large one
// copies would not multiply.
func TestEnoughUnderWayGrowsWithTheSite(t *testing.T) {
	c := &Core{cfg: DefaultConfig()}
	least := c.cfg.LeastAskBytes
	for _, x := range []struct {
		givers int
		want   int64
	}{{0, least}, {9, least}, {16, least}, {20, least * 5 / 4}, {24, least * 3 / 2}, {1000, least * 3 / 2}} {
		l := &payload{said: []*remote{nil}}
		for range x.givers {
			l.said = append(l.said, &remote{want: true})
		}
		if got := c.leastAsked(l); got != x.want {
			t.Errorf("%d bytes beside %d givers, want %d", got, x.givers, x.want)
		}
	}
}
