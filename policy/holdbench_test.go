package policy

import (
	"fmt"
	"testing"
	"time"

	"patchmesh/content"
)

// BenchmarkPlanWithHolds is what holds and exceptions from them cost in a plan of a thousand updates: none, and two hundred
// safeguards with as many exceptions, half of which open one for this machine.
func BenchmarkPlanWithHolds(b *testing.B) {
	for _, n := range []int{0, 200} {
		m := &Manifest{}
		d := &Descriptor{Installer: "file", Revision: 1}
		for i := range 1000 {
			m.Approvals = append(m.Approvals, Approval{Update: UpdateID(fmt.Sprintf("u%04d", i)), Revision: 1, Group: GroupAll, Action: ActionInstall, At: t0})
		}
		for i := range n {
			id := fmt.Sprintf("h-%04d", i)
			m.Holds = append(m.Holds, Hold{ID: id, Update: m.Approvals[i].Update, Kind: HoldSafeguard, Reason: "r", At: t0, Match: &HoldMatch{OS: []string{"linux"}}})
			who := []string{"m1", "m2"}[i%2]
			m.HoldExceptions = append(m.HoldExceptions, HoldException{ID: fmt.Sprintf("x-%04d", i), Hold: id, Machine: who, Reason: "r", At: t0, Until: t0.Add(day)})
		}
		mach := Machine{ID: "m1", OS: "linux", Installers: []string{"file"}}
		b.Run(fmt.Sprintf("holds=%d", n), func(b *testing.B) {
			for b.Loop() {
				p := MakePlan(m, func(content.ID) *Descriptor { return d }, mach, false, t0.Add(time.Hour))
				if len(p.Verdicts) != 1000 {
					b.Fatal(len(p.Verdicts))
				}
			}
		})
	}
}
