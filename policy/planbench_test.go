package policy

import (
	"fmt"
	"testing"
	"time"

	"patchmesh/content"
)

// BenchmarkPlanOfMany is a plan of a large catalogue, half of which is on the machine: one is made before each order and
// after each install.
func BenchmarkPlanOfMany(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m, descs := &Manifest{}, map[content.ID]*Descriptor{}
			mach := Machine{ID: "m1", OS: "linux", Installers: []string{"file"}, Detected: map[UpdateID]Detection{}}
			for i := range n {
				u := UpdateID(fmt.Sprintf("u%05d", i))
				id := content.Sum([]byte(u))
				descs[id] = &Descriptor{Update: u, Installer: "file", Revision: 1}
				m.Approvals = append(m.Approvals, Approval{Update: u, Descriptor: id, Revision: 1, Group: GroupAll, Action: ActionInstall, At: t0})
				mach.Detected[u] = Detection{Present: i%2 == 0}
			}
			b.ReportAllocs()
			for b.Loop() {
				if p := MakePlan(m, func(id content.ID) *Descriptor { return descs[id] }, mach, false, t0.Add(time.Hour)); len(p.Verdicts) != n {
					b.Fatal(len(p.Verdicts))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/approval")
		})
	}
}
