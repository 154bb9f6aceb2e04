package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"patchmesh/node/api"
)

// notApproved counts, for an update that nobody has decided about for some machines, what these have found.
type notApproved struct {
	update                      string
	needed, there, foreign, not int

	approved int // machines for which somebody has decided
}

// countNotApproved goes by what machines report; what most of them need comes first.
func countNotApproved(f *api.Fleet) []notApproved {
	at := map[string]*notApproved{}
	for _, m := range f.Machines {
		for _, u := range m.Updates {
			if u.Reason != "policy-not-approved" {
				continue
			}
			if at[u.Update] == nil {
				at[u.Update] = &notApproved{update: u.Update}
			}
			switch u.Compliance {
			case "required":
				at[u.Update].needed++
			case "installed":
				at[u.Update].there++
			default:
				at[u.Update].not++
			}
		}
	}
	for _, m := range f.Machines { // who says that it is not for it gives that as the reason
		for _, u := range m.Updates {
			switch c := at[u.Update]; {
			case c == nil:
			case u.Compliance == "not-applicable":
				c.foreign++
			case u.Reason != "policy-not-approved":
				c.approved++
			}
		}
	}
	var out []notApproved
	for _, c := range at {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b notApproved) int { return cmp.Or(b.needed-a.needed, strings.Compare(a.update, b.update)) })
	return out
}

// writeNotApproved tells of the updates that most machines would need, if somebody approved them.
func writeNotApproved(w io.Writer, f *api.Fleet) {
	const most = 10
	all := countNotApproved(f)
	for _, c := range all[:min(len(all), most)] {
		not, others := "not approved", ""
		if c.approved > 0 {
			not, others = "not approved for all", fmt.Sprintf("; decided for %d other(s)", c.approved)
		}
		fmt.Fprintf(w, "%s: %s: needed by %d machine(s), on %d, not for %d, not looked for yet on %d%s\n", not, c.update, c.needed, c.there, c.foreign, c.not, others)
	}
	if len(all) > most {
		fmt.Fprintf(w, "not approved: %d more\n", len(all)-most)
	}
}
