package main

import (
	"fmt"
	"io"
	"strings"

	"patchmesh/node/api"
)

// writeDrafts tells what waits for signatures, of whom, and what to do.
func writeDrafts(w io.Writer, all []api.WaitingDraft) {
	for _, d := range all {
		whose := ""
		if d.Role != "" {
			whose = " of role " + api.Clean(d.Role)
		}
		fmt.Fprintf(w, "WAITS FOR SIGNATURES: a draft%s with %d change(s), since %s: %s\n  %d of %d signatures are there; missing one of %s\n  next: %s\n",
			whose, d.Changes, d.Since.Local().Format("2006-01-02 15:04"), api.Clean(d.Reason), d.Signatures, d.Threshold, strings.Join(d.Missing, ", "), d.NextStep)
	}
}
