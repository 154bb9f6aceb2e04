package policy

// depths gives every group that a machine is in its depth: 0 for "all", more the deeper it is nested.
// A machine in a group is in its parents too. Names that the manifest does not list are no groups.
func (m *Manifest) depths(machine []string) map[string]int {
	parent := map[string]string{}
	for _, g := range m.Groups {
		parent[g.Name] = g.Parent
	}
	in := map[string]int{GroupAll: 0}
	listed := false
	for _, name := range machine {
		if _, known := parent[name]; !known {
			continue
		}
		listed = true
		for at := name; at != "" && at != GroupAll; at = parent[at] {
			in[at] = depth(parent, at)
		}
	}
	if !listed {
		in[GroupUnassigned] = 1
	}
	return in
}

func depth(parent map[string]string, name string) int {
	d := 1
	for at := parent[name]; at != "" && at != GroupAll; at = parent[at] {
		d++
	}
	return d
}
