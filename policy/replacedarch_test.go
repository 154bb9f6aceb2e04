package policy

import (
	"slices"
	"testing"
)

// R-B8, R-M3, R-B1: what is for one processor architecture replaces nothing on the machines of another: there the old update is still
// kept, listed, part of a baseline and not proposed to be declined. What is for all architectures replaces whatever it names, and
// is itself replaced by what is for all alone.
func TestRB8WhatIsForAnotherArchitectureReplacesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		old, mid, new string
		want          []UpdateID // that are replaced
	}{
		"all the same":           {"amd64", "amd64", "amd64", []UpdateID{"mid", "old"}},
		"for all":                {"", "all", "", []UpdateID{"mid", "old"}},
		"the newest for others":  {"amd64", "amd64", "arm64", []UpdateID{"old"}},
		"the middle for others":  {"amd64", "arm64", "amd64", []UpdateID{"old"}},
		"each for another":       {"amd64", "arm64", "riscv64", nil},
		"the old one for all":    {"", "amd64", "amd64", []UpdateID{"mid"}},
		"the newest for all":     {"amd64", "arm64", "all", []UpdateID{"mid", "old"}},
		"the newest for some":    {"", "", "amd64", []UpdateID{"old"}},
		"the middle for all":     {"arm64", "", "amd64", []UpdateID{"old"}},
		"the oldest for another": {"arm64", "amd64", "amd64", []UpdateID{"mid"}},
	} {
		b := threeInAChain(t)
		for u, arch := range map[UpdateID]string{"old": c.old, "mid": c.mid, "new": c.new} {
			b.again(u, func(d *Descriptor, _ *Approval) { d.Arch = arch })
		}
		m := grouped(t, b.m)
		told := m.Replaced([]string{GroupAll}, b.describe, t0)
		var catalogue []Candidate
		for _, a := range b.m.Approvals {
			catalogue = append(catalogue, candidate(b.descs[a.Descriptor], t0, t0))
		}
		var declined []UpdateID
		for _, p := range m.ProposeDeclines(catalogue, b.describe, func(UpdateID, string) bool { return false }, t0.Add(40*day)) {
			declined = append(declined, p.Approval.Update)
		}
		listed := (&Manifest{}).List(catalogue, func(UpdateID) bool { return false }, t0).Added
		baseline := m.Approved(GroupAll, b.describe)
		for _, u := range []UpdateID{"old", "mid", "new"} {
			is := slices.Contains(c.want, u)
			if told[u] != is || slices.Contains(declined, u) != is || slices.Contains(listed, u) == is || slices.Contains(baseline, u) == is {
				t.Errorf("%s: %s is replaced %v, want %v; declined %v, listed %v, in the baseline %v", name, u, told[u], is, declined, listed, baseline)
			}
		}
		for _, arch := range []string{"amd64", "arm64", "riscv64", "mips"} { // no machine installs what is told to be replaced
			for u, v := range b.plan(Machine{Arch: arch}, t0) {
				if v.Verb == VerbInstall && told[u] {
					t.Errorf("%s: %s is replaced, and a machine of %s installs it", name, u, arch)
				}
			}
		}
	}
}
