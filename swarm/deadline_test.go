package swarm

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"patchmesh/policy"
)

// Many updates at once: the one with the nearest deadline is everywhere before the others are, nearly as soon as if it
// were alone. The order of the deadlines is not the one in which payloads are kept.
func TestNearerDeadlinesGoFirst(t *testing.T) {
	for name, shape := range map[string]worldShape{
		"a seed in the site": {machines: 6, seedSite: "branch", lanBits: 50e6, wanBits: 50e6},
		"behind a WAN":       {machines: 1, lanBits: 200e6, wanBits: 50e6},
	} {
		t.Run(name, func(t *testing.T) {
			const chunks, n = 48, 3
			alone := newWorldLike(t, shape)
			alone.publish("u0", chunks)
			least := alone.everybody("u0", shape.machines, time.Minute)
			w := newWorldLike(t, shape)
			for i := range n {
				w.publish(fmt.Sprintf("u%d", i), chunks)
			}
			var names []policy.UpdateID
			m := *w.manifest
			m.Epoch++
			m.Approvals = slices.Clone(m.Approvals)
			slices.SortFunc(m.Approvals, func(a, b policy.Approval) int {
				return w.descs[b.Descriptor].Payload.Compare(w.descs[a.Descriptor].Payload)
			})
			for i := range m.Approvals {
				m.Approvals[i].Deadline = w.now.AddDate(0, 0, 30+i)
				names = append(names, m.Approvals[i].Update)
			}
			slices.SortFunc(m.Approvals, func(a, b policy.Approval) int {
				return int(a.Update[1]) - int(b.Update[1])
			})
			w.spread(&m)
			var took []time.Duration
			begin := w.now
			for _, u := range names {
				w.everybody(u, shape.machines, time.Minute)
				took = append(took, w.now.Sub(begin))
			}
			t.Logf("alone %v, in order of the deadlines %v", least, took)
			if took[0] > least*3/2 || took[0] > took[n-1]*6/10 {
				t.Errorf("the nearest deadline was met after %v, alone it takes %v, all take %v", took[0], least, took[n-1])
			}
		})
	}
}
