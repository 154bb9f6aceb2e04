package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"patchmesh/node/api"
)

// notApproved counts, for an update that nobody has decided about, what machines have found.
type notApproved struct {
	update                      string
	needed, there, foreign, not int
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
			if c := at[u.Update]; c != nil && u.Compliance == "not-applicable" {
				c.foreign++
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
		fmt.Fprintf(w, "not approved: %s: needed by %d machine(s), on %d, not for %d, not looked for yet on %d\n", c.update, c.needed, c.there, c.foreign, c.not)
	}
	if len(all) > most {
		fmt.Fprintf(w, "not approved: %d more\n", len(all)-most)
	}
}
