package policy

import "time"

// Cargo lists the approvals, by index, that decide something on a machine of which only the groups are
// known: what has to be brought to where nobody can fetch it. Each element of machines is the groups of
// one machine. With payload, only those whose bytes are needed there.
func (m *Manifest) Cargo(machines [][]string, payload bool, now time.Time) []int {
	taken := make([]bool, len(m.Approvals))
	seen := map[string]bool{}
	for _, groups := range machines {
		key := ""
		for _, g := range groups {
			key += g + "\x00"
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		for _, w := range effective(m, m.depths(groups), now) {
			if !payload || needsPayload(m.Approvals[w.index].Action) {
				taken[w.index] = true
			}
		}
	}
	var out []int
	for i, t := range taken {
		if t {
			out = append(out, i)
		}
	}
	return out
}

// needsPayload: to decline, detect or remove an update takes no bytes.
func needsPayload(a Action) bool {
	return a == ActionInstall || a == ActionOptional || a == ActionStageOnly
}

// NeedsPayload says whether carrying an approval out takes the bytes of its update.
func (a Approval) NeedsPayload() bool { return needsPayload(a.Action) }

// InGroup says whether a machine that is in groups is in group, by itself or through a nested one.
func (m *Manifest) InGroup(groups []string, group string) bool {
	_, in := m.depths(groups)[group]
	return in
}
