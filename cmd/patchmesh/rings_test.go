package main

import (
	"bytes"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// R-B10: where one update goes along a plan for several groups, people see which line is about which.
func TestRB10RolloutsOfOneUpdateAreToldApart(t *testing.T) {
	var b bytes.Buffer
	writeRings(&b, &api.Rings{Rollouts: []api.Rollout{
		{Update: "u1", Revision: 1, Group: "office", Plan: "p", Next: "done"}, {Update: "u1", Revision: 1, Group: "lab", Plan: "p", Next: "wait"},
		{Update: "u2", Revision: 1, Group: "all", Plan: "p", Next: "wait"},
	}})
	for _, want := range []string{"u1 revision 1 for group office along p: done", "u1 revision 1 for group lab along p: wait", "u2 revision 1 along p: wait"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %s", want, &b)
		}
	}
}
