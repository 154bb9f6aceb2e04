package policy

import (
	"fmt"
	"runtime"
	"testing"

	"patchmesh/content"
)

// longChain is n updates each of which replaces the one before it, and needs that first if laid; all approved.
func longChain(n int, laid bool) (m *Manifest, catalogue []Candidate, describe func(content.ID) *Descriptor) {
	m = &Manifest{Settings: []Setting{{SetDeclines, GroupAll, "yes"}}}
	descs := map[content.ID]*Descriptor{}
	var before []UpdateID
	for i := range n {
		d := &Descriptor{Update: UpdateID(fmt.Sprintf("u%05d", i)), Revision: 1, Installer: "file", Supersedes: before}
		if laid {
			d.Prerequisites = before
		}
		before = []UpdateID{d.Update}
		id := content.Sum([]byte(d.Update))
		descs[id] = d
		m.Approvals = append(m.Approvals, Approval{Update: d.Update, Revision: 1, Descriptor: id, Group: GroupAll, Action: ActionInstall, At: t0})
		catalogue = append(catalogue, Candidate{ID: id, Bytes: 100, Descriptor: d})
	}
	return m, catalogue, func(id content.ID) *Descriptor { return descs[id] }
}

// R-B8, R-D11: definitions that replace each other every day make chains of thousands. Every machine plans often, and asks what is
// replaced: what that takes must not grow with the square of a chain. Bytes are counted, not time: a loaded machine is no failure.
func TestRB8LongChainsCostWhatTheyHold(t *testing.T) {
	m, catalogue, describe := longChain(2000, false)
	laid, _, describeLaid := longChain(200, true)
	mach := Machine{Installers: []string{"file"}}
	nobody := func(UpdateID) bool { return false }
	for name, k := range map[string]struct {
		most uint64 // MB
		do   func() int
		want int
	}{
		"replaced": {20, func() int { return len(m.Replaced([]string{GroupAll}, describe, t0)) }, 1999},
		"declines": {30, func() int {
			return len(m.ProposeDeclines(catalogue, describe, func(UpdateID, string) bool { return false }, t0))
		}, 1999},
		"list":     {20, func() int { return len((&Manifest{}).List(catalogue, nobody, t0).Added) }, 1},
		"baseline": {20, func() int { return len(m.Approved(GroupAll, describe)) }, 1},
		"lacking": {20, func() int {
			all := make([]UpdateID, len(m.Approvals))
			for i, a := range m.Approvals {
				all[i] = a.Update
			}
			return len(m.Replacers(describe).Lacking(all, nil))
		}, 2000},
		"plan": {40, func() int { return len(MakePlan(m, describe, mach, false, t0).Verdicts) }, 2000},
		"a plan of checkpoints": {20, func() (n int) {
			for _, v := range MakePlan(laid, describeLaid, mach, false, t0).Verdicts {
				if v.Reason != ReasonDepOtherFirst || v.Verb == VerbStage {
					n++ // installed now; all others wait for the one before them
				}
			}
			return n
		}, 200},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := k.do()
		runtime.ReadMemStats(&after)
		if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; got != k.want || mb > k.most {
			t.Errorf("%s: %d, want %d; %d MB, at most %d are meant to be", name, got, k.want, mb, k.most)
		}
	}
}
